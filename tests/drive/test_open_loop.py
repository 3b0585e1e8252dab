"""The dispatcher with real greenlets on virtual time."""

import gc
from collections.abc import Callable, Iterator

import gevent
import gevent.event
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.drive.open_loop import OpenLoop
from loadtest.drive.start import ArrivalStream, Assignment
from loadtest.measure.second import OpenSeconds, Second, sum_of
from loadtest.records import FAILED, OK, Arrival
from loadtest.virtual_time import VirtualClock

MS = 1_000_000
S = 1_000 * MS


def in_hub(action: Callable[[], None]) -> None:
    """Run `action` in gevent's hub, where a real timer calls back, and wait until it has."""
    done = gevent.event.Event()

    def run() -> None:
        action()
        done.set()

    gevent.get_hub().loop.run_callback(run)
    assert done.wait(60)


def total_of(open_seconds: OpenSeconds) -> Second:
    """Everything that has been counted."""
    return sum_of(open_seconds.take())


class Loop:
    """An `OpenLoop` over a list of (offset, scenario), with users that serve until told to stop."""

    def __init__(
        self, offsets: list[tuple[int, int]], *, patience_ns: int = 10 * S, scenarios: int = 1
    ) -> None:
        self.clock = VirtualClock()
        self.served: list[tuple[int, Arrival]] = []
        self.loop = OpenLoop(
            transactions=[True] + [False] * (scenarios - 1),
            patience_ns=patience_ns,
            clock=self.clock,
            timer=self.clock.timer,
        )
        self.open_seconds = OpenSeconds(self.clock.now_ns() + S)
        end_ns = offsets[-1][0] + 1

        def arrivals(_slot: int, _slots: int, from_ns: int, _to_ns: int | None) -> Iterator[tuple[int, int]]:
            return iter([pair for pair in offsets if pair[0] >= from_ns])

        self.stream = ArrivalStream(arrivals, end_ns)
        self.stream.extend(1_000 * S)
        self.users: list[gevent.Greenlet] = []

    def begin(self) -> None:
        gevent.idle()
        self.stream.assign(Assignment(0, 1, 0, 0))
        self.loop.begin(self.stream, self.open_seconds)

    def add_user(self, serve: Callable[[Arrival], bool], scenario: int = 0) -> None:
        """A user that calls `serve` for each arrival; its value says whether it succeeded."""

        def run() -> None:
            while True:
                arrival = self.loop.take(scenario)
                self.served.append((self.clock.now_ns() - self.open_seconds.zero_ns, arrival))
                self.loop.finish(arrival, OK if serve(arrival) else FAILED, self.clock.now_ns())

        self.users.append(gevent.spawn(run))

    def add_stuck_user(self) -> gevent.event.Event:
        """A user that serves no further arrival until the event it returns is set."""
        release = gevent.event.Event()

        def serve(_: Arrival) -> bool:
            release.wait()
            return True

        self.add_user(serve)
        return release

    def advance_to(self, offset_ns: int) -> None:
        in_hub(lambda: self.clock.advance_to(self.open_seconds.zero_ns + offset_ns))

    def total(self) -> Second:
        return total_of(self.open_seconds)

    def close(self) -> None:
        self.loop.close()
        gevent.killall(self.users)


@pytest.fixture
def make() -> Iterator[Callable[..., Loop]]:
    loops: list[Loop] = []

    def factory(*args: object, **kwargs: object) -> Loop:
        loops.append(Loop(*args, **kwargs))  # type: ignore[arg-type]
        return loops[-1]

    yield factory
    for loop in loops:
        loop.close()


def test_arrivals_start_at_their_intended_instants(make: Callable[..., Loop]) -> None:
    loop = make([(n * 10 * MS, 0) for n in range(5)])
    loop.add_user(lambda _: True)
    loop.begin()
    loop.advance_to(S)
    assert [offset for offset, _ in loop.served] == [n * 10 * MS for n in range(5)]
    total = loop.total()
    assert (total.scheduled, total.started, total.ok, total.transactions_ok) == (5, 5, 5, 5)
    assert total.dispatch_lag.max_us <= 1
    assert loop.loop.drained()


def test_who_begins_a_run_runs_no_user_himself(make: Callable[..., Loop]) -> None:
    """Users are resumed from the hub only: from elsewhere they would go on inside the greenlet that began."""
    loop = make([(0, 0)])
    loop.add_user(lambda _: True)
    loop.clock.jump(2 * S)
    loop.begin()
    assert loop.served == []
    loop.advance_to(2 * S)
    assert len(loop.served) == 1


def test_what_was_there_before_a_run_is_kept_out_of_its_collections(make: Callable[..., Loop]) -> None:
    run = make([(0, 0)])
    gc.unfreeze()
    run.begin()
    assert gc.get_freeze_count() > 10_000  # Locust, gevent and the users
    run.loop.close()
    assert gc.get_freeze_count() == 0


def test_late_arrival_keeps_its_intended_instant(make: Callable[..., Loop]) -> None:
    loop = make([(n * 10 * MS, 0) for n in range(5)])
    loop.add_user(lambda _: True)
    loop.begin()
    loop.clock.jump(S + 100 * MS)  # the process was paused over all five arrivals
    loop.advance_to(200 * MS)
    assert [arrival.intended_ns - loop.open_seconds.zero_ns for _, arrival in loop.served] == [
        n * 10 * MS for n in range(5)
    ]
    total = loop.total()
    assert total.dispatch_lag.max_us >= 100_000
    assert total.queueing.max_us <= 1


def test_arrival_without_an_idle_user_waits_and_that_is_queueing_not_lag(make: Callable[..., Loop]) -> None:
    loop = make([(0, 0), (1 * MS, 0)])
    release = loop.add_stuck_user()
    loop.begin()
    loop.advance_to(50 * MS)
    assert len(loop.served) == 1
    assert loop.loop.backlog == 1
    release.set()
    gevent.idle()
    gevent.idle()
    assert len(loop.served) == 2
    total = loop.total()
    assert total.dispatch_lag.max_us <= 1
    assert total.queueing.max_us == pytest.approx(49_000, rel=0.01)


def test_impatient_arrival_is_dropped_and_counted(make: Callable[..., Loop]) -> None:
    loop = make([(0, 0), (1 * MS, 0), (2 * MS, 0)], patience_ns=20 * MS)
    loop.add_stuck_user()
    loop.begin()
    loop.advance_to(500 * MS)
    total = loop.total()
    assert (total.scheduled, total.started, total.dropped) == (3, 1, 2)


def test_last_user_to_become_idle_serves_first(make: Callable[..., Loop]) -> None:
    loop = make([(n * MS, 0) for n in range(6)])
    who: list[int] = []

    def user(number: int) -> Callable[[Arrival], bool]:
        def serve(_: Arrival) -> bool:
            who.append(number)
            return True

        return serve

    for number in range(3):
        loop.add_user(user(number))
    loop.begin()
    loop.advance_to(S)
    assert who == [2] * 6


def test_an_arrival_goes_to_a_user_of_its_scenario(make: Callable[..., Loop]) -> None:
    loop = make([(0, 0), (1 * MS, 1), (2 * MS, 0)], scenarios=2)
    who: list[str] = []
    loop.add_user(lambda _: who.append("order") or True, scenario=0)  # type: ignore[func-returns-value]
    loop.add_user(lambda _: who.append("page") or True, scenario=1)  # type: ignore[func-returns-value]
    loop.begin()
    loop.advance_to(S)
    assert who == ["order", "page", "order"]
    total = loop.total()
    assert (total.ok, total.transactions_ok) == (3, 2)


def test_user_killed_while_idle_is_never_handed_an_arrival(make: Callable[..., Loop]) -> None:
    loop = make([(10 * MS, 0)])
    loop.add_user(lambda _: True)
    loop.begin()
    assert loop.loop.idle == 1
    loop.users[0].kill()
    assert loop.loop.idle == 0
    loop.advance_to(50 * MS)
    assert loop.loop.backlog == 1


def test_close_cancels_what_is_in_flight_and_drops_what_waits(make: Callable[..., Loop]) -> None:
    loop = make([(0, 0), (1 * MS, 0)])
    release = loop.add_stuck_user()
    loop.begin()
    loop.advance_to(5 * MS)
    loop.loop.close()
    release.set()
    gevent.idle()
    gevent.idle()
    total = loop.total()
    assert (total.scheduled, total.started, total.dropped, total.ok, total.cancelled) == (2, 1, 1, 0, 1)


def test_nothing_is_served_past_the_lease_and_what_was_kept_back_counts_as_lag(
    make: Callable[..., Loop],
) -> None:
    loop = make([(n * 10 * MS, 0) for n in range(10)])
    loop.stream.lease_ns = 35 * MS
    loop.add_user(lambda _: True)
    loop.begin()
    loop.advance_to(90 * MS)
    assert len(loop.served) == 4
    loop.stream.extend(S)
    loop.advance_to(300 * MS)
    assert len(loop.served) == 10
    assert loop.total().dispatch_lag.max_us >= 50_000


@given(st.lists(st.tuples(st.integers(0, 150), st.integers(0, 150)), min_size=1, max_size=8))
def test_what_waits_is_taken_in_its_order_however_many_come_and_go(steps: list[tuple[int, int]]) -> None:
    """Each step is (arrivals that come, arrivals that are taken at most)."""
    loop = Loop([(n * MS, 0) for n in range(sum(come for come, _ in steps) + 1)], patience_ns=1_000 * S)
    loop.begin()
    came = 0
    taken: list[int] = []
    for come, take in steps:
        came += come
        loop.advance_to(came * MS - 1)
        for _ in range(min(take, came - len(taken))):
            taken.append((loop.loop.take(0).intended_ns - loop.open_seconds.zero_ns) // MS)
            assert loop.loop.backlog == came - len(taken)
    assert taken == list(range(len(taken)))
    loop.close()


def test_failed_arrival_is_counted_as_failed(make: Callable[..., Loop]) -> None:
    loop = make([(0, 0), (1 * MS, 0)])
    loop.add_user(lambda arrival: arrival.intended_ns == loop.open_seconds.zero_ns)
    loop.begin()
    loop.advance_to(S)
    total = loop.total()
    assert (total.ok, total.failed, total.transactions_failed) == (1, 1, 1)


def test_a_burst_is_served_in_batches_that_let_the_loop_read_between(make: Callable[..., Loop]) -> None:
    loop = make([(n, 0) for n in range(200)])
    loop.add_user(lambda _: True)
    loop.begin()
    loop.clock.jump(S + MS)
    wakes = 0
    while not loop.loop.drained():
        in_hub(lambda: loop.clock.advance(100_000))
        wakes += 1
    assert wakes >= 200 // 64


def test_a_script_that_computes_leaves_others_their_turns(make: Callable[..., Loop]) -> None:
    def compute(_: Arrival) -> bool:
        loop.clock.jump(60 * MS)
        return True

    loop = make([(n, 0) for n in range(10)])
    loop.add_user(compute)
    loop.begin()
    loop.clock.jump(S + MS)
    wakes = 0
    while not loop.loop.drained():
        in_hub(lambda: loop.clock.advance(100_000))
        wakes += 1
    assert wakes >= 5, "one turn when the timer is due, and one when it is armed for what is due already"


@pytest.mark.parametrize(("patience_s", "still_s", "missed"), [(10, 0.9, 0), (10, 3.0, 30), (0.5, 0.9, 9)])
def test_what_was_due_while_the_process_stood_still_is_dropped_and_not_sent_as_a_burst(
    make: Callable[..., Loop], patience_s: float, still_s: float, missed: int
) -> None:
    loop = make([(n * 100 * MS, 0) for n in range(1, 60)], patience_ns=round(patience_s * S))
    loop.add_user(lambda _: True)
    loop.begin()
    loop.advance_to(S + MS)

    def stand_still() -> None:
        loop.clock.jump(round(still_s * S))
        loop.loop.wake()

    in_hub(stand_still)
    assert loop.loop.missed == missed
    sent_at_once = [at for at, _ in loop.served if at == loop.clock.now_ns() - loop.open_seconds.zero_ns]
    assert len(sent_at_once) == (0 if missed else 9)
    loop.advance_to(6 * S)
    total = loop.total()
    assert (total.scheduled, total.started, total.dropped) == (59, 59 - missed, missed)
    assert total.ok == total.started
    assert total.dispatch_lag.max_us > (still_s - 0.2) * 1e6, "that it was late is in the books"
