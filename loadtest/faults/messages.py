"""What the leader of a run and the process that plays its faults say to each other: lines of JSON on its pipes.

The leader sends an `Order`, then `Begin` when the plan's time zero is known, `Undo` when the schedule has ended. The
end of its pipe, however that comes, means undo and go. The player answers the order with `Ready` or `Refused`, then
says what it does. Instants are of the machine's monotonic clock, in nanoseconds, which both share.
"""

from msgspec import Struct

from loadtest.plan.fault import Fault

Token = dict[str, str | int | float | list[str]]
"""What somebody who did not begin a fault has to know to undo it."""


class ServiceProcess(Struct, frozen=True):
    """The order service that the run started."""

    pid: int
    """Of its supervisor."""
    created_s: float
    """When that process was created, so that no other with its number is ever taken for it."""
    url: str
    admin_url: str
    admin_token: str
    log: str


class Order(Struct, frozen=True):
    """What is to be played."""

    faults: list[Fault]
    targets: list[str]
    """The addresses that are loaded, for faults of the network."""
    service: ServiceProcess | None = None
    undo: dict[int, Token] = {}
    """Faults that a player before this one began and left behind: they are undone, and nothing is played."""


class Begin(Struct, frozen=True, tag="begin"):
    """The plan's time zero is known."""

    zero_ns: int


class Undo(Struct, frozen=True, tag="undo"):
    """Undo what is still going on, and begin nothing more."""


class Ready(Struct, frozen=True, tag="ready"):
    """All that is asked for can be done."""

    through: list[str]
    """Addresses that stand for the order's targets, one for each; empty without faults of the network."""


class Refused(Struct, frozen=True, tag="refused"):
    """A fault cannot be played here."""

    fault: str
    why: str


class Began(Struct, frozen=True, tag="began"):
    """A fault has been made to happen."""

    number: int
    at_ns: int
    did: str
    token: Token


class Ended(Struct, frozen=True, tag="ended"):
    """A fault is over."""

    number: int
    at_ns: int


class Failed(Struct, frozen=True, tag="failed"):
    """A fault could not be made to happen, or could not be undone."""

    number: int
    why: str


ToPlayer = Begin | Undo
ToLeader = Ready | Refused | Began | Ended | Failed
