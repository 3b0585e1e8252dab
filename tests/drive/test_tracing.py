"""Traced requests: which carry a traceparent, and what is remembered of them."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from locust.env import Environment

from loadtest.drive.agent import SessionSettings
from loadtest.drive.recorder import Recorder
from loadtest.drive.run_context import RunContext, enter_run
from loadtest.drive.session import Session
from loadtest.drive.tracing import TracedSession, Tracer
from loadtest.drive.user import FastHttpUser
from loadtest.records import Outcome
from loadtest.testing import ScriptedServer, always, response_bytes

TRACEPARENT = re.compile(rb"\r\ntraceparent: 00-([0-9a-f]{32})-[0-9a-f]{16}-01\r\n")
OK = response_bytes(b"{}")


def traced(url: str, recorder: Recorder, fraction: float) -> TracedSession:
    session = TracedSession(url, recorder, None, SessionSettings(network_timeout=60.0))
    session.tracer = Tracer(fraction)
    return session


def test_a_traced_request_is_remembered_under_its_endpoint_with_its_response_time(
    recorder: Recorder, outcomes: list[Outcome]
) -> None:
    with ScriptedServer(always(OK)) as server:
        session = traced(server.url, recorder, 1.0)
        session.intended_ns = session._now_ns() - 70_000_000  # it waited 70 ms for a user
        session.post("/orders", json={}, name="order", headers={"Idempotency-Key": "k"})
        session.close()
    [sent] = TRACEPARENT.findall(server.requests[0])
    assert b"\r\nIdempotency-Key: k\r\n" in server.requests[0]
    [exemplar] = session.tracer.exemplars.take()
    assert (exemplar.endpoint, exemplar.trace_id) == ("POST order", sent.decode())
    assert exemplar.response_us == outcomes[0].response_ns // 1000 >= 70_000


def test_no_two_traces_share_an_id(recorder: Recorder) -> None:
    with ScriptedServer(always(OK)) as server:
        session = traced(server.url, recorder, 1.0)
        for _ in range(20):
            session.get("/")
        session.close()
    ids = [TRACEPARENT.findall(request)[0] for request in server.requests]
    assert len(set(ids)) == 20


@pytest.mark.parametrize("send", [
    lambda session: session.get("/", headers={"TraceParent": "00-mine"}),
    lambda session: session.get("/", headers=iter([("TraceParent", "00-mine")])),
    lambda session: session.request("GET", "/", None, None, False, False, {"A": "b"}),
])  # fmt: skip
def test_a_script_that_brings_its_own_trace_is_left_alone(
    recorder: Recorder, send: Callable[[Session], object]
) -> None:
    with ScriptedServer(always(OK)) as server:
        session = traced(server.url, recorder, 1.0)
        send(session)
        session.close()
    assert not TRACEPARENT.findall(server.requests[0])
    assert session.tracer.exemplars.take() == []


@pytest.mark.parametrize("pairs", [list, iter])
def test_headers_given_as_pairs_are_sent_with_the_trace(
    recorder: Recorder, pairs: Callable[[list[tuple[str, str]]], Iterable[tuple[str, str]]]
) -> None:
    with ScriptedServer(always(OK)) as server:
        session = traced(server.url, recorder, 1.0)
        session.post("/orders", json={}, headers=pairs([("Idempotency-Key", "k")]))
        session.close()
    assert TRACEPARENT.findall(server.requests[0])
    assert b"\r\nIdempotency-Key: k\r\n" in server.requests[0]


@pytest.mark.parametrize("name", [b"traceparent", 7])
def test_a_name_that_is_no_text_is_refused_with_a_trace_as_without(recorder: Recorder, name: Any) -> None:
    for fraction in (0.0, 1.0):
        session = traced("http://127.0.0.1:1", recorder, fraction)
        with pytest.raises(ValueError, match="not a header name"):
            session.get("/", headers=[(name, "1")])
        session.close()


def test_about_the_asked_share_is_traced() -> None:
    tracer = Tracer(0.25)
    begun = sum(tracer.begin() is not None for _ in range(4000))
    assert 800 < begun < 1200  # seven standard deviations


@pytest.mark.parametrize(("tracer", "session_class"), [(None, Session), (Tracer(0.5), TracedSession)])
def test_users_of_a_run_that_traces_nothing_get_the_plain_session(
    environment: Environment, tracer: Tracer | None, session_class: type[Session]
) -> None:
    class Buyer(FastHttpUser):
        host = "http://127.0.0.1:1"

    enter_run(environment, RunContext("run", 1, 0, "book", None, tracer))
    try:
        assert type(Buyer(environment).client) is session_class
    finally:
        enter_run(environment, None)
