"""Things going wrong on purpose: kills, power cuts, full disks, stalls, and what is promised then."""

import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.target_service.buyers import Buyers, unbalanced_products, wait_until
from tests.target_service.drills import kill_drill, power_drill, power_shim
from tests.target_service.service_process import ROOT, Answer, Service, ask, running
from tests.timing import Timing

TOKEN = "made-up"  # noqa: S105 - of a service that lives for one test
DRILLED = ("--enable-faults", "--admin-token", TOKEN)


def set_drill(service: Service, *faults: dict[str, object], token: str = TOKEN) -> Answer:
    body = json.dumps({"faults": faults, "seed": 1})
    return ask(service.admin_url, "PUT", "/admin/faults", body, {"Authorization": f"Bearer {token}"})


def test_killing_the_service_under_load_loses_no_acknowledged_order(tmp_path: Path) -> None:
    outcome = kill_drill(tmp_path, rounds=2)
    assert outcome.acknowledged
    assert (outcome.lost, outcome.duplicated, outcome.unbalanced) == ([], 0, [])


def test_a_power_cut_loses_no_acknowledged_order(tmp_path: Path) -> None:
    outcome = power_drill(tmp_path, rounds=2)
    assert outcome.acknowledged
    assert (outcome.lost, outcome.duplicated, outcome.unbalanced) == ([], 0, [])


@pytest.mark.slow(held_by="test_a_power_cut_loses_no_acknowledged_order")
def test_the_power_cut_drill_finds_what_an_unsynced_store_loses(tmp_path: Path) -> None:
    assert power_drill(tmp_path, rounds=2, synchronous="OFF").lost


def test_a_full_disk_is_answered_with_507_and_recovers(tmp_path: Path) -> None:
    full = tmp_path / "full"
    environment = {
        "LD_PRELOAD": str(power_shim(tmp_path)),
        "POWER_PREFIX": f"{tmp_path}/orders.db",
        "POWER_FULL": str(full),
    }
    with running(tmp_path, **environment) as service:
        assert service.order("before").status == 201
        full.touch()
        refused = [service.order(f"full-{n}") for n in range(5)]
        assert [answer.status for answer in refused] == [507] * 5
        assert refused[0].headers["Retry-After"] == "5"
        full.unlink()
        assert [service.order(f"full-{n}").headers.get("Idempotent-Replayed") for n in range(5)] == [None] * 5
        assert service.order("before").headers["Idempotent-Replayed"] == "true"
        service.stop()
    assert unbalanced_products(tmp_path) == []


def test_a_worker_killed_by_a_drill_is_replaced_and_still_under_the_drill(tmp_path: Path) -> None:
    with running(tmp_path, *DRILLED) as service:
        (first,) = service.worker_pids()
        assert set_drill(service, {"kind": "kill-worker", "duration_s": 60}, {"kind": "error"}).status == 200
        with pytest.raises(ConnectionError):
            wait_until(lambda: service.order().status == 0)
        wait_until(lambda: service.worker_pids() not in ([], [first]))
        assert service.ask("GET", "/healthz").status == 200
        wait_until(lambda: service.metric("orders_worker_restarts_total") >= 1)


@pytest.fixture(scope="module")
def undrilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that plays no drill."""
    with running(tmp_path_factory.mktemp("undrilled"), "--admin-token", TOKEN) as service:
        yield service


def test_drills_need_the_flag_and_the_token(undrilled: Service) -> None:
    assert set_drill(undrilled, {"kind": "error"}).status == 403
    assert set_drill(undrilled, {"kind": "error"}, token="guess").status == 401
    unasked = ask(undrilled.admin_url, "GET", "/admin/config")
    assert (unasked.status, unasked.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert ask(undrilled.admin_url, "DELETE", "/admin/config").headers["Allow"] == "GET, HEAD"
    assert ask(undrilled.admin_url, "GET", "/metrics").status == 200


def test_faults_are_met_counted_and_ended(tmp_path: Path) -> None:
    drill = tmp_path / "drill.json"
    drill.write_text('{"faults": [{"kind": "error", "route": "create_order"}]}')
    with running(tmp_path, *DRILLED, "--drill", str(drill)) as service:
        assert service.order().status == 500
        assert service.ask("GET", "/products/sku-000001").status == 200
        assert service.metric('orders_faults_total{kind="error"}') == 1
        assert set_drill(service, {"kind": "earthquake"}).status == 422
        assert set_drill(service, {"kind": "delay", "delay_ms": 300}).status == 200
        wait_until(lambda: service.order().status == 201)
        began = time.monotonic()
        service.order()
        assert time.monotonic() - began > 0.28
        set_drill(service, {"kind": "reset"})
        with pytest.raises(ConnectionError):
            wait_until(lambda: service.order().status == 0)
        set_drill(service, {"kind": "slow-body", "delay_ms": 400})
        wait_until(lambda: _timed(service)[1] > 0.38)
        answer, took_s = _timed(service)  # the order is made, and told bit by bit
        assert (answer.status, json.loads(answer.body)["status"]) == (201, "created")
        assert took_s > 0.38
        with contextlib.closing(HTTPConnection(*service.address, timeout=20)) as connection:
            connection.request("HEAD", "/products/sku-000001")
            assert connection.getresponse().read() == b""
            connection.request("GET", "/healthz")  # no bit of a body is in its way
            assert connection.getresponse().status == 200
        set_drill(service)
        wait_until(lambda: service.order().status == 201)


def test_under_overload_the_rest_is_refused_at_once_and_the_books_balance(
    tmp_path: Path, timing: Timing
) -> None:
    with running(tmp_path, *DRILLED, "--most-in-flight", "64") as service:
        set_drill(service, {"kind": "stall-store", "delay_ms": 1000})
        wait_until(lambda: _timed(service)[1] > 0.9)
        with ThreadPoolExecutor(200) as buyers:
            answers = list(buyers.map(lambda _: _timed(service), range(200)))
        refused = [seconds for answer, seconds in answers if answer.status == 503]
        served = [seconds for answer, seconds in answers if answer.status == 201]
        assert len(refused) + len(served) == 200
        with timing:  # all had come before the first was answered
            assert len(served) >= 64
            assert refused
        # At once: while every order that is taken on waits for a commit of one second, refusals do not.
        with timing:
            assert sorted(refused)[len(refused) // 2] < min(served)
        assert service.metric("orders_shed_total") == len(refused)
        set_drill(service)
        wait_until(lambda: service.order().status == 201)
        service.stop()
    assert unbalanced_products(tmp_path) == []


def test_an_order_whose_commit_hangs_is_told_that_it_may_be_stored_and_its_key_tells_that_it_is(
    tmp_path: Path,
) -> None:
    with running(tmp_path, *DRILLED, "--store-wait-s", "0.2") as service:
        set_drill(service, {"kind": "stall-store", "delay_ms": 2000})
        told: list[Answer] = []

        def is_told() -> bool:
            """Whether the newest order is; one may come before the stall, or wait in line behind another change."""
            told.append(service.order(f"k{len(told)}"))
            return str(told[-1].json.get("type")) == "/problems/fate-unknown"

        wait_until(is_told)
        assert (told[-1].status, told[-1].headers["Retry-After"]) == (503, "1")
        assert service.metric('orders_rejected_total{reason="fate-unknown",traffic="live"}') == 1
        set_drill(service)
        key = f"k{len(told) - 1}"
        wait_until(lambda: service.order(key).status == 201)
        assert service.order(key).headers["Idempotent-Replayed"] == "true"
        service.stop()
    with contextlib.closing(sqlite3.connect(tmp_path / "orders.db")) as database:
        assert database.execute(
            "SELECT count(*) FROM orders WHERE idempotency_key = ?", (key,)
        ).fetchone() == (1,)


def _timed(service: Service) -> tuple[Answer, float]:
    began = time.monotonic()
    return service.order(), time.monotonic() - began


def test_work_whose_caller_does_not_wait_any_more_is_not_done(undrilled: Service) -> None:
    created, database = 'orders_created_total{traffic="live"}', undrilled.log.with_name("orders.db")
    assert undrilled.order().status == 201
    before = undrilled.metric(created)
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as intruder:
        intruder.execute("BEGIN IMMEDIATE")
        late = undrilled.order("late", X_Request_Deadline_Ms="50")
        assert (late.status, late.json["type"]) == (503, "/problems/deadline")
    assert undrilled.order("late").status == 201
    assert undrilled.order("late").headers["Idempotent-Replayed"] == "true"
    assert undrilled.metric(created) == before + 1


def test_unpaid_orders_are_cancelled_when_their_reservation_ends(tmp_path: Path) -> None:
    with running(tmp_path, "--reservation-s", "5", "--stock", "1") as service:
        path = service.order().headers["Location"]
        assert service.order().status == 409
        wait_until(lambda: service.ask("GET", path).json["status"] == "cancelled")
        assert service.order().status == 201
        assert service.metric("orders_cancelled_total") >= 1


def test_a_run_is_purged_beside_the_running_service(undrilled: Service, tmp_path: Path) -> None:
    for n in range(3):
        undrilled.order(f"k{n}", X_Load_Test="run-1")
    undrilled.order("live")
    command = [sys.executable, "-m", "target_service.purge", "run-1"]
    command += ["--store", f"sqlite:///{undrilled.log.with_name('orders.db')}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "purged 3 orders of run-1\n"), done.stderr
    assert undrilled.ask("GET", "/products/sku-000001", X_Load_Test="run-1").json["available"] == 1_000_000
    assert undrilled.order("live").headers["Idempotent-Replayed"] == "true"
    bad = subprocess.run([*command[:3], "no such/run"], cwd=ROOT, capture_output=True, text=True)
    assert bad.returncode == 2
    assert "X-Load-Test" in bad.stderr
    nowhere = [*command[:-1], f"sqlite:///{tmp_path}/nowhere.db"]
    bad = subprocess.run(nowhere, cwd=ROOT, capture_output=True, text=True)
    assert (bad.returncode, (tmp_path / "nowhere.db").exists()) == (2, False)
    assert f"expected an order service's database, there is no file {tmp_path}/nowhere.db" in bad.stderr


@pytest.mark.slow(held_by="test_killing_the_service_under_load_loses_no_acknowledged_order")
def test_buyers_are_served_through_many_stalls_without_a_wrong_book(tmp_path: Path) -> None:
    with running(tmp_path, *DRILLED, "--workers", "2", "--store-wait-s", "0.2") as service:
        set_drill(
            service,
            {"kind": "stall-store", "delay_ms": 50, "probability": 0.2},
            {"kind": "reset", "probability": 0.002},
        )
        with Buyers(service, 8) as buyers:
            wait_until(lambda: len(buyers.acknowledged) > 300 or buyers.all_cut)
        service.stop()
    assert buyers.acknowledged
    assert unbalanced_products(tmp_path) == []


class WallClock:
    """The service's wall clock, which can be stepped: a shim before `clock_gettime` reads by how much from a file."""

    SOURCE = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <time.h>
        int clock_gettime(clockid_t clock, struct timespec *now) {
            static int (*real)(clockid_t, struct timespec *);
            long step = 0;
            FILE *steps;
            if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
            int result = real(clock, now);
            if (clock == CLOCK_REALTIME && (steps = fopen(getenv("WALL_CLOCK_STEP"), "r"))) {
                if (fscanf(steps, "%ld", &step) == 1) now->tv_sec += step;
                fclose(steps);
            }
            return result;
        }
    """

    def __init__(self, folder: Path) -> None:
        self._steps = folder / "step"
        self.step(0)
        library = folder / "clock.so"
        command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), "-ldl"]
        subprocess.run(command, input=self.SOURCE, text=True, check=True)
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK_STEP": str(self._steps)}

    def step(self, seconds: int) -> None:
        """Set it that far from the true time."""
        self._steps.write_text(str(seconds))


@pytest.mark.slow(held_by="test_unpaid_orders_are_cancelled_when_their_reservation_ends")
def test_steps_of_the_wall_clock_neither_end_a_reservation_early_nor_keep_it_for_ever(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    with running(tmp_path, "--reservation-s", "5", "--key-ttl-s", "5", **clock.environment) as service:
        orders: list[dict[str, Any]] = []
        for step_s in (0, 7200, -7200, -86_400, 0):
            clock.step(step_s)
            orders.append(service.order(f"key-{len(orders)}").json)
            assert [status(service, order) for order in orders] == ["created"] * len(orders)
        assert orders[1]["created_at_ms"] - orders[0]["created_at_ms"] > 7_000_000, "the clock was stepped"
        assert service.order("key-1").headers["Idempotent-Replayed"] == "true"
        for order in orders:
            wait_until(lambda: status(service, order) == "cancelled", 20)  # noqa: B023 - it waits here
        wait_until(lambda: "Idempotent-Replayed" not in service.order("key-1").headers, 20)


def status(service: Service, order: dict[str, Any]) -> str:
    found: str = service.ask("GET", f"/orders/{order['order_id']}").json["status"]
    return found
