"""A worker's stream of arrivals: slots, leases, halts, and re-slices without a gap or a duplicate."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.drive.start import ArrivalStream, Assignment

EVER = 10**12


def every_ten(slot: int, slots: int, from_ns: int, to_ns: int | None) -> Iterator[tuple[int, int]]:
    """The n-th arrival at 10 n + 5, for n = slot mod slots."""
    first = max((from_ns + 4) // 10, 0)
    n = first + (slot - first) % slots
    while to_ns is None or 10 * n + 5 < to_ns:
        yield 10 * n + 5, 0
        n += slots


def stream(duration_ns: int = 1_000, *, lease_ns: int = EVER, slots: int = 1) -> ArrivalStream:
    """A stream that holds slot 0 from the beginning."""
    made = ArrivalStream(every_ten, duration_ns)
    made.assign(Assignment(0, slots, 0, 0))
    made.extend(lease_ns)
    return made


def drained(source: ArrivalStream, now_ns: int) -> list[int]:
    """Everything due by now."""
    offsets = []
    while (due := source.due(now_ns)) is not None:
        offsets.append(due[0])
    return offsets


def test_nothing_is_due_before_a_slot_was_assigned() -> None:
    unassigned = ArrivalStream(every_ten, 1_000)
    unassigned.extend(EVER)
    assert unassigned.peek_ns() is None
    assert unassigned.due(500) is None


def test_arrivals_are_due_at_their_instant_and_not_before() -> None:
    arrivals = stream()
    assert arrivals.peek_ns() == 5
    assert arrivals.due(4) is None
    assert arrivals.due(5) == (5, 0)
    assert drained(arrivals, 30) == [15, 25]
    assert arrivals.position_ns == 26


def test_without_a_lease_nothing_is_due_and_a_shorter_one_takes_nothing_back() -> None:
    arrivals = stream(lease_ns=0)
    assert drained(arrivals, 100) == []
    arrivals.extend(25)
    arrivals.extend(10)
    assert drained(arrivals, 100) == [5, 15], "the lease is half-open"


def test_the_schedule_ends_at_its_duration() -> None:
    arrivals = stream(duration_ns=25)
    assert drained(arrivals, 1_000) == [5, 15]
    assert not arrivals.exhausted(24)
    assert arrivals.exhausted(25)


def test_a_halt_ends_it_earlier_but_never_before_what_was_handed_out() -> None:
    arrivals = stream()
    arrivals.halt(500)
    assert arrivals.end_ns == 500
    assert len(drained(arrivals, 200)) == 20
    arrivals.halt(100)
    assert arrivals.end_ns == 196
    arrivals.halt(900)
    assert arrivals.end_ns == 196, "a later halt cannot bring back what was ended"


def test_a_new_slot_begins_where_the_old_one_ends() -> None:
    arrivals = stream(slots=1)
    arrivals.assign(Assignment(1, 2, 100, 100))
    assert drained(arrivals, 145) == [5, 15, 25, 35, 45, 55, 65, 75, 85, 95, 115, 135]


def test_a_slot_that_was_given_up_before_it_was_served_is_skipped() -> None:
    """The worker was paused at 50, given up for lost, and others served its slot until it came back."""
    arrivals = stream(lease_ns=50)
    assert len(drained(arrivals, 50)) == 5
    arrivals.assign(Assignment(0, 1, 200, 50))
    arrivals.extend(EVER)
    assert drained(arrivals, 225) == [205, 215, 225]


def test_a_join_in_the_past_does_not_bring_arrivals_from_before_it() -> None:
    late = ArrivalStream(every_ten, 1_000)
    late.assign(Assignment(0, 1, 90, 0))
    late.extend(EVER)
    assert drained(late, 100) == [95]


@settings(max_examples=150, deadline=None)
@given(
    reslices=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 4)), max_size=5),
    steps=st.lists(st.integers(1, 40), min_size=1, max_size=40),
)
def test_workers_resliced_at_any_instants_serve_the_schedule_exactly_once(
    reslices: list[tuple[int, int]], steps: list[int]
) -> None:
    """Four workers, of which the first `slots` hold a slot in each epoch; all messages arrive in time."""
    workers = [ArrivalStream(every_ten, 1_000) for _ in range(4)]
    served: list[int] = []
    held = [0] * 4
    now = from_ns = 0
    for ahead, slots in [(0, 2), *reslices]:
        from_ns = max(from_ns, now) + ahead
        for slot, worker in enumerate(workers):
            worker.extend(EVER)
            if slot < slots:
                worker.assign(Assignment(slot, slots, from_ns, from_ns if held[slot] else 0))
            elif held[slot]:
                worker.assign(Assignment(0, 1, EVER, from_ns))  # out of this epoch
            held[slot] = 1 if slot < slots or held[slot] else 0
        step = steps.pop() if steps else 7
        now += step
        for worker in workers:
            served += drained(worker, now)
    for worker in workers:
        served += drained(worker, EVER - 1)
    assert sorted(served) == [offset for offset, _ in every_ten(0, 1, 0, 1_000)]
