"""The adaptive limit, on a clock that only moves when told."""

from target_service.shedding import (
    BUCKET_S,
    BURST_OF_REFUSALS,
    LARGEST_CROWD,
    LEAST_CROWD,
    LEAST_LIMIT,
    LONG_LAG_S,
    LONG_QUEUE_S,
    REFUSALS_PER_CPU_S,
    SHORT_QUEUE_S,
    AdaptiveLimit,
    Crowd,
    Pace,
)

MS = 1_000_000


class Clock:
    """Nanoseconds that stand still."""

    def __init__(self) -> None:
        self.now = 10**12

    def __call__(self) -> int:
        return self.now


def serve(limit: AdaptiveLimit, clock: Clock, batch: int, rtt_ms: int, seconds: float) -> None:
    """Admit `batch` changes at a time and answer them together, over and over."""
    until = clock.now + int(seconds * 1e9)
    while clock.now < until:
        begun = [began for _ in range(batch) if (began := limit.admit()) is not None]
        clock.now += rtt_ms * MS
        limit.committed(len(begun), rtt_ms / 1e3)
        for began in begun:
            limit.done(began)


def admitted(limit: AdaptiveLimit, wanted: int) -> int:
    return sum(limit.admit() is not None for _ in range(wanted))


def test_the_limit_is_what_a_fast_store_does_in_a_moment() -> None:
    clock = Clock()
    limit = AdaptiveLimit(10_000, clock)
    serve(limit, clock, batch=100, rtt_ms=10, seconds=2)
    assert limit.limit == 10_000 * SHORT_QUEUE_S


def test_a_slow_store_gets_room_for_the_batch_that_is_written_and_the_next() -> None:
    clock = Clock()
    limit = AdaptiveLimit(10_000, clock)
    serve(limit, clock, batch=1000, rtt_ms=400, seconds=4)
    assert 2 * 1000 < limit.limit < 3 * 1000


def test_a_very_slow_store_gets_no_more_than_the_longest_queue() -> None:
    clock = Clock()
    limit = AdaptiveLimit(10_000, clock)
    serve(limit, clock, batch=1000, rtt_ms=2000, seconds=20)
    assert limit.limit == 500 * LONG_QUEUE_S


def test_a_burst_after_a_quiet_time_is_let_in() -> None:
    clock = Clock()
    limit = AdaptiveLimit(10_000, clock)
    serve(limit, clock, batch=1, rtt_ms=2, seconds=5)
    assert limit.limit < 2000
    assert admitted(limit, 2000) == 2000


def test_a_queue_makes_the_limit_bind() -> None:
    clock = Clock()
    limit = AdaptiveLimit(20_000, clock)
    serve(limit, clock, batch=50, rtt_ms=5, seconds=5)
    assert admitted(limit, 6000) == 6000
    clock.now += 150 * MS
    assert limit.is_full()
    assert admitted(limit, 2000) == 0


def test_a_store_that_stopped_answering_is_noticed_without_an_answer() -> None:
    clock = Clock()
    limit = AdaptiveLimit(10_000, clock)
    serve(limit, clock, batch=100, rtt_ms=50, seconds=2)
    first = limit.admit()
    assert first is not None
    clock.now += 200 * MS
    assert admitted(limit, 5000) == 2000 * SHORT_QUEUE_S - 1


def test_there_is_always_room_for_a_few() -> None:
    clock = Clock()
    limit = AdaptiveLimit(10_000, clock)
    serve(limit, clock, batch=1, rtt_ms=2000, seconds=20)
    assert admitted(limit, 1000) >= LEAST_LIMIT


def test_the_queue_is_bounded_whatever_was_learnt() -> None:
    clock = Clock()
    limit = AdaptiveLimit(100, clock)
    assert admitted(limit, 1000) == 100
    assert limit.is_full()


def test_work_given_up_makes_room_but_teaches_nothing() -> None:
    clock = Clock()
    limit = AdaptiveLimit(100, clock)
    assert admitted(limit, 100) == 100
    clock.now += int(BUCKET_S * 1e9)
    limit.gave_up()
    assert limit.limit == 100
    assert admitted(limit, 10) == 1


def test_what_a_store_once_did_is_forgotten_and_the_limit_follows() -> None:
    clock = Clock()
    limit = AdaptiveLimit(10_000, clock)
    serve(limit, clock, batch=1000, rtt_ms=50, seconds=2)
    fast = limit.limit
    serve(limit, clock, batch=100, rtt_ms=50, seconds=8)
    assert limit.limit < fast / 5


def test_fewer_may_wait_for_a_loop_that_is_late_and_more_again_when_it_is_on_time() -> None:
    crowd = Crowd()
    for _ in range(LARGEST_CROWD - 1):
        crowd.joined()
    assert not crowd.is_full()
    for _ in range(20):
        crowd.note_lag(2 * LONG_LAG_S)
    while crowd.waiting >= LEAST_CROWD:
        assert crowd.is_full()
        crowd.left()
    assert not crowd.is_full()
    crowd.joined()
    assert crowd.is_full()
    for _ in range(20):
        crowd.note_lag(0.0)
    assert not crowd.is_full()


def test_a_loop_that_is_late_without_a_crowd_shuts_nobody_out() -> None:
    crowd = Crowd()
    for _ in range(100):
        crowd.joined()
        crowd.note_lag(2 * LONG_LAG_S)
    assert not crowd.is_full()


def test_a_loop_that_gets_hardly_any_cpu_still_lets_some_in() -> None:
    crowd = Crowd()
    for _ in range(LARGEST_CROWD):
        crowd.joined()
    crowd.note_lag(100 * LONG_LAG_S)
    assert crowd.is_full()
    for _ in range(LARGEST_CROWD - LEAST_CROWD + 1):
        crowd.left()
    crowd.note_lag(100 * LONG_LAG_S)
    assert not crowd.is_full()


def test_refusals_keep_their_pace_whatever_the_crowd() -> None:
    now_s = 0.0
    crowd = Crowd()
    crowd.note_lag(1.0)
    pace = Pace(crowd, lambda: now_s)
    told = 0
    for _ in range(1000):
        now_s += 0.01
        told += sum(pace.may_tell() for _ in range(300))
    assert told <= 10 * REFUSALS_PER_CPU_S + BURST_OF_REFUSALS
    assert told >= 10 * REFUSALS_PER_CPU_S * 0.9
