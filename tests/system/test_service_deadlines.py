"""Work whose caller does not wait any more is not done, on both stores, as seen from a socket."""

import itertools
import json
import re
import select
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.contract.postgres_server import PostgresServer, postgres_server
from tests.target_service.buyers import wait_until
from tests.target_service.service_process import Answer, Service, running
from tests.timing import Timing

STALL_S = 0.4
_made = itertools.count()
"""Databases: the fixture below may be made more than once beside one server."""
BODY = b'{"buyer_id": 7, "lines": [{"sku": "sku-000001", "quantity": 1}]}'


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that these tests may crash, but leave running."""
    with postgres_server() as started:
        yield started


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def stalling(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service each of whose commits takes `STALL_S`."""
    folder = tmp_path_factory.mktemp("deadlines")
    drill = folder / "drill.json"
    stall = {"kind": "stall-store", "delay_ms": STALL_S * 1e3, "duration_s": 3600}
    drill.write_text(json.dumps({"faults": [stall]}))
    store = None
    if request.param == "postgres":
        store = request.getfixturevalue("server").create_database(f"deadlines_{next(_made)}")
    with running(folder, "--enable-faults", "--drill", str(drill), store=store) as service:
        yield service


@contextmanager
def sent(
    service: Service, key: str, deadline_ms: int = 60_000, body: bytes = BODY
) -> Iterator[socket.socket]:
    """A connection on which an order was sent, as far as `body` goes."""
    head = (
        "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\nIdempotency-Key: {key}\r\nX-Request-Deadline-Ms: {deadline_ms}\r\n\r\n"
    )
    with socket.create_connection(service.address, timeout=10) as connection:
        connection.sendall(head.encode() + body)
        yield connection


def heard(connection: socket.socket) -> Answer:
    """The answer on a connection."""
    response = HTTPResponse(connection)
    response.begin()
    return Answer(response.status, dict(response.getheaders()), response.read())


def wait_until_at_work(service: Service, requests: int) -> None:
    """Wait until the service works on so many requests."""
    wait_until(lambda: service.metric("orders_in_flight") == requests)


def was_made(service: Service, key: str) -> bool:
    """Whether an order of this key had been made; makes it otherwise."""
    answer = service.order(key)
    assert answer.status == 201, answer
    return "Idempotent-Replayed" in answer.headers


def test_a_deadline_that_passes_in_the_line_for_a_batch_ends_the_wait(stalling: Service) -> None:
    # On a busy machine the batch before may be done by the time that the second is sent: then there is no line.
    for attempt in range(10):
        with sent(stalling, f"ahead-{attempt}") as ahead:
            wait_until_at_work(stalling, 1)
            late, patient = f"late-{attempt}", f"patient-{attempt}"
            with sent(stalling, late, deadline_ms=50) as hurried, sent(stalling, patient) as waiting:
                answers = [heard(connection) for connection in (ahead, hurried, waiting)]
        assert (answers[0].status, answers[2].status) == (201, 201)
        assert was_made(stalling, patient)
        assert was_made(stalling, late) == (answers[1].status == 201)
        if answers[1].status != 201:
            assert answers[1].status == 503
            assert answers[1].json["type"] == "/problems/deadline"
            return
    pytest.fail("ten times nobody was late")


def test_who_hangs_up_in_the_line_for_a_batch_buys_nothing(stalling: Service) -> None:
    # On a busy machine the batch before may be done by the time that the hang-up is seen: then there is no line.
    for attempt in range(10):
        with sent(stalling, f"before-{attempt}") as before:
            wait_until_at_work(stalling, 1)
            with sent(stalling, f"gone-{attempt}"):
                wait_until_at_work(stalling, 2)
            wait_until_at_work(stalling, 1)
            was_in_line = not select.select([before], [], [], 0)[0]
            assert heard(before).status == 201
        was_bought = was_made(stalling, f"gone-{attempt}")
        if was_in_line:
            assert not was_bought
            return
    pytest.fail("ten batches were done before a hang-up was seen")


def test_who_sends_no_more_or_sends_too_early_is_answered_in_turn(stalling: Service) -> None:
    head = b"GET /products/sku-000001 HTTP/1.1\r\nHost: x\r\n\r\n"
    with sent(stalling, "half") as half:
        wait_until_at_work(stalling, 1)
        half.sendall(head + head)
        half.shutdown(socket.SHUT_WR)
        told = b"".join(iter(lambda: half.recv(65536), b""))
    statuses = [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", told)]
    assert [status for status in statuses if status != 100] == [201, 200, 200]


def test_what_has_begun_is_finished_and_told_even_after_its_deadline(stalling: Service) -> None:
    # Half of what a commit takes: an order that is begun at once is told 201 long after its deadline. One that had to
    # wait for another commit (a sweep's, the writer's proof) is refused, and is not made.
    for attempt in range(10):
        key = f"begun-{attempt}"
        with sent(stalling, key, deadline_ms=int(STALL_S * 500)) as begun:
            status = heard(begun).status
        assert was_made(stalling, key) == (status == 201)
        if status == 201:
            return
    pytest.fail("none of ten orders was begun before its deadline")


def test_a_deadline_that_passes_while_the_body_comes_is_noticed_before_the_store(
    stalling: Service, timing: Timing
) -> None:
    with sent(stalling, "dribbled", deadline_ms=100, body=BODY[:-1]) as dribbled:
        time.sleep(0.15)
        began = time.monotonic()
        dribbled.sendall(BODY[-1:])
        answer = heard(dribbled)
    lasted_s = time.monotonic() - began
    assert (answer.status, answer.json["type"]) == (503, "/problems/deadline")
    with timing:
        assert lasted_s < STALL_S
    assert not was_made(stalling, "dribbled")


def test_a_deadline_that_passes_while_sqlite_is_locked_is_told_then(tmp_path: Path) -> None:
    with running(tmp_path, "--store-wait-s", "8") as service:
        intruder = sqlite3.connect(tmp_path / "orders.db", isolation_level=None)
        intruder.execute("BEGIN IMMEDIATE")
        _is_told_in_time(service)
        intruder.execute("ROLLBACK")
        intruder.close()
        assert not was_made(service, "locked-out")


def test_a_deadline_that_passes_while_postgres_is_away_is_told_then(
    tmp_path: Path, server: PostgresServer
) -> None:
    with running(tmp_path, "--store-wait-s", "8", store=server.create_database("away")) as service:
        server.stop(signal.SIGQUIT)
        try:
            _is_told_in_time(service)
        finally:
            server.start()
        wait_until(lambda: service.ask("GET", "/readyz").status == 200)
        assert not was_made(service, "locked-out")


def _is_told_in_time(service: Service) -> None:
    began = time.monotonic()
    answer = service.order("locked-out", X_Request_Deadline_Ms="200")
    assert (answer.status, answer.json["type"]) == (503, "/problems/deadline")
    assert time.monotonic() - began < 4
