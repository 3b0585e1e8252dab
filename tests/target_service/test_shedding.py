"""The adaptive limit, on a clock that only moves when told."""

from target_service.shedding import BUCKET_NS, LEAST_LIMIT, AdaptiveLimit

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
        for began in begun:
            limit.done(began)


def admitted(limit: AdaptiveLimit, wanted: int) -> int:
    return sum(limit.admit() is not None for _ in range(wanted))


def test_the_limit_is_the_highest_rate_times_the_shortest_response_time() -> None:
    clock = Clock()
    limit = AdaptiveLimit(10_000, clock)
    serve(limit, clock, batch=1000, rtt_ms=100, seconds=2)
    # 1,000 every 100 ms is 10,000 a second, and each took 0.1 s.
    assert abs(limit.limit - 1000) <= 200


def test_a_burst_after_a_quiet_time_is_let_in() -> None:
    clock = Clock()
    limit = AdaptiveLimit(10_000, clock)
    serve(limit, clock, batch=1, rtt_ms=2, seconds=5)
    assert limit.limit == LEAST_LIMIT
    assert admitted(limit, 2000) == 2000


def test_a_queue_makes_the_limit_bind() -> None:
    clock = Clock()
    limit = AdaptiveLimit(10_000, clock)
    serve(limit, clock, batch=50, rtt_ms=5, seconds=5)
    assert admitted(limit, 2000) == 2000
    clock.now += 150 * MS
    assert admitted(limit, 2000) == 0


def test_a_store_that_stopped_answering_is_noticed_without_an_answer() -> None:
    clock = Clock()
    limit = AdaptiveLimit(10_000, clock)
    serve(limit, clock, batch=100, rtt_ms=50, seconds=2)
    first = limit.admit()
    assert first is not None
    clock.now += 200 * MS
    assert admitted(limit, 5000) < 5000


def test_there_is_always_room_for_a_few() -> None:
    clock = Clock()
    limit = AdaptiveLimit(10_000, clock)
    serve(limit, clock, batch=1, rtt_ms=2000, seconds=20)
    assert admitted(limit, 1000) >= LEAST_LIMIT


def test_the_queue_is_bounded_whatever_was_learnt() -> None:
    clock = Clock()
    limit = AdaptiveLimit(100, clock)
    assert admitted(limit, 1000) == 100


def test_work_given_up_makes_room_but_teaches_nothing() -> None:
    clock = Clock()
    limit = AdaptiveLimit(100, clock)
    assert admitted(limit, 100) == 100
    clock.now += BUCKET_NS
    limit.gave_up()
    assert limit.limit == 100
    assert admitted(limit, 10) == 1


def test_a_short_service_is_forgotten_and_the_limit_follows() -> None:
    clock = Clock()
    limit = AdaptiveLimit(10_000, clock)
    serve(limit, clock, batch=1000, rtt_ms=50, seconds=2)
    fast = limit.limit
    serve(limit, clock, batch=100, rtt_ms=50, seconds=8)
    assert limit.limit < fast / 5
