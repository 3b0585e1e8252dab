"""`singlesday capacity`: finds the highest rate that is sustained; computes the machines for a higher one.

One service, or somebody's `--target`, is offered one rate after another by the same users (`cli.step`);
`judge.capacity` says which is next. Where measurements at several sizes are given, the Universal Scalability Law is
fitted to them (`judge.usl`) and says how many machines a rate takes.
"""

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from loadtest.cli.children import signals_go_to
from loadtest.cli.cores import divide_machine
from loadtest.cli.run_session import RunError, Session
from loadtest.cli.step import Order
from loadtest.cli.step_workers import Seen, StepWorkers
from loadtest.configuration.check import objectives_of
from loadtest.configuration.config_error import ConfigError, explained_by
from loadtest.configuration.run_config import RunConfig
from loadtest.exit_codes import ExitCode
from loadtest.judge.capacity import CapacitySearch, Outcome
from loadtest.judge.capacity_result import CapacityResult, Step, tps_words
from loadtest.judge.slo_syntax import DRIFT, Kind, Slo, SloError, parse
from loadtest.judge.step_length import bound_s, measured_s
from loadtest.judge.usl import Bill, Measurement, fit
from loadtest.judge.validity import taken_by_others
from loadtest.plan.overrides import above_0_s, number_above_0
from loadtest.plan.plan_error import PlanError
from loadtest.plan.plan_file import Abort, Plan
from loadtest.plan.target_address import target_address
from loadtest.plan.target_rate import agreed_rate
from loadtest.publish import capacity_page
from loadtest.publish.paragraph import print_paragraph
from loadtest.publish.run_folder import new_run_folder
from loadtest.run_info import run_info

NOT_OF_A_RUN: dict[str, Any] = {"peak_tps": None, "duration": None}
"""Parameters that mean something else here than for a run."""
OUTCOMES: dict[int, Outcome] = {
    ExitCode.PASS: Outcome.PASS,
    ExitCode.SLO_FAIL: Outcome.FAIL,
    ExitCode.INVALID: Outcome.INVALID,
}
FIRST_SHARE = 0.7
"""The first rate tried, as a share of what a closed loop completes."""
MOST_STEPS = 12
MOST_AGAIN = 8
"""Steps, in all of a search, that are played again since others used the generator's CPU meanwhile."""
WARM_UP_S = 1
LEAST_WAITING_S = 1.0
"""A step is broken off when arrivals wait this long for a user, or twice the loosest bound on a latency."""


@dataclass(frozen=True)
class SearchSettings:
    """Settings of a search: rates in TPS, times in seconds."""

    start_tps: float | None
    """None: found by a closed loop."""
    measure_s: int | None
    """None: as long as the objectives need."""
    tolerance: float
    for_tps: float
    left_out: tuple[str, ...] = ()
    """The plan's objectives that a steady rate cannot be judged by."""


def asked_search(config: RunConfig, asked: Mapping[str, Any]) -> tuple[RunConfig, SearchSettings]:
    """The run whose rate is varied, and how. Raises `ConfigError`."""
    _check_figures(asked)
    try:
        measure_s = max(1, round(above_0_s(asked["duration"], "--duration"))) if asked["duration"] else None
        kept, left_out = _steady_objectives(config.plan)
    except (PlanError, SloError) as error:
        raise explained_by(error, "duration" if isinstance(error, PlanError) else "plan") from error
    settings = SearchSettings(asked["start_tps"], measure_s, asked["tolerance"], asked["for_tps"], left_out)
    return config.but(plan=steady(config.plan, kept), auto_peak=False), settings


def _check_figures(asked: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for a tolerance or a rate that is none."""
    if not 0 < asked["tolerance"] <= 1:
        raise ConfigError(
            "tolerance", f"--tolerance: expected a share above 0, at most 1, got {asked['tolerance']:g}"
        )
    for name, flag in (("start_tps", "--start-tps"), ("for_tps", "--for")):
        try:
            number_above_0(asked[name], flag)
        except PlanError as error:
            raise explained_by(error, name) from error


def steady(plan: Plan, slos: tuple[str, ...]) -> Plan:
    """The plan's scenarios at one rate, judged by `slos`."""
    return msgspec.structs.replace(plan.at_rate(1.0, duration_s=10.0), slos=slos, abort=Abort())


def _steady_objectives(plan: Plan) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The plan's objectives that one rate can be judged by, and the others: of a phase, a window, or drift."""
    kept: list[str] = []
    left_out: list[str] = []
    for expr in plan.slos:
        slo = parse(expr)
        whole = slo.phase is None and slo.window_s is None and slo.metric != DRIFT
        (kept if whole else left_out).append(expr)
    return tuple(kept), tuple(left_out)


def search(config: RunConfig, settings: SearchSettings, console: Console) -> ExitCode:
    """Find the capacity, print it and leave its files. Raises `RunError`, `ServiceError`."""
    folder = new_run_folder(Path(config.out), f"{config.plan.name}-capacity")
    session = Session(config.but(folder=str(folder)), console)
    try:
        session.folder.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"{session.folder}: cannot be written ({error.strerror})") from error
    with _stopped_by_signals(session):
        try:
            if config.needs_service:
                session.cores = divide_machine(config.workers)
                session.start_service()
            return _Search(session, settings).run()
        finally:
            session.close()


@contextlib.contextmanager
def _stopped_by_signals(session: Session) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into `_Stopped`, so that what is known is still written."""

    def stop(number: int, frame: FrameType | None) -> None:
        session.interrupt(number, frame)
        raise _Stopped

    with signals_go_to(stop):
        yield


class _Stopped(Exception):  # noqa: N818 - not an error
    """Somebody asked the search to stop."""


class _Search:
    """One search as it goes on."""

    def __init__(self, session: Session, settings: SearchSettings) -> None:
        self._session, self._settings = session, settings
        self._config = session.config
        self._objectives = objectives_of(session.config)
        self._workers = StepWorkers(session, self._objectives)
        self._json = session.config.console == "json"
        self._console = Console(quiet=True) if session.config.console == "quiet" else session.console
        self._steps: list[Step] = []
        self._began = datetime.now(UTC), time.monotonic()
        self._full_speed_tps: float | None = None
        self._seeking: CapacitySearch | None = None
        self._again = MOST_AGAIN

    def run(self) -> ExitCode:
        """Search; the files are written also when somebody stops it."""
        code = ExitCode.PASS
        try:
            for expr in self._settings.left_out:
                print_paragraph(self._console, f"not judged, since every step plays one steady rate: {expr}")
            if (auditor := self._config.plan.auditor) is not None:
                print_paragraph(self._console, f"not audited, since steps keep no ledger: {auditor}")
            self._seek()
        except _Stopped:
            code = ExitCode.ABORTED
        finally:
            self._workers.close()
        if self._seeking is None or not self._steps:
            return code
        result = self._result(self._seeking)
        if not result.sustained_tps and code is ExitCode.PASS:
            code = ExitCode.SLO_FAIL if result.limit != "generator" else ExitCode.INVALID
        self._deliver(result, code)
        return code

    def _seek(self) -> None:
        self._seeking = seeking = self._begun()
        while (tps := seeking.next_tps) is not None:
            order = self._order(tps)
            number = len(self._steps) + 1
            with self._console.status(
                f"step {number}: {tps_words(tps)} TPS, warm-up {order.warm_up_s:g} s, measured "
                f"{order.measure_s:g} s …"
            ):
                seen = self._workers.play(order)
            outcome = OUTCOMES[seen.result.exit_code]
            headroom = _told(outcome, seen)
            self._note(step_of(tps, outcome, seen, headroom))
            if outcome is Outcome.INVALID and self._again and taken_by_others(seen.result):
                self._again -= 1
                print_paragraph(
                    self._console, "other programs used the generator's CPU: the same rate again", style="dim"
                )
                continue
            seeking.record(outcome, seen.completed_tps, headroom)

    def _begun(self) -> CapacitySearch:
        settings, ceiling_tps = self._settings, self._ceiling_tps()
        start_tps = settings.start_tps
        if start_tps is None:
            start_tps = ceiling_tps / 4 if ceiling_tps < inf else self._first_guess()
        start_tps = max(1.0, min(start_tps, ceiling_tps))
        return CapacitySearch(
            start_tps=start_tps,
            ceiling_tps=max(ceiling_tps, start_tps),
            tolerance=settings.tolerance,
            most_trials=MOST_STEPS,
        )

    def _first_guess(self) -> float:
        with self._console.status("measuring full speed (closed loop), to choose the first rate …"):
            self._full_speed_tps = self._workers.full_speed()
        self._console.print(f"full speed (closed loop): {tps_words(self._full_speed_tps)} TPS", style="dim")
        return max(1.0, FIRST_SHARE * self._full_speed_tps)

    def _ceiling_tps(self) -> float:
        """The highest rate that the owners of all targets agreed to; infinite without an agreement."""
        plan = self._config.plan
        a_transaction = sum(scenario.per_transaction for scenario in plan.scenarios)
        agreed = [agreed_rate(plan, target_address(address).host) for address in self._config.addresses]
        return min((rate / a_transaction for rate in agreed if rate is not None), default=inf)

    def _order(self, tps: float) -> Order:
        bounds_s = [bound_s(slo) for slo in self._objectives if slo.kind is Kind.LATENCY]
        return Order(
            tps=tps,
            warm_up_s=WARM_UP_S,
            measure_s=self._settings.measure_s or measured_s(self._objectives, tps, self._settings.tolerance),
            most_waiting_s=max([LEAST_WAITING_S, *(2 * bound for bound in bounds_s)]),
        )

    def _note(self, step: Step) -> None:
        self._steps.append(step)
        if self._json:
            sys.stdout.write(json.dumps({"step": _shown(step)}) + "\n")
            sys.stdout.flush()
        else:
            print_paragraph(self._console, capacity_page.line(step), hang=4)

    def _result(self, seeking: CapacitySearch) -> CapacityResult:
        info = run_info(self._config, self._session.folder)
        began, began_s = self._began
        return CapacityResult.of(
            seeking.result,
            plan=self._config.plan.name,
            targets=info.targets,
            started_at=began.isoformat(timespec="seconds"),
            took_s=round(time.monotonic() - began_s, 1),
            objectives=[slo.expr for slo in self._objectives],
            tolerance=self._settings.tolerance,
            full_speed_tps=self._full_speed_tps,
            steps=self._steps,
            left_out=list(self._settings.left_out),
            versions=info.versions,
            machine=info.machine,
        )

    def _deliver(self, result: CapacityResult, code: ExitCode) -> None:
        folder = self._session.folder
        try:
            result.write(folder)
            page = capacity_page.write(result, folder)
        except OSError as error:
            raise RunError(f"{folder}: cannot be written ({error.strerror})") from error
        if self._json:
            shown = msgspec.structs.replace(result, steps=[])
            last = {"capacity": msgspec.to_builtins(shown), "exit_code": int(code), "folder": str(folder)}
            sys.stdout.write(json.dumps(last) + "\n")
            return
        print_capacity(result, self._settings.for_tps, self._session.console)
        self._session.console.print(f"report: {page}", soft_wrap=True, markup=False)


def _shown(step: Step) -> Any:
    """A step as a line of JSON: without its histogram, which `capacity.json` has."""
    return {name: value for name, value in msgspec.to_builtins(step).items() if name != "response_buckets"}


def _told(outcome: Outcome, seen: Seen) -> float | None:
    """The headroom of a step, where it says something of the outcome."""
    missed_otherwise = outcome is Outcome.FAIL and (seen.headroom or 0) >= 0
    return None if outcome is Outcome.INVALID or missed_otherwise else seen.headroom


def step_of(tps: float, outcome: Outcome, seen: Seen, headroom: float | None) -> Step:
    result = seen.result
    missed = [
        f"{slo.expr}: {_observed(slo.observed, parse(slo.expr))}" for slo in result.slo if not slo.passed
    ]
    return Step(
        tps=tps,
        outcome=outcome.value,
        why=result.validity.reasons if outcome is Outcome.INVALID else missed,
        measured_s=round(seen.measured_s, 3),
        completed_tps=seen.completed_tps,
        response_ms=seen.response_ms,
        response_buckets=seen.response_buckets,
        dispatch_lag_p99_ms=result.generator.dispatch_lag_ms.p99,
        cpu_max=result.generator.cpu_max,
        headroom=headroom,
    )


def _observed(value: float | None, slo: Slo) -> str:
    return "no data" if value is None else f"{value:.4g}{slo.unit}"


def print_capacity(found: CapacityResult, for_tps: float, console: Console) -> None:
    """Print what the search found, what limited it, and how far that is from the rate that is wanted."""
    print_paragraph(
        console, f"{found.sentence} ({len(found.steps)} steps in {found.took_s:.0f} s)", style="bold"
    )
    if found.sustained_tps:
        share = for_tps / found.sustained_tps
        print_paragraph(
            console,
            f"{for_tps:,.0f} TPS is {share:,.0f} times that: `singlesday simulate` predicts it, and "
            "`singlesday capacity --measured` computes the machines for it",
        )


def bill_of(measured: Sequence[str], for_tps: float) -> Bill:
    """The machines that a rate takes by `MACHINES=TPS` measurements. Raises `PlanError` naming the flag."""
    number_above_0(for_tps, "--for")
    try:
        law = fit([_measurement(text) for text in measured])
    except (ValueError, ImportError) as error:
        raise PlanError(f"--measured: {error}") from error
    try:
        return law.bill(for_tps)
    except ValueError as error:
        raise PlanError(f"--for: expected a rate within reach of what was measured, but {error}") from error


def _measurement(text: str) -> Measurement:
    machines, _, tps = text.partition("=")
    try:
        count = int(machines)
        float(count)  # a fit reckons with it
        return Measurement(count, float(tps))
    except (ValueError, OverflowError):
        raise ValueError(f'expected MACHINES=TPS, for example 4=14000, got "{text[:80]}"') from None


def print_bill(bill: Bill, console: Console) -> None:
    """Print the machines that a rate takes, with their confidence."""
    table = Table(box=None, show_header=False)
    table.add_row("rate", f"{bill.tps:,.0f} TPS")
    low, estimate, high = bill.machines
    most = f"{high:,.0f}" if high < inf else "any number"
    table.add_row("machines", f"{estimate:,.0f} ({low:,.0f} to {most}, 95 %)")
    table.add_row("arranged as", f"{bill.cells:,} cells of {bill.machines_a_cell:,} machines")
    table.add_row("extrapolated", f"to {bill.extrapolation:.1f} times the largest size measured")
    console.print(table)
