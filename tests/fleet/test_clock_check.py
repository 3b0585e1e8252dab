"""A worker's clock, measured by exchanges of any length: the true offset lies within the stated error."""

from hypothesis import given
from hypothesis import strategies as st

from loadtest.fleet.clock_check import PATIENCE_NS, ClockCheck
from loadtest.fleet.messages import Clock

MS = 1_000_000
delays = st.integers(0, 500 * MS)


def exchange(check: ClockCheck, offset_ns: int, there_ns: int, back_ns: int, at_ns: int = 0) -> None:
    """One hello and its answer, where our wall clock is ahead of the master's by `offset_ns`."""
    master_wall_ns = 10**18 + at_ns + there_ns
    now_ns = at_ns + there_ns + back_ns
    check.answered(Clock("run", at_ns, master_wall_ns), now_ns, 10**18 + now_ns + offset_ns)


@given(st.integers(-(10**12), 10**12), st.lists(st.tuples(delays, delays), min_size=1, max_size=9))
def test_the_true_offset_lies_within_the_stated_error(offset_ns: int, trips: list[tuple[int, int]]) -> None:
    check = ClockCheck()
    for there_ns, back_ns in trips:
        exchange(check, offset_ns, there_ns, back_ns)
    assert check.offset_ns is not None
    assert abs(check.offset_ns - offset_ns) <= check.error_ns + 1
    assert check.error_ns == (min(there + back for there, back in trips) + 1) // 2, "the quickest is the best"


@given(delays, delays)
def test_clocks_that_agree_are_never_corrected_however_slow_the_exchange(there_ns: int, back_ns: int) -> None:
    check = ClockCheck()
    exchange(check, 0, there_ns, back_ns)
    assert check.correction_ns == 0


def test_a_clock_that_is_off_is_corrected() -> None:
    check = ClockCheck()
    exchange(check, 5_000 * MS, MS, MS)
    assert check.correction_ns == 5_000 * MS


def test_an_answer_to_no_hello_of_ours_changes_nothing() -> None:
    check = ClockCheck()
    check.answered(Clock("run", 10**15, 0), 5, 10**18)
    check.answered(Clock("run", -(1 << 63), 0), 5, 10**18)
    check.answered(Clock("run", 0, 1 << 63), 5, 10**18)
    assert check.offset_ns is None


def test_a_worker_does_not_wait_forever_for_a_master_that_does_not_answer() -> None:
    check = ClockCheck()
    assert not check.known(1_000)
    assert not check.known(1_000 + PATIENCE_NS)
    assert check.known(1_001 + PATIENCE_NS)
