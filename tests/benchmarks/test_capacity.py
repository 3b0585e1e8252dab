"""What the comparison of `singlesday capacity` with wrk says of its figures."""

import pytest

from benchmarks.capacity import read_wrk, said_of

OURS = {"sustained_tps": 980.0, "exceeded_tps": 1010.0, "took_s": 100.0}


@pytest.mark.parametrize(
    ("wrk", "ours", "taken", "said"),
    [
        ([1000.0, 1020.0], OURS, None, "within"),
        ([1100.0, 1110.0], OURS, None, "MISSED"),
        ([900.0, 905.0], OURS, None, "MISSED"),
        ([1000.0, 1001.0], OURS | {"took_s": 181.0}, None, "MISSED"),
        ([1000.0, 1001.0], OURS | {"exceeded_tps": None}, None, "within"),
        ([1000.0, 1100.0], OURS, None, "taken: wrk differs from itself"),
        ([1000.0, 1001.0], OURS, "others used 40% of the cores", "within"),
        ([1100.0, 1101.0], OURS, "others used 40% of the cores", "taken: others used 40%"),
        ([1000.0, 0.0], OURS, None, "MISSED: wrk met the bound"),
    ],
)
def test_it_says_within_only_where_both_agree_and_nobody_was_in_the_way(
    wrk: list[float], ours: dict[str, object], taken: str | None, said: str
) -> None:
    assert said_of(wrk, ours, taken).startswith(said)


def test_what_wrk_prints_is_read() -> None:
    assert read_wrk("  99%   12.50ms\nRequests/sec:   5120.25\n") == (5120.25, 12.5)
    with pytest.raises(RuntimeError, match="no rate"):
        read_wrk("unable to connect")
