"""A plan file as written: one struct for each table, which says what each key means and may hold.

`plan_file` checks what these types cannot say and makes the `Plan` of them; `plan_schema` makes the reference and
the schema for editors of them.
"""

from typing import Annotated

from msgspec import Meta, Struct

from loadtest.plan.curve import ProfileTable
from loadtest.plan.fault import FaultTable
from loadtest.plan.feeder_table import FeederTable
from loadtest.plan.plan_key import key

ArrivalKind = Annotated[str, Meta(pattern="^(uniform|poisson)$")]
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
AtLeastOne = Annotated[int, Meta(ge=1, le=10_000_000)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class ScenarioTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What some of the arrivals do; one table for each kind."""

    user: Annotated[
        str,
        key(
            "A Locust user class; its module is looked for beside the plan, then on Python's path.",
            unit="module:Class",
            example="checkout:Checkout",
        ),
    ]
    per_transaction: Annotated[
        Positive | None,
        key(
            "Arrivals of this scenario for each transaction; with its own `profile`, its rate where that is at 1.0, "
            "as a multiple of `peak_tps`.",
            unit="arrivals",
            example=0.5,
            default="1, or the highest of its own `knots_tps` over `peak_tps`",
        ),
    ] = None
    transaction: Annotated[
        bool,
        key(
            "Whether each arrival of this scenario is a transaction.",
            example=True,
            default="true for the first scenario if none sets it",
        ),
    ] = False
    profile: Annotated[
        ProfileTable | None,
        key(
            "A curve of its own, written like `[profile]` but without `phases`; not for a transaction, which "
            "follows `[profile]`.",
            default="the plan's",
        ),
    ] = None
    feeder: Annotated[
        FeederTable | None,
        key(
            "Rows of data: `self.feeder.next()` in the class gives the next one; the workers share them.",
            default="none",
        ),
    ] = None


class SloTable(Struct, frozen=True, forbid_unknown_fields=True):
    """One objective."""

    expr: Annotated[
        str,
        key("The objective: a measure, its endpoint, and its limit.", example="p99(POST /orders) < 250ms"),
    ]
    endpoint: Annotated[
        str | None,
        key("The endpoint, if `expr` names none.", example="POST /orders"),
    ] = None


class AbortTable(Struct, frozen=True, forbid_unknown_fields=True):
    """When to stop a run that has gone wrong."""

    unless: Annotated[
        tuple[str, ...],
        key("Objectives; the run ends when one of them is missed.", example=["errors(*) < 50%"]),
    ] = ()
    after: Annotated[
        str | float, key("How long one must be missed before the run ends.", unit="duration", example="10s")
    ] = "5s"


class PlanTable(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The plan itself."""

    name: Annotated[
        str | None,
        key("Name of the run and of its folder.", example="checkout", default="the file's name"),
    ] = None
    peak_tps: Annotated[
        Positive | None,
        key(
            "The rate where the curve is at 1.0.",
            unit="transactions/s",
            example=200,
            default="the highest of `knots_tps`; required with any other curve",
        ),
    ] = None
    duration: Annotated[
        str | float | None,
        key(
            "How long the plan plays; a longer curve is cut off.",
            unit="duration",
            example="2m",
            default="the whole curve; required with `constant`",
        ),
    ] = None
    time_scale: Annotated[
        Positive, key("Seconds played for each second of the curve.", unit="s/s", example=0.1)
    ] = 1.0
    arrivals: Annotated[
        ArrivalKind,
        key(
            "How arrivals are spaced: evenly (uniform), or at random like independent customers (poisson).",
            example="poisson",
        ),
    ] = "uniform"
    seed: Annotated[Seed, key("Seed of all random choices.", example=7)] = 1
    virtual_users: Annotated[
        AtLeastOne,
        key("Number of Locust users that serve the arrivals, over all workers.", unit="users", example=2000),
    ] = 1000
    patience_s: Annotated[
        str | float,
        key(
            "How long an arrival may wait for an idle user before it is dropped.", unit="duration", example=10
        ),
    ] = 10.0
    trace_fraction: Annotated[
        Share,
        key(
            "Share of the requests that carry a `traceparent` header, so that the slowest can be found by "
            "their trace.",
            unit="share",
            example=0.001,
        ),
    ] = 0.0
    profile: Annotated[ProfileTable | None, key("The curve of the traffic.", default="required")] = None
    scenario: Annotated[
        tuple[ScenarioTable, ...], key("What the arrivals do; at least one.", default="required")
    ] = ()
    slo: Annotated[tuple[SloTable, ...], key("Objectives, which decide the verdict.")] = ()
    abort: Annotated[AbortTable, key("When to stop a run that has gone wrong.")] = AbortTable()
    fault: Annotated[tuple[FaultTable, ...], key("What goes wrong on purpose.")] = ()
    auditor: Annotated[
        Annotated[str, Meta(pattern=r"^[\w.]+:\w+$")] | None,
        key(
            "Your class that reads what your service stored, to audit runs at a target. Its methods: `keys(run_id)` "
            "and `problems(run_id)`.",
            example="shop_audit:ShopAudit",
            default="none",
        ),
    ] = None
    targets: Annotated[
        dict[str, Positive],
        key(
            "Hosts other than this machine that may be loaded, each with the rate above which the plan's arrivals "
            "may not peak; a check before the run, not a limit during it.",
            unit="requests/s",
            example={"shop.example.com": 500},
        ),
    ] = {}


TABLES: dict[str, type[Struct]] = {
    "": PlanTable,
    "profile": ProfileTable,
    "scenario": ScenarioTable,
    "feeder": FeederTable,
    "slo": SloTable,
    "abort": AbortTable,
    "fault": FaultTable,
}
"""The tables by their names in the file; the document's own keys are under ""."""
KEYS = {name: table.__struct_encode_fields__ for name, table in TABLES.items()}
