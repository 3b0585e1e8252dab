"""The pool: everyone at once, the same on every worker, and no ramp for Locust to play with."""

from locust import User
from locust.runners import WorkerNode

from loadtest.drive.shape import PlanShape, PoolDispatcher


class Buyer(User):
    """A user class."""


class Reader(User):
    """Another one."""


def dispatcher(workers: int, pool: dict[str, int]) -> PoolDispatcher:
    """A dispatcher over some workers."""
    nodes = [WorkerNode(f"w{number}") for number in range(workers)]
    made = PoolDispatcher(nodes, [Buyer, Reader])
    made.pool = pool
    return made


def test_every_worker_gets_the_whole_pool_in_one_iteration() -> None:
    made = dispatcher(2, {"Buyer": 3, "Reader": 1})
    made.new_dispatch(target_user_count=8, spawn_rate=1)
    assert list(made) == [{"w0": {"Buyer": 3, "Reader": 1}, "w1": {"Buyer": 3, "Reader": 1}}]
    assert made.get_current_user_count() == 8
    assert not made.dispatch_in_progress


def test_classes_that_the_plan_does_not_name_get_no_users() -> None:
    made = dispatcher(1, {"Buyer": 2})
    made.new_dispatch(target_user_count=2, spawn_rate=1)
    assert list(made) == [{"w0": {"Buyer": 2, "Reader": 0}}]


def test_a_target_of_none_sends_everybody_home() -> None:
    made = dispatcher(1, {"Buyer": 2})
    made.new_dispatch(target_user_count=0, spawn_rate=1)
    assert list(made) == [{"w0": {"Buyer": 0, "Reader": 0}}]


def test_workers_that_come_and_go_count_from_the_next_iteration_on() -> None:
    made = dispatcher(1, {"Buyer": 2})
    made.add_worker(WorkerNode("late"))
    made.new_dispatch(target_user_count=2, spawn_rate=1)
    assert set(next(made)) == {"w0", "late"}
    made.remove_worker(WorkerNode("w0"))
    made.new_dispatch(target_user_count=2, spawn_rate=1)
    assert set(next(made)) == {"late"}


def test_each_dispatch_deals_its_own_copy() -> None:
    made = dispatcher(2, {"Buyer": 2})
    made.new_dispatch(target_user_count=4, spawn_rate=1)
    dealt = next(made)
    dealt["w0"]["Buyer"] = 99
    assert dealt["w1"]["Buyer"] == 2


def test_the_shape_prepares_once_a_run_asks_for_all_users_and_ends_when_it_is_over() -> None:
    shape = PlanShape()
    prepared = []
    over = False
    shape.prepare = lambda: prepared.append(1) or 250  # type: ignore[func-returns-value]
    shape.is_over = lambda: over
    assert shape.tick() == (250, 100.0)
    assert shape.tick() == (250, 100.0)
    assert len(prepared) == 1
    over = True
    assert shape.tick() is None
    over = False
    assert shape.tick() == (250, 100.0), "the next run is prepared anew"
    assert len(prepared) == 2


def test_a_small_pool_is_spawned_at_a_rate_locust_accepts() -> None:
    shape = PlanShape()
    shape.prepare = lambda: 7
    assert shape.tick() == (7, 7.0)


def test_a_test_that_was_stopped_by_hand_leaves_nothing_to_the_next() -> None:
    shape = PlanShape()
    pools = [50, 70]
    shape.prepare = lambda: pools.pop(0)
    shape.tick()
    shape.forget()
    shape.is_over = lambda: True  # of the run before: nobody asks
    assert shape.tick() == (70, 70.0)
