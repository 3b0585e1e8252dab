"""Faults of a plan: what goes wrong on purpose, when, for how long, and which objectives apply meanwhile.

A fault belongs to one group of kinds, which says who makes it happen:

    service   delay error reset hang stall slow-body    the order service itself, by its admin port
    process   kill stop restart                         a signal to a process that the run started
    network   latency loss bandwidth half-open          a TCP proxy of ours between generator and service
    machine   cpu disk-full                             a process of ours that takes what others need
    traffic   overload mark                             the plan's own curve; or nobody: it is only judged
    hook      hook                                      a command or a URL of somebody else's service

Its period, from `at` until its end, is a phase of the plan by the fault's name, so any objective can be about it
(`p99(POST /orders) < 1s during store-stall`). The period of a fault that is over at once, such as a kill, is the time
in which it has to be recovered from.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import Meta, Struct, field

from loadtest.plan.curve import seconds
from loadtest.plan.plan_error import PlanError
from loadtest.plan.plan_key import key

SERVICE = ("delay", "error", "reset", "hang", "stall", "slow-body")
PROCESS = ("kill", "stop", "restart")
NETWORK = ("latency", "loss", "bandwidth", "half-open")
MACHINE = ("cpu", "disk-full")
TRAFFIC = ("overload", "mark")
HOOK = "hook"
ROUTES = (
    "create_order",
    "create_checkout",
    "get_order",
    "pay_order",
    "get_product",
    "inventory",
    "parcels",
    "assistant",
)
"""What the order service calls its operations (`target_service.faults.Route`)."""
KINDS = (*SERVICE, *PROCESS, *NETWORK, *MACHINE, *TRAFFIC, HOOK)
LASTING = (*SERVICE, "stop", *NETWORK, *MACHINE, "overload")
"""Kinds that need `for`; the others may be over at once."""
BEFORE_S = 3.0
"""How much of the run has to be seen before a fault, to know what is normal (`loadtest.judge.recovery`)."""
SETTLED_S = 3.0
"""How long figures must stay normal after a fault to count as recovered; a plan must last that long after it."""
RECOVERS_WITHIN_S = 10.0

_KEYS_OF = {
    "share": (*SERVICE, "loss", "half-open"),
    "delay": ("delay", "stall", "slow-body", "latency"),
    "route": ("delay", "error", "reset", "hang", "slow-body"),
    "process": PROCESS,
    "bytes_per_s": ("bandwidth",),
    "times": ("overload",),
    "cores": ("cpu",),
    "folder": ("disk-full",),
    "command": (HOOK,),
    "undo": (HOOK,),
    "url": (HOOK,),
    "undo_url": (HOOK,),
}
"""Kinds that each key means something to; keys that are not here mean something to all."""
_NAME = re.compile(r"[A-Za-z][\w-]{0,40}")
_URL = re.compile(r"https?://[^\x00-\x20\x7f/?#]+([/?#][\x21-\x7e]*)?", re.IGNORECASE)
"""What a request can be sent to: the host may be of any letters, its path and query are of ASCII's."""
_SHARE_OF_GOODPUT = re.compile(r"\s*goodput\s*(>=?)\s*(\d+(?:\.\d+)?)\s*%\s*")

Kind = Annotated[str, Meta(pattern=f"^({'|'.join(KINDS)})$")]
Route = Annotated[str, Meta(pattern=f"^({'|'.join(ROUTES)})$")]
Process = Annotated[str, Meta(pattern="^(worker|supervisor|postgresql)$")]
Above0 = Annotated[float, Meta(gt=0)]


class FaultTable(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What goes wrong on purpose, and which objectives must be met all the same; one table for each fault."""

    kind: Annotated[
        Kind,
        key(f"What goes wrong: {', '.join(KINDS)}.", example="kill"),
    ]
    at: Annotated[
        str | float,
        key("When the fault begins, on the time axis of the curve.", unit="duration", example="10s"),
    ]
    for_: Annotated[
        str | float,
        key(
            "How long the fault lasts, in seconds as played; then it is undone.",
            unit="duration",
            example="3s",
        ),
    ] = field(default="0s", name="for")
    name: Annotated[
        str | None,
        key(
            "Name of the fault; objectives can say `during NAME`.",
            example="worker-kill",
            default="its kind",
        ),
    ] = None
    process: Annotated[
        Process | None,
        key(
            "For kill, stop, restart: which process of the order service, worker or supervisor.",
            example="supervisor",
            default="worker",
        ),
    ] = None
    share: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        key(
            "Share of the requests, or of the connections, that the fault hits.",
            unit="share",
            example=0.3,
            default="1",
        ),
    ] = None
    delay: Annotated[
        str | float | None,
        key(
            "For delay, stall, slow-body, latency: how much longer something takes.",
            unit="duration",
            example="500ms",
            default="200ms",
        ),
    ] = None
    route: Annotated[
        Route | None,
        key(
            f"For faults that hit requests: the order service's operation, one of {', '.join(ROUTES)}.",
            example="create_order",
            default="all",
        ),
    ] = None
    bytes_per_s: Annotated[
        Above0 | None,
        key("For bandwidth: the most that passes in each direction.", unit="bytes/s", example=100000),
    ] = None
    times: Annotated[
        Annotated[float, Meta(gt=1, le=1000)] | None,
        key("For overload: how many times the curve's own rate is sent.", example=5, default="10"),
    ] = None
    cores: Annotated[
        Annotated[int, Meta(ge=1, le=1024)] | None,
        key("For cpu: how many processes compute on the service's cores.", example=2, default="1"),
    ] = None
    folder: Annotated[
        str | None,
        key("For disk-full: the folder of a tmpfs that is filled.", example="/mnt/orders"),
    ] = None
    command: Annotated[
        tuple[str, ...],
        key("For hook: the command that begins the fault.", example=["systemctl", "stop", "shop"]),
    ] = ()
    undo: Annotated[
        tuple[str, ...],
        key("For hook: the command that ends the fault.", example=["systemctl", "start", "shop"]),
    ] = ()
    url: Annotated[
        str | None,
        key("For hook: a URL that is sent a POST to begin the fault.", example="http://127.0.0.1:9000/break"),
    ] = None
    undo_url: Annotated[
        str | None,
        key("For hook: a URL that is sent a POST to end the fault.", example="http://127.0.0.1:9000/mend"),
    ] = None
    recovers_within: Annotated[
        str | float,
        key(
            "The service must be back to normal within this time after the fault ends.",
            unit="duration",
            example="5s",
        ),
    ] = "10s"
    detected_within: Annotated[
        str | float | None,
        key(
            "The fault must show in the figures within this time after it begins.",
            unit="duration",
            example="2s",
            default="no limit",
        ),
    ] = None
    expect: Annotated[
        tuple[str, ...],
        key(
            "Objectives while the fault lasts; `goodput` may be a share of what is planned without the fault.",
            example=["goodput > 80%"],
        ),
    ] = ()


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault of a plan, checked; instants are offsets of the plan as played."""

    name: str
    kind: Kind
    at_s: float
    for_s: float = 0.0
    process: Process = "worker"
    share: float = 1.0
    delay_s: float = 0.2
    route: str = "*"
    bytes_per_s: float = 0.0
    times: float = 1.0
    """How many times the curve's rate is sent; 1 unless it is an overload."""
    cores: int = 1
    folder: str = ""
    command: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    url: str = ""
    undo_url: str = ""
    recovers_within_s: float = RECOVERS_WITHIN_S
    detected_within_s: float | None = None
    expect: tuple[str, ...] = ()

    @property
    def end_s(self) -> float:
        """When it is undone."""
        return self.at_s + self.for_s

    @property
    def period(self) -> tuple[float, float]:
        """What its expectations are judged over: until its end, or until it has to be recovered from."""
        return self.at_s, self.end_s if self.for_s else self.at_s + self.recovers_within_s

    @property
    def settled_s(self) -> float:
        """When it has to have been recovered from for good."""
        return self.end_s + self.recovers_within_s + SETTLED_S

    @property
    def least_goodput(self) -> tuple[str, float] | None:
        """(operator, share) that one of its expectations asks for; None if none does."""
        found = [least for expr in self.expect if (least := share_of_goodput(expr))]
        return found[0] if found else None

    @property
    def objectives(self) -> list[str]:
        """Its other expectations, in the language of objectives, over its period."""
        return [f"{expr} during {self.name}" for expr in self.expect if not share_of_goodput(expr)]


def share_of_goodput(expr: str) -> tuple[str, float] | None:
    """(operator, share) of `goodput > 80%`; None for any other expectation."""
    found = _SHARE_OF_GOODPUT.fullmatch(expr)
    return (found[1], float(found[2]) / 100) if found else None


def faults_of(tables: Sequence[FaultTable], time_scale: float, where: str) -> tuple[Fault, ...]:
    """The faults that a file's tables describe. Raises `PlanError` beginning with `where`."""
    names: list[str] = []
    found = []
    for number, table in enumerate(tables):
        place = f"{where}: fault[{number}]"
        _check_keys(table, place)
        name = table.name or _free(table.kind, names)
        names.append(name)
        found.append(_fault(table, name, time_scale, place))
    return tuple(found)


def _fault(table: FaultTable, name: str, time_scale: float, place: str) -> Fault:
    recovers_within_s = seconds(table.recovers_within, f"{place}.recovers_within")
    within = table.detected_within
    return Fault(
        name=name,
        kind=table.kind,
        at_s=seconds(table.at, f"{place}.at") * time_scale,
        for_s=seconds(table.for_, f"{place}.for"),
        process=table.process or "worker",
        share=1.0 if table.share is None else table.share,
        delay_s=0.2 if table.delay is None else seconds(table.delay, f"{place}.delay"),
        route=table.route or "*",
        bytes_per_s=table.bytes_per_s or 0.0,
        times=(table.times or 10.0) if table.kind == "overload" else 1.0,
        cores=table.cores or 1,
        folder=table.folder or "",
        command=table.command,
        undo=table.undo,
        url=table.url or "",
        undo_url=table.undo_url or "",
        recovers_within_s=recovers_within_s,
        detected_within_s=None if within is None else seconds(within, f"{place}.detected_within"),
        expect=table.expect,
    )


def _check_keys(table: FaultTable, place: str) -> None:
    for name, kinds in _KEYS_OF.items():
        if getattr(table, name) not in (None, ()) and table.kind not in kinds:
            raise PlanError(
                f"{place}.{name}: expected only with kind {' or '.join(kinds)}, got kind {table.kind}"
            )


def _free(kind: str, taken: Iterable[str]) -> str:
    names = set(taken)
    every = [kind, *(f"{kind}-{number}" for number in range(2, len(names) + 3))]
    return next(name for name in every if name not in names)


def check_faults(faults: Sequence[Fault], duration_s: float, phases: Iterable[str], where: str) -> None:
    """Whatever the types cannot say of a plan's faults. Raises `PlanError` beginning with `where`."""
    taken = set(phases)
    for number, fault in enumerate(faults):
        place = f"{where}: fault[{number}]"
        if not _NAME.fullmatch(fault.name):
            raise PlanError(f"{place}.name: expected a word such as worker-kill, got {fault.name!r:.60}")
        if sum(share_of_goodput(expr) is not None for expr in fault.expect) > 1:
            raise PlanError(
                f"{place}.expect: expected one share of goodput, got {' and '.join(fault.expect)}"
            )
        if fault.name in taken:
            raise PlanError(
                f"{place}.name: expected a name that no other fault or phase has, got {fault.name}"
            )
        taken.add(fault.name)
        _check_times(fault, duration_s, place)
        _check_what_it_needs(fault, place)
    for number, fault in enumerate(faults):
        others = [other for other in faults if other is not fault]
        _check_apart(fault, others, f"{where}: fault[{number}]")


def _check_times(fault: Fault, duration_s: float, place: str) -> None:
    if fault.at_s < BEFORE_S:
        raise PlanError(
            f"{place}.at: expected {BEFORE_S:g} s or later, so that normal figures are known; "
            f"got {fault.at_s:g} s"
        )
    if fault.kind in LASTING and not fault.for_s:
        raise PlanError(f"{place}.for: expected how long {fault.kind} lasts, more than 0 s")
    if fault.recovers_within_s <= 0:
        raise PlanError(f"{place}.recovers_within: expected more than 0 s")
    if fault.detected_within_s is not None and fault.detected_within_s <= 0:
        raise PlanError(f"{place}.detected_within: expected more than 0 s")
    if duration_s < fault.settled_s * (1 - 1e-9):
        raise PlanError(
            f"{place}.at: expected a plan that lasts until {fault.settled_s:g} s (the fault's end, "
            "recovers_within and "
            f"{SETTLED_S:g} s more), to see whether the service recovers; it ends at {duration_s:g} s"
        )


def _check_apart(fault: Fault, others: Iterable[Fault], place: str) -> None:
    """Raise `PlanError` unless faults overlap, or the second begins after the first's time to recover.

    Nobody signals the processes of a service that is down.
    """
    for other in others:
        is_down = other.process == "supervisor" and other.kind in ("kill", "restart")
        if is_down and fault.kind in PROCESS and other.at_s <= fault.at_s <= other.end_s:
            raise PlanError(
                f"{place}.at: expected a time when the supervisor runs, but {other.name} ends it from "
                f"{other.at_s:g} s to {other.end_s:g} s; got {fault.at_s:g} s"
            )
        if other.end_s <= fault.at_s < other.settled_s:
            raise PlanError(
                f"{place}.at: expected {other.settled_s:g} s or later (when the service has recovered from "
                f"{other.name}), "
                f"or a time before {other.name} is over; got {fault.at_s:g} s"
            )


def _check_what_it_needs(fault: Fault, place: str) -> None:
    if fault.kind == "bandwidth" and not fault.bytes_per_s:
        raise PlanError(f"{place}.bytes_per_s: expected the bytes a second that may pass")
    if fault.kind == "disk-full" and not fault.folder:
        raise PlanError(f"{place}.folder: expected the folder of a tmpfs to fill")
    if fault.kind == HOOK and bool(fault.command) == bool(fault.url):
        raise PlanError(f"{place}: expected either command or url with kind hook")
    if fault.kind == HOOK and fault.for_s and not (fault.undo or fault.undo_url):
        raise PlanError(f"{place}.undo: expected undo or undo_url, since the fault lasts {fault.for_s:g} s")
    for name, url in (("url", fault.url), ("undo_url", fault.undo_url)):
        if url and not _URL.fullmatch(url):
            raise PlanError(
                f"{place}.{name}: expected an address such as http://127.0.0.1:9000/break, with a space or an umlaut "
                f"written as %20 or %C3%BC, got {url!r:.80}"
            )
    if fault.process == "postgresql":
        raise PlanError(
            f"{place}.process: expected worker or supervisor, got postgresql, which a run does not start and so does "
            "not end; use kind hook with command and undo"
        )
