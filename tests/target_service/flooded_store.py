"""A store that commits in groups and a crowd that does not wait, on a virtual clock: what the limit makes of them."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from target_service.shedding import AdaptiveLimit
from target_service.store.store import LARGEST_BATCH

SECOND = 10**9


class SlowStore(NamedTuple):
    """How long a commit takes."""

    fixed_s: float
    each_s: float

    def commit_s(self, changes: int) -> float:
        """Seconds to make so many changes durable together."""
        return self.fixed_s + self.each_s * changes

    @property
    def capacity_per_s(self) -> float:
        """Changes a second in the largest batches."""
        return LARGEST_BATCH / self.commit_s(LARGEST_BATCH)


class Crowd(NamedTuple):
    """Arrivals at a steady rate."""

    per_s: float
    seconds: float


class Second(NamedTuple):
    """What became of the crowd in one second."""

    done: int
    refused: int
    longest_s: float
    """The longest response time of a change that was made."""


class FloodedStore:
    """Plays crowds against a store, one after another, deterministically."""

    def __init__(self, store: SlowStore, most_in_flight: int = 10_000) -> None:
        self.store = store
        self._now_ns = SECOND
        self._limit = AdaptiveLimit(most_in_flight, lambda: self._now_ns)
        self._line: deque[int] = deque()
        self._batch: list[int] = []
        self._commit_ends_ns = 0
        self._seconds: dict[int, tuple[list[float], list[int]]] = {}

    def play(self, crowds: Sequence[Crowd]) -> list[Second]:
        """What came of it, second by second."""
        from_ns = self._now_ns
        for crowd in crowds:
            for number in range(int(crowd.per_s * crowd.seconds)):
                self._arrive(from_ns + int(number / crowd.per_s * SECOND))
            from_ns += int(crowd.seconds * SECOND)
        return [
            Second(len(took_s), sum(refused), max(took_s, default=0.0))
            for _, (took_s, refused) in sorted(self._seconds.items())
        ]

    def _arrive(self, at_ns: int) -> None:
        while self._batch and self._commit_ends_ns <= at_ns:
            self._end_commit()
        self._now_ns = at_ns
        began_ns = self._limit.admit()
        if began_ns is None:
            self._this_second()[1].append(1)
            return
        self._line.append(began_ns)
        if not self._batch:
            self._begin_commit()

    def _begin_commit(self) -> None:
        self._batch = [self._line.popleft() for _ in range(min(LARGEST_BATCH, len(self._line)))]
        self._commit_ends_ns = self._now_ns + int(self.store.commit_s(len(self._batch)) * SECOND)

    def _end_commit(self) -> None:
        self._now_ns = self._commit_ends_ns
        self._limit.committed(len(self._batch), self.store.commit_s(len(self._batch)))
        for began_ns in self._batch:
            self._limit.done(began_ns)
            self._this_second()[0].append((self._now_ns - began_ns) / SECOND)
        self._batch = []
        if self._line:
            self._begin_commit()

    def _this_second(self) -> tuple[list[float], list[int]]:
        return self._seconds.setdefault(self._now_ns // SECOND, ([], []))
