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
    with socket.create_connection(service.address, timeout=90) as connection:
        connection.sendall(head.encode() + body)
        yield connection


def heard(connection: socket.socket) -> Answer:
    """The answer on a connection."""
    response = HTTPResponse(connection)
    response.begin()
    return Answer(response.status, dict(response.getheaders()), response.read())


def is_answered(connection: socket.socket) -> bool:
    """Whether there is something to read."""
    return bool(select.select([connection], [], [], 0)[0])


def at_work(service: Service, requests: int, first: socket.socket) -> bool:
    """Wait until the service works on so many requests; False where it had answered the first of them by then."""
    wait_until(lambda: service.metric("orders_in_flight") == requests or is_answered(first))
    return not is_answered(first)


def never_in_ten(timing: Timing, what: str) -> None:
    """Fail since ten attempts came too late, unless others used the cores."""
    with timing:
        raise AssertionError(what)


def was_made(service: Service, key: str) -> bool:
    """Whether an order of this key had been made; makes it otherwise."""
    answer = service.order(key)
    assert answer.status == 201, answer
    return "Idempotent-Replayed" in answer.headers


def test_a_deadline_that_passes_in_the_line_for_a_batch_ends_the_wait(
    stalling: Service, timing: Timing
) -> None:
    # On a busy machine the batch before may be done by the time that the second is sent: then there is no line.
    for attempt in range(10):
        with sent(stalling, f"ahead-{attempt}") as ahead:
            at_work(stalling, 1, ahead)
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
    never_in_ten(timing, "ten times nobody was late")


def test_who_hangs_up_in_the_line_for_a_batch_buys_nothing(stalling: Service, timing: Timing) -> None:
    # On a busy machine the batch before may be done by the time that the hang-up is seen: then there is no line.
    for attempt in range(10):
        with sent(stalling, f"before-{attempt}") as before:
            at_work(stalling, 1, before)
            with sent(stalling, f"gone-{attempt}"):
                at_work(stalling, 2, before)
            was_in_line = at_work(stalling, 1, before)
            assert heard(before).status == 201
        was_bought = was_made(stalling, f"gone-{attempt}")
        if was_in_line:
            assert not was_bought
            return
    never_in_ten(timing, "ten batches were done before a hang-up was seen")


def test_who_sends_no_more_or_sends_too_early_is_answered_in_turn(stalling: Service) -> None:
    head = b"GET /products/sku-000001 HTTP/1.1\r\nHost: x\r\n\r\n"
    with sent(stalling, "half") as half:
        at_work(stalling, 1, half)
        half.sendall(head + head)
        half.shutdown(socket.SHUT_WR)
        told = b"".join(iter(lambda: half.recv(65536), b""))
    statuses = [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", told)]
    assert [status for status in statuses if status != 100] == [201, 200, 200]


def test_what_has_begun_is_finished_and_told_even_after_its_deadline(
    stalling: Service, timing: Timing
) -> None:
    # Half of what a commit takes: an order that is begun at once is told 201 long after its deadline. One that had to
    # wait for another commit (a sweep's, the writer's proof) is refused, and is not made.
    for attempt in range(10):
        key = f"begun-{attempt}"
        with sent(stalling, key, deadline_ms=int(STALL_S * 500)) as begun:
            status = heard(begun).status
        assert was_made(stalling, key) == (status == 201)
        if status == 201:
            return
    never_in_ten(timing, "none of ten orders was begun before its deadline")


def test_a_deadline_that_passes_while_the_body_comes_is_noticed_before_the_store(
    stalling: Service, timing: Timing
) -> None:
    with sent(stalling, "dribbled", deadline_ms=100, body=BODY[:-1]) as dribbled:
        wait_until(
            lambda: stalling.metric("orders_in_flight") == 1
        )  # its head was read: the deadline has begun
        time.sleep(0.15)
        began = time.monotonic()
        dribbled.sendall(BODY[-1:])
        answer = heard(dribbled)
    lasted_s = time.monotonic() - began
    assert (answer.status, answer.json["type"]) == (503, "/problems/deadline")
    with timing:
        assert lasted_s < STALL_S
    assert not was_made(stalling, "dribbled")


def test_a_deadline_that_passes_while_sqlite_is_locked_is_told_then(tmp_path: Path, timing: Timing) -> None:
    with running(tmp_path, "--store-wait-s", "60") as service:
        intruder = sqlite3.connect(tmp_path / "orders.db", isolation_level=None)
        intruder.execute("BEGIN IMMEDIATE")
        _is_told_in_time(service, timing)
        intruder.execute("ROLLBACK")
        intruder.close()
        assert not was_made(service, "locked-out")


def test_a_deadline_that_passes_while_postgres_is_away_is_told_then(
    tmp_path: Path, server: PostgresServer, timing: Timing
) -> None:
    with running(tmp_path, "--store-wait-s", "60", store=server.create_database("away")) as service:
        server.stop(signal.SIGQUIT)
        try:
            _is_told_in_time(service, timing)
        finally:
            server.start()
        wait_until(lambda: service.ask("GET", "/readyz").status == 200)
        assert not was_made(service, "locked-out")


def _is_told_in_time(service: Service, timing: Timing) -> None:
    began = time.monotonic()
    answer = service.order("locked-out", X_Request_Deadline_Ms="200")
    lasted_s = time.monotonic() - began
    assert (answer.status, answer.json["type"]) == (503, "/problems/deadline")
    with timing:
        assert lasted_s < 4
