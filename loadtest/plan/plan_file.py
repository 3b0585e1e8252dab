"""Plan files: a load test written down in TOML, and the `Plan` it becomes once every key is checked.

The file's tables are read as the structs of `plan_tables`, which say what each key may hold. A
`Plan` is what remains: plain values, complete in itself (a CSV's knots are in it), so that the master can
send it to the workers as JSON. Whatever is wrong is a `PlanError` that names the file, the key and what was
expected, and it is raised here, before any traffic.

How the numbers relate. A curve is in fractions of the peak: `peak_tps` is the rate of transactions at 1.0.
The time axis of the curve is multiplied by `time_scale`, so a plan of 30 minutes plays in 3 at a scale of
0.1: as high, ten times as steep, and with a tenth of the arrivals. Then the plan is cut to `duration_s`,
which is in seconds as played.

A scenario follows the plan's curve, `per_transaction` times as high, or a curve of its own: then
`per_transaction * peak_tps` is its rate where that is at 1.0. Both curves begin at the plan's time zero, and all that
is said of the time axis holds for both.
"""

import tomllib
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import msgspec
from msgspec import Struct

from loadtest.plan.curve import Curve, read_curve, read_text, seconds
from loadtest.plan.fault import Fault, faults_of
from loadtest.plan.feeder_table import FeederTable
from loadtest.plan.mix import Mix
from loadtest.plan.plan_check import check_plan
from loadtest.plan.plan_error import PlanError, converted, explained, suggestion
from loadtest.plan.plan_tables import (
    KEYS,
    ArrivalKind,
    AtLeastOne,
    PlanTable,
    Positive,
    ScenarioTable,
    Seed,
    Share,
    SloTable,
)
from loadtest.plan.profile import Phase, Piecewise
from loadtest.plan.scaled import Scaled
from loadtest.plan.schedule import Poisson, Schedule, Uniform

__all__ = ["Abort", "Curve", "Plan", "PlanError", "Scenario", "shipped_drills", "shipped_plans"]

_SHIPPED = files("loadtest.plan") / "plans"
_DRILLS = files("loadtest.plan") / "drills"
_LEAST = 1e-9  # of arrivals for each transaction, which must be above 0


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """What some of the arrivals do."""

    user: str
    """A Locust user class, `module:Class`."""
    per_transaction: Positive = 1.0
    """Arrivals for each transaction; with a curve of its own, where that is at 1.0, in multiples of `peak_tps`."""
    transaction: bool = False
    """Whether each of its arrivals is a transaction."""
    curve: Curve | None = None
    """Its own; None follows the plan's."""
    feeder: FeederTable | None = None
    """Where its rows come from."""


class Abort(Struct, frozen=True, forbid_unknown_fields=True):
    """When to stop a run that has gone wrong."""

    unless: tuple[str, ...] = ()
    """SLOs; breaching one for `after_s` ends the run."""
    after_s: Positive = 5.0


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A load test, checked and complete. Made by `load` or `from_json`, varied by `with_overrides`."""

    name: str
    peak_tps: Positive
    """Transactions per second where the curve is at 1.0."""
    duration_s: Positive
    """How long it plays."""
    time_scale: Positive = 1.0
    """Seconds played for each second of the curve."""
    arrivals: ArrivalKind = "uniform"
    seed: Seed = 1
    virtual_users: AtLeastOne = 1000
    """Locust users that serve the arrivals, over all workers."""
    patience_s: Positive = 10.0
    """How long an arrival may wait for an idle user before it is dropped."""
    trace_fraction: Share = 0.0
    """Share of the requests that carry a `traceparent`, so that the slowest can be looked up by their trace."""
    curve: Curve
    scenarios: tuple[Scenario, ...]
    """At least one; at least one of them is the transaction."""
    slos: tuple[str, ...] = ()
    abort: Abort = Abort()
    faults: tuple[Fault, ...] = ()
    """What goes wrong on purpose; each is a phase of its name."""
    auditor: str | None = None
    """`module:Class` that reads what a service of one's own has stored."""
    targets: dict[str, float] = {}
    """Hosts beyond loopback that may be loaded, each with its highest rate in requests per second."""

    @classmethod
    def load(cls, name_or_path: str | Path) -> "Plan":
        """Read a shipped plan by its name, or a `.toml` file by its path. Raises PlanError."""
        path = Path(name_or_path)
        if path.suffix == ".toml":
            return _read(path)
        shipped = shipped_plans()
        if str(name_or_path) not in shipped:
            raise PlanError(
                f'unknown plan "{name_or_path}"{suggestion(str(name_or_path), shipped)}; '
                f"expected one of {', '.join(shipped)}, or the path of a .toml file"
            )
        return _read(Path(str(_SHIPPED / f"{name_or_path}.toml")))

    @classmethod
    def from_json(cls, data: bytes) -> "Plan":
        """A plan that `to_json` wrote. Raises PlanError."""
        try:
            plan = msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError as error:
            raise PlanError(f"plan sent as JSON: {explained(error)}") from error
        check_plan(plan, "plan sent as JSON")
        return plan

    def to_json(self) -> bytes:
        """The plan as JSON, complete in itself."""
        return msgspec.json.encode(self)

    def with_overrides(
        self,
        *,
        peak_tps: float | None = None,
        duration_s: float | None = None,
        time_scale: float | None = None,
        seed: int | None = None,
        arrivals: str | None = None,
        virtual_users: int | None = None,
        patience_s: float | None = None,
        trace_fraction: float | None = None,
    ) -> "Plan":
        """The plan with what is not None put in its place. Raises PlanError.

        A `time_scale` without a `duration_s` stretches the duration too, so that the same part of the curve
        plays; a `duration_s` is always in seconds as played.
        """
        if time_scale is not None and duration_s is None and time_scale > 0:
            duration_s = self.duration_s * time_scale / self.time_scale
        changes = {
            "peak_tps": peak_tps,
            "duration_s": duration_s,
            "time_scale": time_scale,
            "seed": seed,
            "arrivals": arrivals,
            "virtual_users": virtual_users,
            "patience_s": patience_s,
            "trace_fraction": trace_fraction,
        }
        values = msgspec.to_builtins(self) | {
            key: value for key, value in changes.items() if value is not None
        }
        for fault in values["faults"]:
            fault["at_s"] *= values["time_scale"] / self.time_scale
        plan = converted(values, Plan, f"plan {self.name}")
        check_plan(plan, f"plan {self.name}")
        return plan

    def profile(self) -> Piecewise:
        """Transactions per second over the seconds as played: scaled to `peak_tps`, stretched, and cut."""
        return self.played(self.curve)

    def scenario_profile(self, scenario_index: int) -> Scaled:
        """Arrivals of one scenario per second over the seconds as played."""
        scenario = self.scenarios[scenario_index]
        return Scaled(self.played(scenario.curve or self.curve), scenario.per_transaction)

    def share_of_peak(self) -> Callable[[float], float]:
        """A function of seconds as played: the rate of transactions then, as a share of their peak."""
        profile = self.profile()
        _, peak_tps = profile.peak
        return lambda t_s: profile.rate(t_s) / peak_tps

    def arrivals_profile(self) -> Piecewise:
        """Arrivals of all scenarios per second over the seconds as played."""
        shared = sum(scenario.per_transaction for scenario in self.scenarios if scenario.curve is None)
        whole = self.profile().scale(shared)
        for scenario in self.scenarios:
            if scenario.curve is not None:
                whole = whole.add(self.played(scenario.curve).scale(scenario.per_transaction))
        return whole

    def scenario_arrivals(self) -> list[float]:
        """How many arrivals each scenario has in all; counts may be fractional."""
        return [self.scenario_profile(i).total for i in range(len(self.scenarios))]

    def as_at_its_peak(self) -> "Plan":
        """The same plan with every scenario on the plan's curve, in the proportions of its peak second."""
        at_s, peak_tps = self.profile().peak
        rates = [self.scenario_profile(i).rate(at_s) for i in range(len(self.scenarios))]
        scenarios = tuple(
            scenario
            if scenario.curve is None
            else msgspec.structs.replace(scenario, curve=None, per_transaction=max(rate / peak_tps, _LEAST))
            for scenario, rate in zip(self.scenarios, rates, strict=True)
        )
        return msgspec.structs.replace(self, scenarios=scenarios)

    def at_rate(self, tps: float, duration_s: float) -> "Plan":
        """The same plan at one rate, in the proportions of its peak second, and without faults."""
        return msgspec.structs.replace(
            self.as_at_its_peak(),
            curve=Curve("constant"),
            peak_tps=tps,
            duration_s=duration_s,
            time_scale=1.0,
            faults=(),
        )

    def played(self, curve: Curve) -> Piecewise:
        """A curve over the seconds as played: scaled to `peak_tps`, stretched, cut, and overloaded by faults."""
        normal = self.normally_played(curve)
        profile = normal
        for fault in self.faults:
            if fault.times > 1:
                more = normal.cut(fault.for_s, from_s=fault.at_s).scale(fault.times - 1)
                profile = profile.add(Piecewise(more.segments), at_s=fault.at_s)
        periods = [Phase(*fault.period, fault.name) for fault in self.faults]
        return Piecewise(profile.segments, sorted([*profile.phases, *periods])) if periods else profile

    def normally_played(self, curve: Curve) -> Piecewise:
        """The same without what faults add to it."""
        return _normally_played(curve, self.peak_tps, self.time_scale, self.duration_s)

    def schedule(self, scenario_index: int) -> Schedule:
        """When the arrivals of one scenario are due."""
        rate = self.scenario_profile(scenario_index)
        if self.arrivals == "uniform":
            return Uniform(rate)
        return Poisson(rate, seed=f"{self.seed}/{scenario_index}")

    def mix(self) -> Mix:
        """When the arrivals of all scenarios are due, as one stream."""
        return Mix([self.schedule(i) for i in range(len(self.scenarios))])


@lru_cache(maxsize=8)
def _normally_played(curve: Curve, peak_tps: float, time_scale: float, duration_s: float) -> Piecewise:
    """Made once for all scenarios on one curve: an imported log has sixty of them on a curve of a thousand knots."""
    whole = curve.profile(at_least_s=duration_s / time_scale)
    return whole.scale(peak_tps).stretch(time_scale).cut(duration_s)


def shipped_plans() -> list[str]:
    """The names of the plans that come with the package, sorted."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in _SHIPPED.iterdir() if entry.name.endswith(".toml")
    )


def shipped_drills() -> dict[str, Path]:
    """The drills that come with the package: the file of each, by name."""
    entries = (Path(str(entry)) for entry in _DRILLS.iterdir())
    return {path.stem: path for path in sorted(entries) if path.suffix == ".toml"}


def _read(path: Path) -> Plan:
    try:
        document = tomllib.loads(read_text(path, str(path)))
    except PlanError:
        raise
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"{path}: expected TOML: {' '.join(str(error).split())}") from error
    except (ValueError, RecursionError) as error:  # which tomllib lets pass
        raise PlanError(f"{path}: expected TOML: a number or a list in it is too long") from error
    table = converted(document, PlanTable, str(path), KEYS)
    if table.profile is None:
        raise PlanError(f"{path}: profile: expected a table [profile] with curve, knots, knots_tps or csv")
    curve, highest_tps = read_curve(table.profile, path)
    peak_tps = table.peak_tps or highest_tps
    if peak_tps is None:
        raise PlanError(
            f"{path}: peak_tps: expected the transactions a second at the peak, where the curve is at 1.0"
        )
    plan = Plan(
        name=path.stem if table.name is None else table.name,
        peak_tps=peak_tps,
        duration_s=_played_s(table, curve, path),
        time_scale=table.time_scale,
        arrivals=table.arrivals,
        seed=table.seed,
        virtual_users=table.virtual_users,
        patience_s=_above_0_s(table.patience_s, f"{path}: patience_s"),
        trace_fraction=table.trace_fraction,
        curve=curve,
        scenarios=_with_transaction(_scenarios(table.scenario, peak_tps, path)),
        slos=tuple(_slo(slo) for slo in table.slo),
        faults=faults_of(table.fault, table.time_scale, str(path)),
        abort=Abort(table.abort.unless, _above_0_s(table.abort.after, f"{path}: abort.after")),
        auditor=table.auditor,
        targets=table.targets,
    )
    check_plan(plan, str(path))
    return plan


def _played_s(table: PlanTable, curve: Curve, path: Path) -> float:
    """The file's duration, or else the whole curve's."""
    if table.duration is not None:
        return _above_0_s(table.duration, f"{path}: duration")
    if curve.name == "constant":
        raise PlanError(
            f'{path}: duration: expected, for example "60s", since a constant curve has no end of its own'
        )
    return curve.profile().duration_s * table.time_scale


def _above_0_s(written: str | float, where: str) -> float:
    played_s = seconds(written, where)
    if played_s == 0:
        raise PlanError(f"{where}: expected more than 0 s")
    return played_s


def _scenarios(tables: tuple[ScenarioTable, ...], peak_tps: float, path: Path) -> tuple[Scenario, ...]:
    """The scenarios as the file has them, each with its own curve if it has one."""
    scenarios = []
    for i, table in enumerate(tables):
        curve, highest_tps = None, None
        if table.profile is not None:
            if table.profile.phases:
                raise PlanError(
                    f"{path}: scenario[{i}].profile.phases: expected in [profile], whose phases are those "
                    "of all scenarios"
                )
            curve, highest_tps = read_curve(table.profile, path, f"scenario[{i}].profile")
        each = table.per_transaction or (highest_tps / peak_tps if highest_tps else 1.0)
        scenarios.append(Scenario(table.user, each, table.transaction, curve, table.feeder))
    return tuple(scenarios)


def _with_transaction(scenarios: tuple[Scenario, ...]) -> tuple[Scenario, ...]:
    """The same scenarios; the first is the transaction if none says it is."""
    if not scenarios or any(scenario.transaction for scenario in scenarios):
        return scenarios
    return (msgspec.structs.replace(scenarios[0], transaction=True), *scenarios[1:])


def _slo(table: SloTable) -> str:
    """`endpoint = "POST /orders", expr = "p99 < 1s"` is another way to write `p99(POST /orders) < 1s`."""
    if table.endpoint is None:
        return table.expr
    measure, _, rest = table.expr.strip().partition(" ")
    return f"{measure}({table.endpoint}) {rest}"
