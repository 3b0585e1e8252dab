"""Faults for drills: what can be made to go wrong on purpose, how often, for how long, and reproducibly.

A drill is a list of faults, given in a file (`--drill FILE`, JSON) or by `PUT /admin/faults`. Both work only
when the service was started with `--enable-faults`. Each fault has random numbers of its own, seeded with the drill's
seed, the fault's place in the list and the worker's slot, so a drill repeats itself.

What is decided here is only *that* a request meets a fault; `routes.Frame` does what the fault says, and the
writer thread asks `store_stall_s` before it commits.
"""

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

FaultKind = Literal["delay", "error", "reset", "hang", "slow-body", "stall-store", "kill-worker"]
Route = Literal[
    "create_order",
    "create_checkout",
    "get_order",
    "pay_order",
    "get_product",
    "inventory",
    "parcels",
    "assistant",
]
"""What drills and metrics call the operations of the shop; no drill meets any other."""

HANG_S = 3600.0


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that goes wrong."""

    kind: FaultKind
    probability: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """Share of the requests (of the commits, for stall-store) that meet it."""
    delay_ms: Annotated[float, Meta(ge=0, le=600_000)] = 100.0
    """How long a delay or stall lasts, or how much longer a slow body takes."""
    duration_s: Annotated[float, Meta(gt=0, le=86_400)] = 60.0
    """How long from its start the fault can be met."""
    start_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    """When it starts, after the drill was set."""
    route: Route | Literal["*"] = "*"
    """The operation that meets it; `*` is every one of the shop's."""


class Drill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A list of faults and the seed of its random numbers."""

    faults: Annotated[tuple[Fault, ...], Meta(max_length=32)] = ()
    seed: int = 0


@cache  # the flag is checked before the workers start with what it names, and a pipe can be read once
def read_drill(path: str) -> Drill:
    """The drill in a JSON file; none without a file. Raises OSError, msgspec.DecodeError."""
    return msgspec.json.decode(Path(path).read_bytes(), type=Drill) if path else Drill()


class _Armed:
    def __init__(self, fault: Fault, numbers: random.Random, set_ns: int) -> None:
        self.fault = fault
        self._random = numbers
        self._from_ns = set_ns + int(fault.start_s * 1e9)
        self._until_ns = self._from_ns + int(fault.duration_s * 1e9)

    def strikes(self, now_ns: int) -> bool:
        if not self._from_ns <= now_ns < self._until_ns:
            return False
        return self._random.random() < self.fault.probability


class Faults:
    """The faults that one worker meets now."""

    def __init__(self, slot: int, now_ns: Callable[[], int], met: Callable[[str], None]) -> None:
        self._slot = slot
        self._now_ns = now_ns
        self._met = met
        self._requests: list[_Armed] = []
        self._stalls: list[_Armed] = []

    def set(self, drill: Drill) -> None:
        """Replace the drill; an empty one ends it."""
        now_ns = self._now_ns()
        armed = [
            _Armed(fault, random.Random(f"{drill.seed}:{place}:{self._slot}"), now_ns)  # noqa: S311 - no secret
            for place, fault in enumerate(drill.faults)
        ]
        self._requests = [one for one in armed if one.fault.kind != "stall-store"]
        self._stalls = [one for one in armed if one.fault.kind == "stall-store"]

    @property
    def await_requests(self) -> bool:
        """Whether the drill has faults that requests may meet."""
        return bool(self._requests)

    def of_request(self, route: str) -> Fault | None:
        """The fault this request meets, if any: the first in the list that strikes."""
        return self._strike(self._requests, route) if self._requests else None

    def store_stall_s(self) -> float:
        """How long the commit that is about to be made has to wait, in seconds."""
        fault = self._strike(self._stalls) if self._stalls else None
        return 0.0 if fault is None else fault.delay_ms / 1e3

    def _strike(self, some: list[_Armed], route: str = "*") -> Fault | None:
        now_ns = self._now_ns()
        for armed in some:
            is_meant = route == "*" or armed.fault.route in ("*", route)
            if is_meant and armed.strikes(now_ns):
                self._met(armed.fault.kind)
                return armed.fault
        return None
