"""A script's own messages that reach a worker before the script was told of `init` are not lost."""

from collections.abc import Iterator
from typing import Any

import pytest
from gevent.pool import Group
from locust.rpc import Message
from locust.runners import WorkerRunner

from loadtest.fleet.early_messages import hold_early_messages, release_early_messages


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerRunner]:
    """A worker that has greeted nobody."""
    hold_early_messages()
    worker = WorkerRunner.__new__(WorkerRunner)
    worker.custom_messages = {}
    worker.greenlet = Group()
    worker.environment = None  # type: ignore[assignment]  # handlers get it as it is
    yield worker
    release_early_messages(None)


def test_a_message_that_comes_before_its_handler_waits_for_it(worker: WorkerRunner) -> None:
    heard: list[Any] = []

    def handler(msg: Message, **_: Any) -> None:
        heard.append(msg.data)

    for data in (1, 2):
        worker.handle_message(Message("rows", data, None))
    worker.custom_messages["rows"] = (handler, False)
    worker.handle_message(Message("rows", 3, None))
    release_early_messages(worker)
    worker.handle_message(Message("rows", 4, None))
    assert heard == [1, 2, 3, 4]
