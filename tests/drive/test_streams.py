"""Streams: lines at any cuts, events as the standard has them, and the times between them."""

import threading
from collections.abc import Callable

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.drive.errors import ConnectionClosedError
from loadtest.drive.session import Session
from loadtest.drive.streams import EventParser, ServerSentEvent, iter_lines
from loadtest.records import Outcome
from loadtest.testing import ScriptedServer, ServedConnection
from tests.timing import Timing

MakeSession = Callable[..., Session]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@given(st.lists(st.text(alphabet="aü€ ", max_size=8), max_size=8), st.integers(1, 9))
def test_lines_are_the_same_at_any_cuts(lines: list[str], size: int) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    assert list(iter_lines(pieces)) == lines


def test_a_last_line_needs_no_line_feed() -> None:
    assert list(iter_lines([b"one\ntw", b"o"])) == ["one", "two"]


def test_events_are_what_the_standard_says() -> None:
    lines = [
        ": comment",
        "data: YHOO",
        "data:+2",
        "data: 10",
        "",
        "event: add",
        "data",
        "id: 7",
        "\r",
        "id: 8",
        "",
        "data: cut",
    ]
    parser = EventParser()
    events = [event for event in map(parser.take_line, lines) if event]
    assert events == [ServerSentEvent("YHOO\n+2\n10"), ServerSentEvent("", "add", "7")]


def test_the_first_event_and_each_gap_are_recorded_by_themselves(
    session_to: MakeSession, outcomes: list[Outcome], timing: Timing
) -> None:
    taken = threading.Semaphore(1)
    """Of the events before the next: each gap begins when somebody waits for its end."""

    def serve(connection: ServedConnection) -> None:
        connection.read_request()
        connection.send(HEAD)
        for word in (b"one", b"two", b"three"):
            taken.acquire()
            gevent.sleep(0.02)
            connection.send(chunk(b"data: " + word + b"\n\n"))
        connection.send(b"0\r\n\r\n")
        connection.read_request()

    with ScriptedServer(serve) as server:
        session = session_to(server.url)
        session.intended_ns = 1
        events = []
        for event in session.events("/assistant", name="assistant"):
            events.append(event)
            taken.release()
        assert b"\r\nAccept: text/event-stream\r\n" in server.requests[0]
    assert [event.data for event in events] == ["one", "two", "three"]
    assert [(o.method, o.name, o.error) for o in outcomes] == [
        ("GET", "assistant", None),
        ("first event", "assistant", None),
        ("next event", "assistant", None),
        ("next event", "assistant", None),
    ]
    assert outcomes[0].intended_ns == outcomes[1].intended_ns == 1
    assert outcomes[1].service_ns >= 0.02e9
    assert outcomes[2].done_ns == outcomes[3].intended_ns
    assert all(outcome.response_ns >= 0.02e9 for outcome in outcomes[2:])
    with timing:
        assert all(outcome.response_ns < 1e9 for outcome in outcomes[2:])


def test_a_stream_that_breaks_off_is_a_failed_gap(session_to: MakeSession, outcomes: list[Outcome]) -> None:
    def serve(connection: ServedConnection) -> None:
        connection.read_request()
        connection.send(HEAD + chunk(b"data: one\n\n"))

    with ScriptedServer(serve) as server, pytest.raises(ConnectionClosedError):
        list(session_to(server.url).events("/assistant"))
    assert [(o.method, o.error) for o in outcomes] == [
        ("GET", None),
        ("first event", None),
        ("next event", "closed"),
    ]


def test_a_stream_of_events_takes_headers_as_pairs_too(session_to: MakeSession) -> None:
    def serve(connection: ServedConnection) -> None:
        connection.read_request()
        connection.send(HEAD + chunk(b"data: one\n\n"), b"0\r\n\r\n")

    with ScriptedServer(serve) as server:
        events = session_to(server.url).events("/assistant", headers=iter([("X-Shop", "7")]))
        assert [event.data for event in events] == ["one"]
        assert b"\r\nX-Shop: 7\r\n" in server.requests[0]


def test_a_stream_left_unread_costs_its_connection_only(session_to: MakeSession) -> None:
    def serve(connection: ServedConnection) -> None:
        while True:
            connection.read_request()
            connection.send(HEAD + chunk(b"data: one\n\n"))

    with ScriptedServer(serve) as server:
        session = session_to(server.url, concurrency=1)
        for _ in range(3):
            response = session.get("/assistant", stream=True)
            assert next(response.iter_content()) == "data: one\n\n"
            response.release()
        assert server.connections == 3


def test_a_connection_closed_after_its_stream_but_before_it_is_given_back(session_to: MakeSession) -> None:
    def serve(connection: ServedConnection) -> None:
        connection.read_request()
        connection.send(HEAD + chunk(b"one"), b"0\r\n\r\n")

    with ScriptedServer(serve) as server:
        session = session_to(server.url, concurrency=1)
        for _ in range(3):
            pieces = session.get("/", stream=True).iter_content()
            assert next(pieces) == "one"
            gevent.sleep(0.02)  # the server's close is heard now
            assert list(pieces) == []


def test_a_connection_is_used_again_after_its_stream_is_read(session_to: MakeSession) -> None:
    def serve(connection: ServedConnection) -> None:
        while True:
            connection.read_request()
            connection.send(HEAD + chunk(b"abc"), chunk(b"def"), b"0\r\n\r\n")

    with ScriptedServer(serve) as server:
        session = session_to(server.url)
        for _ in range(3):
            assert session.get("/", stream=True).content == b"abcdef"
            assert b"".join(session.get("/", stream=True).iter_content(2, decode_content=False)) == b"abcdef"
        assert server.connections == 1
