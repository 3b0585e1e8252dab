"""Our messages over Locust's connection: what is ours arrives, what is not changes nothing."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from loadtest.fleet import transport
from loadtest.fleet.messages import Lease, Message, Trouble


class Runner:
    """Locust's, as far as messages go."""

    def __init__(self) -> None:
        self.heard: dict[str, Callable[..., None]] = {}
        self.sent: list[tuple[Any, ...]] = []

    def register_message(self, kind: str, listener: Callable[..., None]) -> None:
        self.heard[kind] = listener

    def send_message(self, *words: Any) -> None:
        self.sent.append(words)


@pytest.fixture
def runner() -> Any:
    return Runner()


def deliver(runner: Any, kind: str, data: object) -> None:
    runner.heard[kind](environment=None, msg=SimpleNamespace(node_id="w1", data=data))


def test_a_message_that_is_sent_is_the_one_that_is_heard(runner: Any) -> None:
    heard: list[tuple[str, Message]] = []
    transport.listen(runner, transport.TO_MASTER, lambda worker, message: heard.append((worker, message)))
    transport.send_to_master(runner, Trouble("run", "a full disk"))
    [(kind, data)] = runner.sent
    deliver(runner, kind, data)
    assert heard == [("w1", Trouble("run", "a full disk"))]


def test_a_message_to_a_worker_names_the_worker(runner: Any) -> None:
    transport.send_to_worker(runner, "w7", Lease("run", 5))
    [(kind, _, worker)] = runner.sent
    assert (kind, worker) == (transport.TO_WORKER, "w7")


@pytest.mark.parametrize("data", [b"", b"\xc1\xc1\xc1", None, "text", {"run_id": "run"}])
def test_a_frame_that_is_not_ours_is_noted_and_ignored(
    runner: Any, data: object, caplog: pytest.LogCaptureFixture
) -> None:
    transport.listen(runner, transport.TO_WORKER, lambda *_: pytest.fail("it was heard"))
    deliver(runner, transport.TO_WORKER, data)
    assert "ignored a frame from w1" in caplog.text
