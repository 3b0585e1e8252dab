"""Durations, read and written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.plan.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("60", 60),
        ("1.5", 1.5),
        ("250ms", 0.25),
        ("30m", 1800),
        ("24h", 86400),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("2d", 172800),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "60 s", "1.", ".5", "1e3", "nan", "-1s", "1s!", "s", "1e3s", "٣s", "1s\n"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as"):
        parse_duration(text)


@settings(deadline=None)
@given(st.integers(0, 10**10))
def test_durations_are_written_as_they_are_read(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)
