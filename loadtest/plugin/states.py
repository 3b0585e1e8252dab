"""Named states and the transitions between them, in tables: what may happen when.

    leader    idle -> checked -> waiting for workers -> running -> draining -> judging -> delivered -> checked …
    worker    joined <-> ready -> serving -> draining -> gone
    delivery  pending -> written or rescued

An event in a state that does not expect it is an `UnexpectedEventError` that names both, as in h11.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Generic, TypeVar

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


class UnexpectedEventError(RuntimeError):
    """Something happened in a state in which it cannot: a defect of the harness, or of whoever sent a message."""


class States(Generic[S, E]):
    """Where something stands. `table` says which state an event leads to from which."""

    def __init__(self, owner: str, start: S, table: Mapping[tuple[S, E], S]) -> None:
        self.now = start
        self._owner = owner
        self._table = table

    def on(self, event: E) -> S:
        """The state that the event leads to, which is the new one. Raises `UnexpectedEventError`."""
        try:
            self.now = self._table[self.now, event]
        except KeyError:
            raise UnexpectedEventError(
                f"{self._owner}: {event.value!r} is not expected while it is {self.now.value!r}"
            ) from None
        return self.now


class Lead(Enum):
    """Where a leader stands."""

    IDLE = "idle"
    CHECKED = "checked"
    WAITING = "waiting for workers"
    RUNNING = "running"
    DRAINING = "draining"
    JUDGING = "judging"
    DELIVERED = "delivered"


class LeadEvent(Enum):
    """What happens to a leader."""

    CHECK = "a configuration was checked"
    PREPARE = "Locust asked for users"
    BEGIN = "the workers were assigned their arrivals"
    HALT = "the schedule ended"
    END = "nothing more is to come"
    DELIVER = "the result was delivered"


LEADER = {
    (Lead.IDLE, LeadEvent.CHECK): Lead.CHECKED,
    (Lead.CHECKED, LeadEvent.CHECK): Lead.CHECKED,
    (Lead.DELIVERED, LeadEvent.CHECK): Lead.CHECKED,
    (Lead.CHECKED, LeadEvent.PREPARE): Lead.WAITING,
    (Lead.WAITING, LeadEvent.BEGIN): Lead.RUNNING,
    (Lead.WAITING, LeadEvent.END): Lead.JUDGING,
    (Lead.RUNNING, LeadEvent.HALT): Lead.DRAINING,
    (Lead.RUNNING, LeadEvent.END): Lead.JUDGING,
    (Lead.DRAINING, LeadEvent.END): Lead.JUDGING,
    (Lead.JUDGING, LeadEvent.DELIVER): Lead.DELIVERED,
}
GOING = frozenset({Lead.WAITING, Lead.RUNNING, Lead.DRAINING, Lead.JUDGING})
"""While a run goes on: from its start until its result is delivered."""


class Work(Enum):
    """Where a worker stands in a run."""

    JOINED = "joined"
    READY = "ready"
    SERVING = "serving"
    DRAINING = "draining"
    GONE = "gone"


class WorkEvent(Enum):
    """What happens to a worker."""

    USERS_READY = "all its users wait for arrivals"
    USERS_BUSY = "a user does not wait any more"
    ASSIGN = "arrivals were assigned"
    LEASE = "a lease came"
    HALT = "the schedule was ended"
    ACK = "a report was acknowledged"
    FINISH = "its last report is due"


WORKER = {
    (Work.JOINED, WorkEvent.USERS_READY): Work.READY,
    (Work.JOINED, WorkEvent.USERS_BUSY): Work.JOINED,
    (Work.READY, WorkEvent.USERS_READY): Work.READY,
    (Work.READY, WorkEvent.USERS_BUSY): Work.JOINED,
    (Work.JOINED, WorkEvent.ASSIGN): Work.SERVING,
    (Work.READY, WorkEvent.ASSIGN): Work.SERVING,
    (Work.SERVING, WorkEvent.ASSIGN): Work.SERVING,
    (Work.SERVING, WorkEvent.LEASE): Work.SERVING,
    (Work.SERVING, WorkEvent.USERS_READY): Work.SERVING,
    (Work.SERVING, WorkEvent.USERS_BUSY): Work.SERVING,
    (Work.SERVING, WorkEvent.HALT): Work.DRAINING,
    (Work.DRAINING, WorkEvent.HALT): Work.DRAINING,
    (Work.SERVING, WorkEvent.ACK): Work.SERVING,
    (Work.DRAINING, WorkEvent.ACK): Work.DRAINING,
}
WORKER |= {(state, WorkEvent.FINISH): Work.GONE for state in Work if state is not Work.GONE}
WORKER |= {
    (Work.GONE, sent): Work.GONE  # its master may not have heard yet
    for sent in (WorkEvent.ASSIGN, WorkEvent.LEASE, WorkEvent.HALT, WorkEvent.ACK)
}


class DeliveryState(Enum):
    """Where the delivery of a result stands."""

    PENDING = "pending"
    WRITTEN = "written"
    RESCUED = "rescued"


class DeliveryEvent(Enum):
    """What happens to a delivery."""

    WRITE = "the result was written"
    FAIL = "the result could not be written"


DELIVERY = {
    (DeliveryState.PENDING, DeliveryEvent.WRITE): DeliveryState.WRITTEN,
    (DeliveryState.PENDING, DeliveryEvent.FAIL): DeliveryState.RESCUED,
    (DeliveryState.WRITTEN, DeliveryEvent.WRITE): DeliveryState.WRITTEN,
    (DeliveryState.WRITTEN, DeliveryEvent.FAIL): DeliveryState.RESCUED,
    (DeliveryState.RESCUED, DeliveryEvent.WRITE): DeliveryState.RESCUED,
    (DeliveryState.RESCUED, DeliveryEvent.FAIL): DeliveryState.RESCUED,
}
