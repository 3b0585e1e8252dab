"""A script may share its headers and change them while a request waits: what was asked for is what is sent.

Both cores have to do the same, so nothing here is skipped without the native one.
"""

from collections.abc import Callable
from typing import Any

import pytest
from geventhttpclient.header import Headers

from loadtest.drive.connection import Connection
from loadtest.drive.session import Session
from loadtest.testing import ScriptedServer, ServedConnection, always, response_bytes

MakeSession = Callable[..., Session]
Change = Callable[[dict[str, Any]], object]
OK = response_bytes(b"ok")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
CHANGES: dict[str, Change] = {
    "another user's": lambda headers: headers.update({"X-Id": "of-b"}),
    "a longer one": lambda headers: headers.update({"X-Id": "b" * 500}),
    "one that is no text": lambda headers: headers.update({"X-Id": 7}),
    "one beyond ASCII": lambda headers: headers.update({"X-Id": "schön"}),
    "one that cannot be sent": lambda headers: headers.update({"X-Id": "two\r\nlines"}),
    "one more": lambda headers: headers.update({"X-More": "of-b"}),
    "none": lambda headers: headers.clear(),
}
changed = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())


@changed
def test_headers_changed_while_a_connection_opens_are_sent_as_they_were(
    session_to: MakeSession, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    headers = {"X-Id": "of-a"}
    opened = Connection.open

    def change_and_open(connection: Connection, *arguments: Any) -> None:
        change(headers)
        opened(connection, *arguments)

    monkeypatch.setattr(Connection, "open", change_and_open)
    with ScriptedServer(always(OK)) as server:
        response = session_to(server.url).post("/orders", json={"of": "a"}, headers=headers)
        assert response.sent == server.requests[0]
    assert response.ok
    assert response.request.headers["X-Id"] == "of-a"
    assert response.sent.endswith(b'\r\n\r\n{"of":"a"}')


@changed
def test_headers_changed_before_an_answer_in_chunks_change_nothing(
    session_to: MakeSession, change: Change
) -> None:
    """The core hands such an answer to Python, which has to know what was sent."""
    headers = {"X-Id": "of-a"}

    def serve(connection: ServedConnection) -> None:
        while connection.read_request():
            change(headers)
            connection.send(CHUNKED)

    with ScriptedServer(serve) as server:
        session = session_to(server.url, concurrency=1)
        response = session.get("/", headers=headers)
        assert response.sent == server.requests[0]
        assert session.get("/").content == b"ok"  # there was one connection to be had
    assert response.request.headers["X-Id"] == "of-a"


@changed
def test_a_request_that_is_sent_again_has_the_headers_it_had(session_to: MakeSession, change: Change) -> None:
    headers = {"X-Id": "of-a"}

    def serve(connection: ServedConnection) -> None:
        connection.read_request()
        if connection.number == 0:
            change(headers)
            connection.reset()
        else:
            connection.send(OK)

    with ScriptedServer(serve) as server:
        response = session_to(server.url, max_retries=1).put("/orders/1", data="a", headers=headers)
    assert response.content == b"ok"
    assert len(server.requests) == 2
    assert server.requests[0] == server.requests[1]


@changed
def test_a_redirected_request_has_the_headers_it_had(session_to: MakeSession, change: Change) -> None:
    headers = {"X-Id": "of-a"}

    def serve(connection: ServedConnection) -> None:
        connection.read_request()
        change(headers)
        connection.send(response_bytes(status="307 Temporary Redirect", headers=["Location: /there"]))
        connection.read_request()
        connection.send(OK)

    with ScriptedServer(serve) as server:
        response = session_to(server.url).post("/here", data="a", headers=headers)
    assert response.content == b"ok"
    assert server.requests[1] == server.requests[0].replace(b"/here", b"/there")


def test_default_headers_changed_meanwhile_do_not_change_what_was_sent(session_to: MakeSession) -> None:
    def serve(connection: ServedConnection) -> None:
        connection.read_request()
        session.default_headers["X-New"] = "1"
        connection.send(CHUNKED)

    with ScriptedServer(serve) as server:
        session = session_to(server.url)
        response = session.get("/")
    assert response.sent == server.requests[0]


def test_a_name_that_is_there_twice_is_sent_twice(session_to: MakeSession) -> None:
    """What is copied of headers is of their kind."""
    with ScriptedServer(always(OK)) as server:
        session_to(server.url).get("/", headers=Headers([("X-Id", "1"), ("X-Id", "2")]))
    assert b"X-Id: 1\r\nX-Id: 2\r\n" in server.requests[0]
