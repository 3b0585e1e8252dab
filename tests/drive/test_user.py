"""`FastHttpUser` in Locust: in a real run, with a shared pool, through a proxy, and when its users go."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from locust.env import Environment
from locust.exception import StopTest

from loadtest.cli.children import wait_until
from loadtest.drive.errors import UnansweredError
from loadtest.drive.session import Session
from loadtest.drive.user import FastHttpUser
from loadtest.records import UNANSWERED, Outcome
from loadtest.testing import ScriptedServer, ServedConnection, always, response_bytes
from tests.timing import Timing

MakeSession = Callable[..., Session]

OK = response_bytes(b"ok")
LOCUSTFILE = """
from locust import constant_throughput, task
from loadtest import FastHttpUser

class Visitor(FastHttpUser):
    wait_time = constant_throughput(20)

    @task
    def visit(self):
        self.client.get("/fine")
        with self.client.get("/bad", catch_response=True) as response:
            response.failure("as decided")
"""


def user_of(environment: Environment, url: str, **attributes: Any) -> Any:
    """A user of a class with these attributes."""
    return type("AnyUser", (FastHttpUser,), {"host": url, **attributes})(environment)


def test_a_plain_locustfile_runs_and_locusts_statistics_are_right(tmp_path: Path) -> None:
    (tmp_path / "locustfile.py").write_text(LOCUSTFILE)
    command = [sys.executable, "-m", "locust", "--headless", "-u", "2", "-r", "2", "-t", "150s", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("LOCUST_SKIP_MONKEY_PATCH", None)
    pipe = subprocess.PIPE
    with (
        ScriptedServer(always(OK)) as server,
        subprocess.Popen(
            [*command, "--host", server.url],
            cwd=tmp_path,
            env=environment,
            stdout=pipe,
            stderr=pipe,
            text=True,
        ) as locust,
    ):
        try:
            assert wait_until(lambda: len(server.requests) > 40 or locust.poll() is not None, 100)
            locust.terminate()
            out, said = locust.communicate(timeout=100)
        finally:
            locust.kill()
        served = len(server.requests)
    assert locust.returncode == 1, said  # Locust's way of saying that requests failed
    rows = {row["name"]: row for row in json.loads(out)}
    counted = sum(row["num_requests"] for row in rows.values())
    assert served - 2 <= counted <= served  # each of the two users may be stopped inside a request
    assert counted > 20
    assert rows["/bad"]["num_failures"] == rows["/bad"]["num_requests"]
    assert rows["/fine"]["num_failures"] == 0
    assert sum(rows["/fine"]["response_times"].values()) == rows["/fine"]["num_requests"]


def test_a_user_without_a_host_stops_the_test(environment: Environment) -> None:
    with pytest.raises(StopTest, match="specify the base host"):
        user_of(environment, None)  # type: ignore[arg-type] # that is the point


def test_users_with_the_same_client_pool_share_its_connections(environment: Environment) -> None:
    class HTTPClientPool:
        """As much of geventhttpclient's as counts."""

        client_args = {"concurrency": 1}  # noqa: RUF012 - as it is there

    with ScriptedServer(always(OK)) as server:
        shared = HTTPClientPool()
        users = [user_of(environment, server.url, client_pool=shared) for _ in range(5)]
        visits = [gevent.spawn(user.client.get, "/") for user in users]
        gevent.joinall(visits, raise_error=True)
        assert all(visit.value.ok for visit in visits)
        assert server.connections == 1
        users[0].client.close()


def test_a_user_that_is_gone_leaves_no_connection_open(environment: Environment) -> None:
    left: list[bool] = []

    def answer(connection: ServedConnection) -> None:
        connection.read_request()
        connection.send(OK)
        connection.wait_for_close()
        left.append(True)

    with ScriptedServer(answer) as server:
        user = user_of(environment, server.url)
        user.client.get("/")
        del user
        gc.collect()
        with gevent.Timeout(60):
            while not left:
                gevent.sleep(0.005)


def test_a_plain_proxy_is_told_the_whole_url(session_to: MakeSession) -> None:
    with ScriptedServer(always(OK)) as proxy:
        session = session_to("http://127.0.0.1:9", proxy=("127.0.0.1", proxy.port))
        assert session.get("/orders").ok
    assert proxy.requests[0].startswith(b"GET http://127.0.0.1:9/orders HTTP/1.1\r\nHost: 127.0.0.1:9\r\n")


def test_a_proxy_is_no_way_around_the_guard_rail(session_to: MakeSession, outcomes: list[Outcome]) -> None:
    with ScriptedServer(always(OK)) as proxy:
        session_to("http://shop.example", proxy=("127.0.0.1", proxy.port)).get("/")
        assert proxy.connections == 0
    assert outcomes[0].error == "not-allowed"


def test_a_proxy_that_refuses_a_tunnel_is_a_protocol_error(
    session_to: MakeSession, outcomes: list[Outcome]
) -> None:
    with ScriptedServer(always(response_bytes(b"no", "403 Forbidden"))) as proxy:
        session_to("https://127.0.0.1:9", proxy=("127.0.0.1", proxy.port)).get("/")
    assert proxy.requests == [b"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n"]
    assert outcomes[0].error == "protocol"


def test_a_response_that_dribbles_on_ends_at_the_total_timeout(
    session_to: MakeSession, outcomes: list[Outcome], timing: Timing
) -> None:
    def dribble(connection: ServedConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        while True:
            connection.send(b"x")
            gevent.sleep(0.01)

    with ScriptedServer(dribble) as server:
        session_to(server.url, total_timeout=0.2).get("/")
    assert outcomes[0].error == "timeout-read"
    assert outcomes[0].service_ns >= 0.2e9
    with timing:
        assert outcomes[0].service_ns < 1e9


def test_a_request_that_the_end_of_the_run_cut_off_is_not_sent_again(
    session_to: MakeSession, outcomes: list[Outcome]
) -> None:
    def never_answer(connection: ServedConnection) -> None:
        while connection.read_request():
            pass

    with ScriptedServer(never_answer) as server:
        session = session_to(server.url, max_retries=5)
        user = gevent.spawn(session.get, "/")
        with gevent.Timeout(60):
            while not server.requests:
                gevent.sleep(0.01)
        gevent.get_hub().loop.run_callback(user.throw, UnansweredError("no answer when the run ended"))
        user.join(60)
        assert len(server.requests) == 1
    assert [outcome.error for outcome in outcomes] == [UNANSWERED]


def test_a_request_that_may_be_sent_twice_is_repeated_max_retries_times(
    session_to: MakeSession, outcomes: list[Outcome]
) -> None:
    with ScriptedServer(ServedConnection.close) as server:
        session = session_to(server.url, max_retries=2)
        session.get("/")
        assert server.connections == 3
        session.post("/", json=1)
        assert server.connections == 4
    assert len(outcomes) == 2
