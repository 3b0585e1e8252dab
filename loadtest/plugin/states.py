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


class LeaderState(Enum):
    """Where a leader stands."""

    IDLE = "idle"
    CHECKED = "checked"
    WAITING = "waiting for workers"
    RUNNING = "running"
    DRAINING = "draining"
    JUDGING = "judging"
    DELIVERED = "delivered"


class LeaderEvent(Enum):
    """What happens to a leader."""

    CHECK = "a configuration was checked"
    PREPARE = "Locust asked for users"
    BEGIN = "the workers were assigned their arrivals"
    HALT = "the schedule ended"
    END = "nothing more is to come"
    DELIVER = "the result was delivered"


LEADER = {
    (LeaderState.IDLE, LeaderEvent.CHECK): LeaderState.CHECKED,
    (LeaderState.CHECKED, LeaderEvent.CHECK): LeaderState.CHECKED,
    (LeaderState.DELIVERED, LeaderEvent.CHECK): LeaderState.CHECKED,
    (LeaderState.CHECKED, LeaderEvent.PREPARE): LeaderState.WAITING,
    (LeaderState.WAITING, LeaderEvent.BEGIN): LeaderState.RUNNING,
    (LeaderState.WAITING, LeaderEvent.END): LeaderState.JUDGING,
    (LeaderState.RUNNING, LeaderEvent.HALT): LeaderState.DRAINING,
    (LeaderState.RUNNING, LeaderEvent.END): LeaderState.JUDGING,
    (LeaderState.DRAINING, LeaderEvent.END): LeaderState.JUDGING,
    (LeaderState.JUDGING, LeaderEvent.DELIVER): LeaderState.DELIVERED,
}
GOING = frozenset({LeaderState.WAITING, LeaderState.RUNNING, LeaderState.DRAINING, LeaderState.JUDGING})
"""While a run goes on: from its start until its result is delivered."""


class WorkerState(Enum):
    """Where a worker stands in a run."""

    JOINED = "joined"
    READY = "ready"
    SERVING = "serving"
    DRAINING = "draining"
    GONE = "gone"


class WorkerEvent(Enum):
    """What happens to a worker."""

    USERS_READY = "all its users wait for arrivals"
    USERS_BUSY = "a user does not wait any more"
    ASSIGN = "arrivals were assigned"
    LEASE = "a lease came"
    HALT = "the schedule was ended"
    ACK = "a report was acknowledged"
    FINISH = "its last report is due"


WORKER = {
    (WorkerState.JOINED, WorkerEvent.USERS_READY): WorkerState.READY,
    (WorkerState.JOINED, WorkerEvent.USERS_BUSY): WorkerState.JOINED,
    (WorkerState.READY, WorkerEvent.USERS_READY): WorkerState.READY,
    (WorkerState.READY, WorkerEvent.USERS_BUSY): WorkerState.JOINED,
    (WorkerState.JOINED, WorkerEvent.ASSIGN): WorkerState.SERVING,
    (WorkerState.READY, WorkerEvent.ASSIGN): WorkerState.SERVING,
    (WorkerState.SERVING, WorkerEvent.ASSIGN): WorkerState.SERVING,
    (WorkerState.SERVING, WorkerEvent.LEASE): WorkerState.SERVING,
    (WorkerState.SERVING, WorkerEvent.USERS_READY): WorkerState.SERVING,
    (WorkerState.SERVING, WorkerEvent.USERS_BUSY): WorkerState.SERVING,
    (WorkerState.SERVING, WorkerEvent.HALT): WorkerState.DRAINING,
    (WorkerState.DRAINING, WorkerEvent.HALT): WorkerState.DRAINING,
    (WorkerState.SERVING, WorkerEvent.ACK): WorkerState.SERVING,
    (WorkerState.DRAINING, WorkerEvent.ACK): WorkerState.DRAINING,
}
WORKER |= {
    (state, WorkerEvent.FINISH): WorkerState.GONE for state in WorkerState if state is not WorkerState.GONE
}
WORKER |= {
    (WorkerState.GONE, sent): WorkerState.GONE  # its master may not have heard yet
    for sent in (WorkerEvent.ASSIGN, WorkerEvent.LEASE, WorkerEvent.HALT, WorkerEvent.ACK)
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
