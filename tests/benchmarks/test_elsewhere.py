"""Processes that stand for other machines: they do their work, give way, and say when they cannot go on."""

from pathlib import Path

import pytest

from benchmarks.service.elsewhere import elsewhere
from benchmarks.service.scraper import PROMETHEUS_ASKS, scraping
from loadtest.cli.children import wait_until
from loadtest.testing import ScriptedServer, ServedConnection, always, response_bytes

NOTES_ITS_POLICY = """
import os, sys
from benchmarks.service.elsewhere import give_way, say_ready
give_way()
open(os.environ["NOTE"], "w").write(str(os.sched_getscheduler(0) == os.SCHED_IDLE))
say_ready()
sys.stdin.read()
"""


def test_pages_are_asked_for_as_prometheus_does_until_the_block_ends() -> None:
    with (
        ScriptedServer(always(response_bytes(b"up 1\n"))) as service,
        ScriptedServer(always(response_bytes(b"up 1\n"))) as master,
        scraping([("127.0.0.1", service.port), ("127.0.0.1", master.port)]),
    ):
        assert wait_until(lambda: len(master.requests) >= 3, 100)
        assert set(service.requests) == set(master.requests) == {PROMETHEUS_ASKS}
        assert service.connections == master.connections == 1


@pytest.mark.parametrize(
    "answer",
    [response_bytes(b"", "503 Service Unavailable"), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"],
)
def test_a_scrape_that_fails_is_not_taken_for_a_cheap_one(answer: bytes) -> None:
    def answer_once(connection: ServedConnection) -> None:
        connection.read_request()
        connection.send(answer)

    with (
        ScriptedServer(answer_once) as server,
        pytest.raises(RuntimeError, match="scraper failed, with exit code 1"),
        scraping([("127.0.0.1", server.port)]),
    ):
        assert wait_until(lambda: len(server.requests) == 1, 100)


def test_who_stands_for_another_machine_takes_only_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes_its_policy.py").write_text(NOTES_ITS_POLICY)
    note = tmp_path / "note"
    monkeypatch.setenv("NOTE", str(note))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    with elsewhere("notes_its_policy"):
        assert note.read_text() == "True"


def test_a_module_that_does_not_get_ready_is_named() -> None:
    with pytest.raises(RuntimeError, match="this did not get ready"), elsewhere("this"):
        pytest.fail("it did")
