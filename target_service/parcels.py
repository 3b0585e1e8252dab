"""Parcels: the chain of events from the warehouse to the door, and which event may follow which.

The chain is that of docs/traffic.md, "Logistics": accepted, packed, handed over, station in, station out (as often as
there are stations), delivering, signed; failed, error and returned are its exceptions. An event carries an id
chosen by the sender; a repeated id changes nothing, so a scanner may send again what it is not sure of.
"""

from typing import Literal, NamedTuple, get_args

from target_service import problem
from target_service.problem import ProblemError

# fmt: off
EventKind = Literal[
    "accepted", "packed", "handed_over", "station_in", "station_out", "delivering", "signed",
    "failed", "error", "returned",
]
Region = Literal[
    "qingdao", "beijing", "zhangjiakou", "hohhot", "ulanqab", "hangzhou", "shanghai", "nanjing", "fuzhou",
    "shenzhen", "heyuan", "guangzhou", "chengdu", "hong-kong", "tokyo", "seoul", "singapore", "kuala-lumpur",
    "jakarta", "manila", "bangkok", "silicon-valley", "virginia", "frankfurt", "london", "dubai", "riyadh",
    "wuhan", "mexico",
]
"""The 29 regions: those named in public documents (S[60] of docs/traffic.md), and two that are likely."""
# fmt: on

NEXT: dict[str, frozenset[str]] = {
    "accepted": frozenset({"packed", "error"}),
    "packed": frozenset({"handed_over", "error"}),
    "handed_over": frozenset({"station_in", "error"}),
    "station_in": frozenset({"station_out", "delivering", "error"}),
    "station_out": frozenset({"station_in", "delivering", "error"}),
    "delivering": frozenset({"signed", "failed", "error"}),
    "failed": frozenset({"delivering", "returned"}),
    "error": frozenset({"station_in", "delivering", "returned"}),
    "signed": frozenset(),
    "returned": frozenset(),
}
"""Which events may follow each event."""

assert set(NEXT) == set(get_args(EventKind))  # noqa: S101 - the two lists are one

MOST_EVENTS = 100
"""Events that one parcel may have: some ten times the longest chain, and few enough to write and read at once (A)."""


class ParcelEvent(NamedTuple):
    """One scan of a parcel."""

    event_id: str
    kind: str
    region: str
    at_ms: int
    """When the service learnt of it, in milliseconds since 1970."""


class Parcel(NamedTuple):
    """A parcel and what happened to it."""

    parcel_id: int
    run_id: str
    order_id: int
    """The order it holds, which then has the same number; 0 for none."""
    destination: str
    events: tuple[ParcelEvent, ...]

    @property
    def status(self) -> str:
        """The kind of its last event."""
        return self.events[-1].kind


class Scan(NamedTuple):
    """An event to add to a parcel."""

    run_id: str
    parcel_id: int
    event: ParcelEvent


class ParcelChange(NamedTuple):
    """A parcel to send, or an event to add to one."""

    what: Parcel | Scan
    key: str | None = None
    """Its idempotency key."""
    asked: str = ""
    """What was asked, in one spelling: something else under the same key is refused."""

    @property
    def run_id(self) -> str:
        """The run that the parcel belongs to."""
        return self.what.run_id


class ParcelReceipt(NamedTuple):
    """The parcel as it was after its change, and whether that had been made before under its key."""

    parcel: Parcel
    replayed: bool


def register(parcel: Parcel, existing: Parcel | None) -> Parcel:
    """The parcel to keep: an order has one, so sending the same again changes nothing.

    Raises ProblemError if it is on its way to somewhere else.
    """
    if existing is None:
        return parcel
    if (existing.order_id, existing.destination) != (parcel.order_id, parcel.destination):
        detail = f"parcel {parcel.parcel_id:016x} is on its way to {existing.destination} already"
        raise ProblemError(problem.CONFLICT, detail)
    return existing


def apply_scan(scan: Scan, parcel: Parcel | None) -> Parcel:
    """The parcel after this event (the same one if it is known already).

    Raises ProblemError if there is no such parcel, or it has all its events, or this one cannot follow the last.
    """
    if parcel is None:
        raise ProblemError(problem.NOT_FOUND, f"there is no parcel {scan.parcel_id:016x}")
    if any(event.event_id == scan.event.event_id for event in parcel.events):
        return parcel
    if len(parcel.events) >= MOST_EVENTS:
        detail = f"parcel {parcel.parcel_id:016x} has {MOST_EVENTS} events, the most that one may have"
        raise ProblemError(problem.CONFLICT, detail)
    if scan.event.kind not in NEXT[parcel.status]:
        allowed = ", ".join(sorted(NEXT[parcel.status])) or "nothing"
        detail = f"{scan.event.kind} cannot follow {parcel.status}; expected {allowed}"
        raise ProblemError(problem.CONFLICT, detail)
    return parcel._replace(events=(*parcel.events, scan.event))
