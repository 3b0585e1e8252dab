"""The fault table: whatever a target does, the request ends, in its class, and is counted once."""

from collections.abc import Callable

import gevent
import pytest
from locust.env import Environment

from loadtest.drive.errors import error_class
from loadtest.drive.recorder import Recorder
from loadtest.drive.session import Session
from loadtest.records import Outcome
from loadtest.testing import ScriptedServer, ServedConnection, response_bytes
from tests.timing import Timing

MakeSession = Callable[..., Session]

OK = response_bytes(b"ok")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def reset_at_once(connection: ServedConnection) -> None:
    connection.read_request()
    connection.reset()


def reset_inside_the_body(connection: ServedConnection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
    gevent.sleep(0.05)  # a reset overtakes what has not been read
    connection.reset()


def close_at_once(connection: ServedConnection) -> None:
    connection.read_request()


def close_inside_the_body(connection: ServedConnection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")


def half_close_without_an_answer(connection: ServedConnection) -> None:
    connection.read_request()
    connection.half_close()
    connection.wait_for_close()


def hang(connection: ServedConnection) -> None:
    connection.read_request()
    connection.wait_for_close()


def hang_inside_the_body(connection: ServedConnection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
    connection.wait_for_close()


def speak_another_protocol(connection: ServedConnection) -> None:
    connection.read_request()
    connection.send(b"220 mail.example ESMTP\r\n")
    connection.wait_for_close()


def send_a_bad_chunk(connection: ServedConnection) -> None:
    connection.read_request()
    connection.send(CHUNKED + b"5\r\nhello\r\n", b"XYZ\r\nworld\r\n")
    connection.wait_for_close()


def send_a_huge_head(connection: ServedConnection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.send(b"X-Pad: " + b"x" * 60_000 + b"\r\n")


def switch_protocols(connection: ServedConnection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    connection.wait_for_close()


FAULTS = [
    (reset_at_once, "reset"),
    (reset_inside_the_body, "reset"),
    (close_at_once, "closed"),
    (close_inside_the_body, "closed"),
    (half_close_without_an_answer, "closed"),
    (hang, "timeout-read"),
    (hang_inside_the_body, "timeout-read"),
    (speak_another_protocol, "protocol"),
    (send_a_bad_chunk, "protocol"),
    (send_a_huge_head, "protocol"),
    (switch_protocols, "protocol"),
]


@pytest.mark.parametrize(("script", "error"), FAULTS)
def test_each_fault_has_its_class_and_is_counted_once(  # noqa: PLR0917 - fixtures
    session_to: MakeSession,
    outcomes: list[Outcome],
    environment: Environment,
    recorder: Recorder,
    script: Callable[[ServedConnection], None],
    error: str,
) -> None:
    patience_s = 0.2 if error == "timeout-read" else 60
    with ScriptedServer(script) as server:
        session = session_to(server.url, network_timeout=patience_s)
        for _ in range(3):
            response = session.post("/orders", json={})
            assert response.status_code == 0
    assert [outcome.error for outcome in outcomes] == [error] * 3
    recorder.flush()
    assert (environment.stats.total.num_requests, environment.stats.total.num_failures) == (3, 3)
    assert sum(row.occurrences for row in environment.stats.errors.values()) == 3
    assert len(environment.stats.errors) == 1


@pytest.mark.parametrize(
    "system_error", [BrokenPipeError(), ConnectionAbortedError(), ConnectionResetError()]
)
def test_whatever_the_system_calls_a_connection_cut_off_it_is_one_class(system_error: OSError) -> None:
    assert error_class(system_error) == "reset"


def redirect_with(header: str) -> Callable[[ServedConnection], None]:
    """A server that answers every request with a redirect that has this header."""

    def serve(connection: ServedConnection) -> None:
        while True:
            connection.read_request()
            connection.send(response_bytes(b"", "302 Found", [header]))

    return serve


@pytest.mark.parametrize(("location", "sent"), [("/again", 4), ("ftp://127.0.0.1/", 1)])
def test_a_redirect_that_leads_nowhere_is_its_own_class(
    session_to: MakeSession, outcomes: list[Outcome], location: str, sent: int
) -> None:
    with ScriptedServer(redirect_with(f"Location: {location}")) as server:
        session_to(server.url, max_redirects=3).get("/")
        assert len(server.requests) == sent
    assert [outcome.error for outcome in outcomes] == ["redirect"]


def test_a_redirect_that_names_no_location_is_an_answer(
    session_to: MakeSession, outcomes: list[Outcome]
) -> None:
    with ScriptedServer(redirect_with("X-None: 1")) as server:
        session_to(server.url, max_redirects=3).get("/")
        assert len(server.requests) == 1
    assert [outcome.error for outcome in outcomes] == [None]


def test_no_connection_within_the_timeout_is_its_own_class(
    session_to: MakeSession, outcomes: list[Outcome]
) -> None:
    """A full backlog: the kernel leaves the handshake unanswered."""
    import socket  # noqa: PLC0415 - only here

    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        session_to(f"http://127.0.0.1:{full.getsockname()[1]}", connection_timeout=0.1).get("/")
        for filler in fillers:
            filler.close()
    assert outcomes[0].error == "timeout-connect"
    assert outcomes[0].sent_ns == outcomes[0].intended_ns


def test_a_name_that_does_not_resolve_is_its_own_class(
    session_to: MakeSession, outcomes: list[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket  # noqa: PLC0415 - only here

    from loadtest.drive import targets  # noqa: PLC0415 - only here

    def fail(_host: str, _port: int) -> list[targets.Address]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(targets, "_process_wide", targets.AllowedTargets({"shop.example": 10.0}, fail))
    session_to("http://shop.example").get("/")
    assert outcomes[0].error == "dns"


def test_a_slow_response_is_no_error_as_long_as_it_moves(
    session_to: MakeSession, outcomes: list[Outcome], timing: Timing
) -> None:
    def dribble(connection: ServedConnection) -> None:
        connection.read_request()
        for byte in OK:
            connection.send(bytes([byte]))
            gevent.sleep(0.005)

    with ScriptedServer(dribble) as server:
        response = session_to(server.url, network_timeout=0.15).get("/")
    with timing:  # a server that is kept from its core for so long does not move
        assert (response.text, outcomes[0].error) == ("ok", None)
    assert outcomes[0].service_ns > 0.15e9


def serve_one_then_close(connection: ServedConnection) -> None:
    """Closes a kept-alive connection at the worst moment: when the next request has arrived."""
    connection.read_request()
    connection.send(OK)
    if connection.number == 0:
        connection.read_request()
    else:
        connection.wait_for_close()


@pytest.mark.parametrize(
    ("method", "headers", "repeated"),
    [
        ("GET", None, True),
        ("PUT", None, True),
        ("POST", None, False),
        ("POST", {"Idempotency-Key": "k1"}, True),
        ("PATCH", {"idempotency-key": "k1"}, True),
        ("PATCH", None, False),
    ],
)
def test_a_dead_kept_alive_connection_is_replaced_only_where_that_is_safe(
    session_to: MakeSession,
    outcomes: list[Outcome],
    method: str,
    headers: dict[str, str] | None,
    repeated: bool,
) -> None:
    with ScriptedServer(serve_one_then_close) as server:
        session = session_to(server.url)
        assert not session.get("/").was_repeated
        assert session.request(method, "/", headers=headers).was_repeated == repeated
        assert len(server.requests) == (3 if repeated else 2)
    assert outcomes[1].error == (None if repeated else "closed")


def test_a_new_connection_that_dies_is_not_retried(session_to: MakeSession, outcomes: list[Outcome]) -> None:
    with ScriptedServer(close_at_once) as server:
        session_to(server.url).get("/")
        assert server.connections == 1
    assert outcomes[0].error == "closed"


def heard_on(session: Session) -> None:
    """Wait until the session has heard that its only connection was closed."""
    (pool,) = session._pools.values()
    with gevent.Timeout(60):
        while pool.idle:
            gevent.sleep(0.001)


def test_a_connection_closed_while_idle_is_noticed_before_it_is_used(
    session_to: MakeSession, outcomes: list[Outcome]
) -> None:
    def serve_one(connection: ServedConnection) -> None:
        connection.read_request()
        connection.send(OK)

    with ScriptedServer(serve_one) as server:
        session = session_to(server.url)
        for _ in range(3):
            assert session.post("/").ok
            heard_on(session)
        assert server.connections == 3
    assert [outcome.error for outcome in outcomes] == [None] * 3


def test_an_early_answer_to_a_large_body_is_read(session_to: MakeSession) -> None:
    def refuse_early(connection: ServedConnection) -> None:
        connection.send(response_bytes(b"too large", "413 Content Too Large", ["Connection: close"]))
        connection.half_close()
        connection.wait_for_close()

    with ScriptedServer(refuse_early) as server:
        response = session_to(server.url).post("/", data=b"x" * 20_000_000)
    assert (response.status_code, response.text) == (413, "too large")


def test_a_large_body_arrives_whole(session_to: MakeSession) -> None:
    def answer(connection: ServedConnection) -> None:
        connection.read_request()
        connection.send(OK)

    body = bytes(range(256)) * 40_000
    with ScriptedServer(answer) as server:
        assert session_to(server.url).post("/", data=body).ok
        assert server.requests[0].endswith(b"\r\n\r\n" + body)


def test_a_killed_user_leaves_no_connection_behind(session_to: MakeSession, outcomes: list[Outcome]) -> None:
    with ScriptedServer(hang) as server:
        session = session_to(server.url, concurrency=1)
        waiting = gevent.spawn(session.get, "/")
        while not server.requests:
            gevent.sleep(0.001)
        waiting.kill()
        pool = next(iter(session._pools.values()))
        assert pool._open_count == 0
    assert outcomes == []
