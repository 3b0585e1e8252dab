"""Locust's user pool under a plan: everyone at once, then left alone.

Locust ramps users up and down to change the load. Here users only serve arrivals, so the whole pool is spawned
in one step and stays; `LoadTestShape.tick` can pause for as long as a ramp-up takes and skip stages meanwhile,
so it is asked one thing only: is the run over?

Locust's own dispatcher deals user classes round robin over workers, which can leave a worker without a single
user of some class (two classes, two workers: each gets one of them). A slot of the schedule holds arrivals of
every scenario, so `PoolDispatcher` gives each worker the same pool.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from locust import LoadTestShape, User
from locust.dispatch import UsersDispatcher
from locust.runners import WorkerNode

UNREMARKABLE_SPAWN_RATE = 100
"""Locust warns about more; `PoolDispatcher` spawns everyone at once whatever the rate."""
Pool = Mapping[str, int]
"""How many users of each class one worker holds, by class name."""


class PlanShape(LoadTestShape):
    """Spawns the pool at once and ends the test when the plan has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.prepare: Callable[[], int] = lambda: 1
        """Makes a run ready; how many users it wants over the whole fleet."""
        self.is_over: Callable[[], bool] = lambda: False
        self._pool_size: int | None = None

    def forget(self) -> None:
        """Begin anew with the next tick: the test was stopped, so nobody will ask whether it is over."""
        self._pool_size = None

    def tick(self) -> tuple[int, float] | None:
        """The pool, spawned within one step; None once the run is over, or if it cannot begin."""
        if self._pool_size is None:
            self._pool_size = self.prepare() or None
        elif self.is_over():
            self._pool_size = None
        if self._pool_size is None:
            return None
        return self._pool_size, float(min(self._pool_size, UNREMARKABLE_SPAWN_RATE))


class PoolDispatcher(UsersDispatcher):
    """Gives every worker the same pool in one iteration, whenever it comes."""

    pool: Pool = MappingProxyType({})
    """Set before a test starts."""

    def __init__(self, worker_nodes: list[WorkerNode], user_classes: list[type[User]]) -> None:
        super().__init__(worker_nodes, user_classes)
        self._nodes = list(worker_nodes)
        self._names = [user_class.__name__ for user_class in user_classes]
        self._iteration: Iterator[dict[str, dict[str, int]]] = iter(())

    def new_dispatch(self, target_user_count: int, *_: Any, **__: Any) -> None:
        """Hand every worker its pool, or take it back; rate and classes are Locust's and mean nothing here."""
        pool = {name: self.pool.get(name, 0) if target_user_count else 0 for name in self._names}
        self._iteration = iter([{node.id: dict(pool) for node in self._nodes}])

    def __next__(self) -> dict[str, dict[str, int]]:
        return next(self._iteration)

    def get_current_user_count(self) -> int:
        """Users over the whole fleet."""
        return sum(self.pool.values()) * len(getattr(self, "_nodes", ()))

    @property
    def dispatch_in_progress(self) -> bool:
        """Never: an iteration is instantaneous."""
        return False

    def add_worker(self, worker_node: WorkerNode) -> None:
        """Count a worker in from the next iteration on."""
        self._nodes.append(worker_node)

    def remove_worker(self, worker_node: WorkerNode) -> None:
        """Leave a worker out from the next iteration on."""
        self._nodes = [node for node in self._nodes if node.id != worker_node.id]
