"""What the comparison of the simulation with real runs says of its figures, and the target that it is compared at."""

import pytest

from benchmarks.simulation import Told, said_of
from benchmarks.slots import Slots


@pytest.mark.parametrize(
    ("share", "completed", "p99s", "told", "decides", "said"),
    [
        (0.9, [100, 102], [50, 51], Told(101, 55, 55, 55), True, "within"),
        (0.9, [100, 102], [50, 51], Told(101, 70, 70, 70), True, "MISSED"),
        (0.9, [100, 102], [50, 51], Told(101, 70, 48, 90), True, "within"),
        (0.9, [100, 102], [50, 51], Told(93, 50, 50, 50), True, "MISSED"),
        (10, [100, 102], [50, 51], Told(93, 50, 50, 50), True, "within"),
        (0.5, [100], [5, 30], Told(100, 10, 10, 10), False, "inside"),
        (0.5, [100], [5, 30], Told(100, 2, 2, 2), False, "outside; the real runs differ by more"),
        (0.5, [100], [5, 5.5], Told(100, 2, 2, 2), False, "outside"),
        (0.5, [100], [5, 30], Told(80, 10, 10, 10), False, "MISSED"),
    ],
)
def test_a_row_is_within_only_where_rate_and_p99_are(
    share: float, completed: list[float], p99s: list[float], told: Told, *, decides: bool, said: str
) -> None:
    assert said_of(share, completed, p99s, told, decides=decides) == said


def test_slots_do_as_many_as_they_were_made_for_and_refuse_whoever_finds_no_room() -> None:
    slots = Slots(2, 0.1, 1)
    assert [slots.take(1.0) for _ in range(4)] == [
        pytest.approx(1.1),
        pytest.approx(1.1),
        pytest.approx(1.2),
        None,
    ]
    slots.left()
    # Whoever waits gets the slot at the instant at which it is free, however late the last answer was.
    assert slots.take(1.05) == pytest.approx(1.2)
    slots.left()
    assert slots.take(2.0) == pytest.approx(2.1)
