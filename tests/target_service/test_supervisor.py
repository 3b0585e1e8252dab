"""How long a crashing worker is waited with."""

from target_service.supervisor import LONGEST_PAUSE_S, backoff_s


def test_the_first_crash_is_mended_at_once_and_later_ones_ever_more_slowly() -> None:
    assert [backoff_s(crashes) for crashes in range(1, 6)] == [0, 0.1, 0.2, 0.4, 0.8]
    assert backoff_s(50) == LONGEST_PAUSE_S
