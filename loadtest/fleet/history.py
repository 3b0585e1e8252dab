"""How a run has gone: which worker held which slot of the schedule, and what happened on the way."""

from dataclasses import dataclass, replace

import msgspec


@dataclass(slots=True)
class HeldSlot:
    """One worker's share of the schedule in one epoch; `to_ns` is None while it lasts."""

    worker: str
    slot: int
    slots: int
    from_ns: int
    to_ns: int | None = None

    def ended(self, at_ns: int) -> "HeldSlot":
        """The slot as far as it lies before an offset."""
        from_ns = min(self.from_ns, at_ns)
        to_ns = at_ns if self.to_ns is None else min(self.to_ns, at_ns)
        return replace(self, from_ns=from_ns, to_ns=max(from_ns, to_ns))


class History(msgspec.Struct, frozen=True):
    """How a run went up to a checkpoint: what another coordinator needs to go on with it."""

    known_to_ns: int
    held_slots: list[HeldSlot] = msgspec.field(name="slices")
    """None of them open: what has not ended by `known_to_ns` ends there."""
    names: dict[str, str]
    """What people call each worker."""
    notes: list[tuple[float, str]]
    clock_offsets_ns: dict[str, int] = {}
    """How far each worker's wall clock was ahead of the master's; 0 for one that is not named."""
    zero_wall_ns: int = 0
    """By which the workers of this part of the run tell it from others, as in their `Assign`; 0 before it began."""
