"""The parts that charts are made of."""

import math
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from loadtest.publish import svg
from loadtest.publish.svg import WIDE, Plot, Scale

_positive = st.floats(1e-3, 1e7)


@given(_positive, st.integers(2, 10))
def test_linear_ticks_are_few_round_and_inside(high: float, about: int) -> None:
    ticks = svg.linear_ticks(0, high, about)
    assert ticks[0] == 0
    assert ticks[-1] <= high * (1 + 1e-6)
    assert len(ticks) <= about + 1
    if len(ticks) > 1:
        assert round(ticks[1] / 10 ** math.floor(math.log10(ticks[1]) + 1e-9), 6) in (1, 2, 5)


@given(st.floats(2, 400_000), st.integers(4, 12))
def test_time_ticks_fall_on_whole_seconds_within_the_run(duration_s: float, about: int) -> None:
    ticks = svg.time_ticks(duration_s, about)
    assert ticks[0] == 0
    assert all(tick == int(tick) and tick <= duration_s for tick in ticks)
    assert len(ticks) <= about + 1


def test_a_very_short_run_still_has_ticks() -> None:
    assert svg.time_ticks(0.5, 5) == [0, 0.1, 0.2, 0.3, 0.4, 0.5]


@given(_positive, st.floats(1, 1e6))
def test_log_bounds_enclose_the_values_and_hold_a_labelled_decade(low: float, factor: float) -> None:
    bottom, top = svg.log_bounds(low, low * factor)
    assert bottom <= low * (1 + 1e-6)
    assert top >= low * factor * (1 - 1e-6)
    assert svg.decade_ticks(bottom, top)


def test_a_scale_keeps_what_is_beyond_its_ends_at_its_ends() -> None:
    scale = Scale(0, 10, 100, 200)
    assert [scale(value) for value in (-5, 0, 5, 99)] == [100, 100, 150, 200]


def test_text_of_others_is_escaped() -> None:
    plot = Plot(WIDE, Scale(0, 1, 0, 1), Scale(0, 1, 0, 1))
    plot.text(1, 1, "<script>alert(1)</script>")
    drawn = ET.fromstring(plot.markup('" onload="alert(1)'))  # noqa: S314  # our own output
    assert [text.text for text in drawn.iter("text")] == ["<script>alert(1)</script>"]
    assert drawn.get("aria-label") == '" onload="alert(1)'
    assert drawn.get("onload") is None


def test_a_gap_in_the_data_breaks_the_line() -> None:
    plot = Plot(WIDE, Scale(0, 2, 0, 20), Scale(0, 1, 10, 0))
    plot.line([(0, 0), (1, 1), None, (2, 0)], "p50")
    assert 'd="M0 10h0L10 0M20 10h0"' in plot.parts[0]
