"""Random plans with faults, played by real processes: the verdict is right, and every arrival is explained.

Each seed is a plan (`tests.system.fault_plans`); what its verdict has to be is worked out by
`tests.system.fault_oracle` from the script's own notes and the service's database. CI plays two of the
hundred, others each day; `FAULT_PLANS=100 pytest tests/system/test_fault_plans.py` plays all.
"""

import contextlib
import dataclasses
import datetime
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from loadtest.exit_codes import ExitCode
from loadtest.faults.player import UNMET
from loadtest.measure.run_result import RunResult
from loadtest.plan.fault import KINDS
from tests.system.fault_oracle import FEW, Oracle, Order, Spell, dues, orders, p99, stored
from tests.system.fault_plans import DISK, HOOKS, Drawn, FaultPlan, draw
from tests.system.small_disk import disk_or_skip
from tests.timing import CoreTakenError, Others, unless_ended

ALL = 100
PLAYED = int(os.environ.get("FAULT_PLANS", "2"))
FIRST = datetime.datetime.now(datetime.UTC).toordinal() * PLAYED
LATE_MS = 10
HARMLESS = ("late (p99)", "of a CPU", "were sent up to")
"""What a generator says whose cores were taken: its run proves nothing of the service, and its books are right."""


@dataclass(frozen=True)
class Played:
    """A run that is over."""

    plan: FaultPlan
    code: int
    output: str
    result: RunResult
    orders: list[Order]
    stored: Counter[str]
    called: list[str]
    """The paths of the switch that were asked for."""


class Switch(http.server.BaseHTTPRequestHandler):
    """Somebody's own switch: it knows on and off."""

    called: list[str]

    def do_POST(self) -> None:
        """Note which, and answer."""
        self.called.append(self.path)
        self.send_response(204 if self.path in {"/on", "/off"} else 404)
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def switch() -> Iterator[tuple[str, list[str]]]:
    """(its address, the paths that are asked for)."""
    called: list[str] = []
    handler = type("OneSwitch", (Switch,), {"called": called})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", called
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def disk_for(plan: FaultPlan, folder: Path) -> Iterator[Path]:
    """A folder of its own file system if the plan fills one; skips the test where none can be made."""
    if not plan.needs_disk:
        folder.mkdir()
        yield folder
        return
    with disk_or_skip(folder, 48) as disk:
        yield disk


def play(plan: FaultPlan, folder: Path) -> Played:
    """Play a plan, and read all that is known of it."""
    others = Others()
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("noted_orders.py"), folder)
    with switch() as (address, called), disk_for(plan, folder / "disk") as disk:
        text = plan.text.replace(HOOKS, address).replace(DISK, str(disk))
        (folder / "plan.toml").write_text(text)
        flags = [flag.replace(DISK, str(disk)) for flag in plan.flags]
        command = [sys.executable, "-m", "loadtest.cli.main", "run", "plan.toml", "--out", "runs", "--quiet"]
        ended = subprocess.run([*command, *flags], cwd=folder, capture_output=True, text=True, timeout=400)
        output = ended.stdout + ended.stderr
        assert ended.returncode in (0, 10, 11, 12), output
        (run,) = (folder / "runs").iterdir()
        result = RunResult.read(run / "result.json")
        unless_ended(result, others)
        assert ended.returncode != ExitCode.ABORTED, output
        if result.arrivals.dropped and (reason := others.taken()) is not None:
            raise CoreTakenError(reason)  # a generator that is over a second late drops arrivals
        database = disk / "orders.db" if plan.needs_disk else run / "orders.db"
        return Played(plan, ended.returncode, output, result, orders(run, plan), stored(database), called)


def assert_every_arrival_is_explained(played: Played) -> None:
    """By the record, by the notes and by the database alike."""
    arrivals = played.result.arrivals
    assert arrivals.planned == len(dues(played.plan))
    assert arrivals.planned == arrivals.scheduled + arrivals.lost
    assert arrivals.scheduled == arrivals.started + arrivals.dropped
    assert arrivals.started == arrivals.ok + arrivals.failed + arrivals.empty + arrivals.cancelled
    assert (arrivals.lost, arrivals.dropped, arrivals.empty) == (0, 0, 0)
    assert arrivals.started == len(played.orders)
    promised = {order.key for order in played.orders if order.is_ok}
    assert arrivals.ok == len(promised) == played.result.transactions.count
    keys = {order.key for order in played.orders}
    assert len(keys) == len(played.orders)
    assert promised <= played.stored.keys() <= keys, "an order was lost, or one is there that nobody sent"
    assert set(played.stored.values()) <= {1}, "an order was stored twice"
    audit = played.result.audit
    assert audit is not None
    assert audit.balanced
    assert (audit.acknowledged, audit.stored) == (len(promised), len(played.stored))


def assert_every_fault_was_made_and_undone(played: Played) -> None:
    """At its instant or later, never before; a broken one says so."""
    for drawn, fault in zip(played.plan.faults, played.result.faults, strict=True):
        # Beside another fault, such as a crash, there may have been nothing for it to hit.
        was_missed = fault.problem == UNMET and played.plan.seed >= 0 and len(played.plan.faults) > 1
        assert bool(fault.problem) == drawn.is_broken or was_missed, fault
        if drawn.is_broken:
            continue
        assert fault.began_s is not None
        assert fault.ended_s is not None
        assert fault.began_s >= drawn.at_s - 0.002
        assert fault.ended_s >= drawn.end_s - 0.002
        assert fault.did
        if "url" in drawn.keys:
            assert played.called.count("/on") >= 1
            assert played.called.count("/off") >= 1


def oracle_of(played: Played) -> Oracle:
    """What the run must have said."""
    spells = [
        Spell(fault.name, fault.began_s, fault.ended_s)
        for fault in played.result.faults
        if fault.began_s is not None and fault.ended_s is not None
    ]
    return Oracle(played.plan, played.orders, spells)


def assert_the_record_agrees(played: Played, oracle: Oracle) -> None:
    """With what the notes say of each fault, and of each objective; the verdict is the one that follows."""
    said = {slo.expr: slo.passed for slo in played.result.slo if slo.source != "implicit"}
    expected = oracle.expectations()
    assert said.keys() == expected.keys()
    wrong = {expr: met for expr, met in expected.items() if met is not None and said[expr] != met}
    assert not wrong, (wrong, played.result.faults)
    for fault in played.result.faults:
        if fault.name not in oracle.recovered or fault.name in oracle.open:
            continue
        assert fault.detected_in_s == pytest.approx(oracle.detected[fault.name], abs=0.002)
        assert fault.recovered_in_s == pytest.approx(oracle.recovered[fault.name], abs=0.002)
        drawn = next(one for one in played.plan.faults if one.name == fault.name)
        assert fault.goodput == pytest.approx(oracle.goodput(drawn.window), abs=FEW / fault.planned)
    implicit = {slo.expr: slo.passed for slo in played.result.slo if slo.source == "implicit"}
    met = {share < 0.01 for share in oracle.errors_outside()}
    if not oracle.open and len(met) == 1:
        assert {implicit["errors(*) < 1%"], implicit["availability > 99%"]} == met
    assert implicit["dropped == 0"]
    assert implicit["scenarios_without_requests == 0"]
    passed = all(said.values()) and all(implicit.values())
    if played.result.validity.verdict == "INVALID":
        assert (played.result.verdict, played.code) == ("INVALID", 11)
    else:
        assert (played.result.verdict, played.code) == (("PASS", 0) if passed else ("FAIL", 10))


def assert_the_verdict_was_known(played: Played) -> None:
    """What physics says beforehand: this could hold, that could not."""
    said = {slo.expr: slo.passed for slo in played.result.slo}
    for fault in played.plan.faults:
        for expr, holds in fault.expect.items():
            if holds is not None and not fault.is_broken:
                words = (
                    f"{fault.name} {expr}" if expr.startswith("goodput") else f"{expr} during {fault.name}"
                )
                assert said[words] == holds, (words, played.result.faults)


def assert_the_generator_is_right_about_itself(played: Played) -> None:
    """It calls itself INVALID for a fault that could not be played, or for being late, and it was late then."""
    validity = played.result.validity
    broken = [fault.name for fault in played.plan.faults if fault.is_broken]
    for name in broken:
        assert any(f"the fault {name} could not be played" in reason for reason in validity.reasons), validity
    others = [why for why in validity.reasons if not any(f"fault {name} " in why for name in broken)]
    assert all(any(word in reason for word in (*HARMLESS, UNMET)) for reason in others), validity
    assert (validity.verdict == "INVALID") >= bool(broken)
    if late := [reason for reason in others if "late (p99)" in reason]:
        assert p99((order.began_s - order.due_s) * 1000 for order in played.orders) > LATE_MS * 0.9, late


def every_kind_at_once() -> FaultPlan:
    """A plan in which each kind of fault goes on while all others do; the service is killed in the midst of it."""
    keys: dict[str, dict[str, object]] = {
        "half-open": {"share": 0.2},
        "loss": {"share": 0.2},
        "latency": {"delay": "30ms"},
        "bandwidth": {"bytes_per_s": 50_000},
        "delay": {"share": 0.2},
        "error": {"share": 0.2},
        "reset": {"share": 0.2},
        "hang": {"share": 0.1},
        "stall": {"delay": "50ms"},
        "slow-body": {"share": 0.2},
        "stop": {"process": "supervisor"},
        "restart": {},
        "cpu": {},
        "disk-full": {"folder": DISK},
        "overload": {"times": 2.0},
        "mark": {},
        "hook": {"url": f"{HOOKS}/on", "undo_url": f"{HOOKS}/off"},
        "kill": {"process": "supervisor"},
    }
    assert keys.keys() == set(KINDS)
    faults = [
        Drawn(kind, kind, 3.0 + number / 20, 2.5 - number / 20, 5.0, of_kind)
        for number, (kind, of_kind) in enumerate(keys.items())
    ]
    faults[-1] = dataclasses.replace(faults[-1], at_s=4.5, for_s=1.5)
    return FaultPlan(-1, 14.0, 1.0, faults)


def test_every_kind_of_fault_at_once_is_made_and_undone_and_nothing_acknowledged_is_lost(
    tmp_path: Path,
) -> None:
    played = play(every_kind_at_once(), tmp_path / "play")
    assert_every_arrival_is_explained(played)
    assert_every_fault_was_made_and_undone(played)
    assert_the_record_agrees(played, oracle_of(played))
    said = [text for _, text in played.result.events if text.startswith("fault ")]
    assert len(said) == 2 * len(KINDS)
    # Orders that came after the crash were acknowledged, by a service that somebody started again.
    back_s = played.result.faults[-1].ended_s or 0.0
    later = [order.is_ok for order in played.orders if order.began_s > back_s + 1.0]
    assert any(later) or not later
    left = [
        p.pid for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or ())
    ]
    assert left == []


@pytest.mark.slow(
    held_by="test_every_kind_of_fault_at_once_is_made_and_undone_and_nothing_acknowledged_is_lost"
)
@pytest.mark.parametrize("seed", [(FIRST + number) % ALL for number in range(PLAYED)])
def test_the_verdict_of_a_random_fault_plan_is_right_and_every_arrival_is_explained(
    seed: int, tmp_path: Path
) -> None:
    played = play(draw(seed), tmp_path / "play")
    assert_every_arrival_is_explained(played)
    assert_every_fault_was_made_and_undone(played)
    assert_the_record_agrees(played, oracle_of(played))
    assert_the_verdict_was_known(played)
    assert_the_generator_is_right_about_itself(played)
