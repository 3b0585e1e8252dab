"""The dangers of the native core, each held off by a test: see ARCHITECTURE.md."""

import gc
import os
import weakref
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from locust.env import Environment

from benchmarks.client.stress import stress
from loadtest.drive.session import Session
from loadtest.records import Outcome
from loadtest.testing import ScriptedServer, ServedConnection, always, response_bytes
from tests.required import native_core

core = native_core()

MakeSession = Callable[..., Session]
OK = response_bytes(b"ok")


def test_kills_timeouts_and_closes_lose_and_confuse_nothing() -> None:
    stressed = stress(10_000)
    assert stressed.wrong == 0
    assert 0 <= stressed.counted - stressed.ended <= stressed.kills


def test_who_closes_anothers_connection_in_the_same_batch_crashes_nothing(session_to: MakeSession) -> None:
    """Both answers are there at once; the first to be resumed closes the other's connection."""
    with ScriptedServer(always(OK)) as server:
        sessions = [session_to(server.url, network_timeout=0.5) for _ in range(8)]
        for session in sessions:
            session.get("/")
        open_lines = [pool.idle[0] for session in sessions for pool in session._pools.values()]

        def ask_and_close(session: Session) -> Any:
            response = session.get("/")
            for line in open_lines:
                line.close()
            return response

        asked = [gevent.spawn(ask_and_close, session) for session in sessions]
        gevent.joinall(asked, timeout=10)
    assert any(greenlet.value is not None and greenlet.value.ok for greenlet in asked)


def test_a_connection_that_is_dropped_leaves_the_set_before_it_is_freed(session_to: MakeSession) -> None:
    with ScriptedServer(always(OK)) as server:
        for _ in range(50):
            session = session_to(server.url)
            session.get("/")
            (line,) = next(iter(session._pools.values())).idle
            gone = weakref.ref(session)
            line.close()
            del session, line
        gc.collect()
        assert session_to(server.url).get("/").content == b"ok"
        assert gone is not None


def test_a_request_composed_while_another_connects_is_sent_as_it_was(
    session_to: MakeSession, outcomes: list[Outcome]
) -> None:
    """All sessions compose in one buffer, which is good for nothing once another greenlet has run."""
    with ScriptedServer(always(OK)) as server:
        sessions = [session_to(server.url) for _ in range(10)]
        gevent.joinall(
            [gevent.spawn(session.get, f"/{number}") for number, session in enumerate(sessions)],
            raise_error=True,
        )
        paths = sorted(request.split(b" ")[1] for request in server.requests)
    assert paths == [b"/%d" % number for number in range(10)]


def test_headers_changed_after_the_request_do_not_change_what_was_sent(session_to: MakeSession) -> None:
    headers = {"X-Key": "first"}
    with ScriptedServer(always(OK)) as server:
        response = session_to(server.url).get("/", headers=headers)
        headers["X-Key"] = "second"
        assert response.sent == server.requests[0]


def test_a_body_in_many_pieces_is_received_whole(session_to: MakeSession) -> None:
    body = os.urandom(300_000)

    def in_pieces(connection: ServedConnection) -> None:
        while connection.read_request():
            whole = response_bytes(body)
            for start in range(0, len(whole), 7_777):
                connection.send(whole[start : start + 7_777])

    with ScriptedServer(in_pieces) as server:
        session = session_to(server.url)
        assert [session.get("/").content == body for _ in range(3)] == [True] * 3
    assert server.connections == 1


def test_a_script_that_puts_its_own_request_there_is_asked(session_to: MakeSession) -> None:
    with ScriptedServer(always(OK)) as server:
        session = session_to(server.url)
        asked: list[tuple[Any, ...]] = []
        session.request = lambda *given, **named: asked.append((given, named))  # type: ignore[method-assign]
        session.get("/", name="n")
        session.post("/", json={})
    assert asked == [(("GET", "/"), {"name": "n"}), (("POST", "/"), {"data": None, "json": {}})]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_does_not_take_connections_out_of_the_parents_set(
    session_to: MakeSession, environment: Environment
) -> None:
    with ScriptedServer(always(OK)) as server:
        session = session_to(server.url, network_timeout=2.0)
        session.get("/")
        child = os.fork()
        if child == 0:
            try:
                session.close()
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        response = session.get("/")
    assert response.content == b"ok"
    assert environment is not None
