"""The client against scripted servers on real sockets: what is sent, what is made of the answer, what is
recorded.
"""

import json
from collections.abc import Callable
from itertools import pairwise

import gevent
import pytest
from locust.exception import LocustError

from loadtest.drive.errors import HostNotAllowed
from loadtest.drive.session import Session
from loadtest.records import Outcome
from loadtest.testing import ScriptedServer, ServedConnection, always, response_bytes
from tests.timing import Timing

MakeSession = Callable[..., Session]

OK_JSON = response_bytes(b'{"status": "created"}', headers=["Content-Type: application/json"])


def test_get_returns_status_headers_and_content(session_to: MakeSession) -> None:
    with ScriptedServer(always(OK_JSON)) as server:
        response = session_to(server.url).get("/orders/1")
    assert (response.status_code, response.ok) == (200, True)
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"status": "created"}
    assert response.url == f"{server.url}/orders/1"


def test_post_json_sends_the_body_and_describes_it(session_to: MakeSession) -> None:
    with ScriptedServer(always(OK_JSON)) as server:
        session_to(server.url).post("/orders", json={"buyer_id": 7, "lines": []})
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /orders HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/json" in head
    assert b"\r\nContent-Length: %d" % len(body) in head
    assert json.loads(body) == {"buyer_id": 7, "lines": []}


def test_requests_of_a_session_share_a_connection(session_to: MakeSession) -> None:
    with ScriptedServer(always(OK_JSON)) as server:
        session = session_to(server.url)
        for _ in range(5):
            assert session.get("/").ok
    assert server.connections == 1


def test_each_request_is_one_outcome(session_to: MakeSession, outcomes: list[Outcome]) -> None:
    with ScriptedServer(always(OK_JSON)) as server:
        session = session_to(server.url)
        session.get("/a", name="named")
        session.post("/b", json=1)
    assert [(o.method, o.name, o.error, o.response_bytes) for o in outcomes] == [
        ("GET", "named", None, 21),
        ("POST", "/b", None, 21),
    ]
    assert all(o.intended_ns <= o.sent_ns < o.done_ns for o in outcomes)
    assert all(earlier.done_ns <= later.intended_ns for earlier, later in pairwise(outcomes))


def test_an_outcome_says_what_crossed_the_network(session_to: MakeSession, outcomes: list[Outcome]) -> None:
    with ScriptedServer(always(OK_JSON)) as server:
        session = session_to(server.url)
        session.get("/opens")
        session.post("/goes/on", json=1)
        with session.get("/caught", catch_response=True):
            pass
    opened, kept, caught = (outcome.exchange for outcome in outcomes)
    assert opened is not None
    assert kept is not None
    assert caught is not None
    assert opened.connect_ns > 0
    assert (kept.connect_ns, opened.tls_ns) == (0, 0)
    assert [seen.sent_bytes for seen in (opened, kept, caught)] == [len(each) for each in server.requests]
    assert {seen.received_bytes for seen in (opened, kept, caught)} == {len(OK_JSON)}
    assert all(seen.first_ns in {0, outcomes[number].done_ns} for number, seen in enumerate([opened, kept]))


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
@pytest.mark.parametrize("cut_at", [10, 60], ids=["in the head", "in the body"])
def test_a_response_in_two_pieces_has_an_earlier_first_byte(
    session_to: MakeSession, outcomes: list[Outcome], timing: Timing, status: str, cut_at: int
) -> None:
    whole = response_bytes(b"x" * 40, status)

    def serve(connection: ServedConnection) -> None:
        connection.read_request()
        connection.send(whole[:cut_at])
        gevent.sleep(0.05)
        connection.send(whole[cut_at:])
        connection.wait_for_close()

    with ScriptedServer(serve) as server:
        session_to(server.url).get("/")
    (outcome,) = outcomes
    assert outcome.exchange is not None
    assert outcome.exchange.received_bytes == len(whole)
    with timing:  # a client that comes late finds both pieces there
        assert outcome.sent_ns < outcome.exchange.first_ns < outcome.done_ns


def test_the_first_request_after_an_arrival_takes_its_intended_instant(
    session_to: MakeSession, outcomes: list[Outcome]
) -> None:
    with ScriptedServer(always(OK_JSON)) as server:
        session = session_to(server.url)
        session.intended_ns = 42
        session.get("/")
        session.get("/")
    assert outcomes[0].intended_ns == 42
    assert outcomes[1].intended_ns > 42


def test_a_chunked_response_with_trailers_is_one_body(session_to: MakeSession) -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n6;note=x\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    with ScriptedServer(always(chunked)) as server:
        session = session_to(server.url)
        assert [session.get("/").text for _ in range(2)] == ["hello world"] * 2
    assert server.connections == 1


def test_a_status_that_is_no_success_is_a_failure_of_its_own_class(
    session_to: MakeSession, outcomes: list[Outcome]
) -> None:
    with ScriptedServer(always(response_bytes(b"later", "503 Service Unavailable"))) as server:
        response = session_to(server.url).get("/")
    assert (response.status_code, response.text, response.ok) == (503, "later", False)
    assert outcomes[0].error == "status-503"


def test_a_refused_connection_is_an_outcome_without_a_response(
    session_to: MakeSession, outcomes: list[Outcome], refusing_port: int
) -> None:
    response = session_to(f"http://127.0.0.1:{refusing_port}").get("/")
    assert (response.status_code, response.content, response.headers) == (0, None, None)
    with pytest.raises(ConnectionRefusedError):
        response.raise_for_status()
    assert outcomes[0].error == "refused"
    assert outcomes[0].sent_ns == outcomes[0].intended_ns


def test_a_server_that_hangs_is_a_read_timeout(
    session_to: MakeSession, outcomes: list[Outcome], timing: Timing
) -> None:
    with ScriptedServer(ServedConnection.wait_for_close) as server:
        response = session_to(server.url, network_timeout=0.05).get("/")
    assert isinstance(response.error.original, TimeoutError)  # where FastHttpUser's scripts look for it
    assert outcomes[0].error == "timeout-read"
    assert outcomes[0].service_ns >= 0.05e9
    with timing:
        assert outcomes[0].service_ns < 1e9


@pytest.mark.parametrize("catch_response", [False, True])
@pytest.mark.parametrize("warm", [False, True], ids=["first", "kept connection"])
def test_a_request_that_the_script_gives_up_is_recorded_and_the_timeout_goes_on(
    session_to: MakeSession, outcomes: list[Outcome], catch_response: bool, warm: bool
) -> None:
    def serve(connection: ServedConnection) -> None:
        if warm:
            connection.read_request()
            connection.send(response_bytes(b"ok"))
        connection.wait_for_close()

    with ScriptedServer(serve) as server:
        session = session_to(server.url)
        if warm:
            session.get("/")
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.3):  # by then it has asked
            session.get("/slow", name="slow", catch_response=catch_response)
    cut = outcomes[-1]
    assert (cut.name, cut.error) == ("slow", "timeout-read")
    assert cut.response_ns >= 0.3e9


def test_a_name_that_is_no_text_is_shown_as_one(session_to: MakeSession, outcomes: list[Outcome]) -> None:
    with ScriptedServer(always(response_bytes(b"ok"))) as server:
        for name in (5, ("a", 1)):
            session_to(server.url).get("/", name=name)
    assert [outcome.name for outcome in outcomes] == ["5", "('a', 1)"]


def test_a_host_that_is_not_allowed_gets_nothing(session_to: MakeSession, outcomes: list[Outcome]) -> None:
    response = session_to("http://shop.example").get("/")
    assert isinstance(response.error, HostNotAllowed)
    assert outcomes[0].error == "not-allowed"


def test_the_script_decides_inside_a_with_block(session_to: MakeSession, outcomes: list[Outcome]) -> None:
    with ScriptedServer(always(response_bytes(b"gone", "404 Not Found"))) as server:
        session = session_to(server.url)
        with session.get("/", catch_response=True) as response:
            response.success()
        with session.get("/", catch_response=True) as response:
            response.failure("wrong body")
        with session.get("/", catch_response=True):
            assert len(outcomes) == 2
    assert [outcome.error for outcome in outcomes] == [None, "failure", "status-404"]


def test_a_verdict_without_catch_response_is_refused(session_to: MakeSession) -> None:
    with ScriptedServer(always(OK_JSON)) as server:
        response = session_to(server.url).get("/")
        with pytest.raises(LocustError, match="catch_response=True"):
            response.failure("no")


def test_two_requests_at_once_use_two_connections(session_to: MakeSession) -> None:
    with ScriptedServer(always(OK_JSON)) as server:
        session = session_to(server.url)
        gevent.joinall([gevent.spawn(session.get, "/") for _ in range(2)], raise_error=True)
        assert server.connections == 2


def test_a_killed_waiter_passes_its_turn_on(session_to: MakeSession) -> None:
    with ScriptedServer(always(OK_JSON)) as server:
        session = session_to(server.url, concurrency=1)
        requests = [gevent.spawn(session.get, "/") for _ in range(50)]
        gevent.sleep(0)
        for doomed in requests[::2]:
            gevent.spawn(doomed.kill)
        gevent.joinall(requests, timeout=60)
        assert all(request.ready() for request in requests)
        assert all(request.value.ok for request in requests[1::2])


def test_requests_beyond_the_concurrency_wait_for_a_connection(session_to: MakeSession) -> None:
    with ScriptedServer(always(OK_JSON)) as server:
        session = session_to(server.url, concurrency=2)
        requests = [gevent.spawn(session.get, "/") for _ in range(20)]
        gevent.joinall(requests, raise_error=True)
        assert all(request.value.ok for request in requests)
        assert server.connections == 2
