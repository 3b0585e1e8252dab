"""The writer of SVG files."""

import math
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from loadtest.publish import svg

_positive = st.floats(1e-3, 1e7)


@given(_positive, st.integers(2, 10))
def test_linear_ticks_are_few_round_and_inside(high: float, about: int) -> None:
    ticks = svg.linear_ticks(0, high, about)
    assert ticks[0] == 0
    assert ticks[-1] <= high * (1 + 1e-6)
    assert len(ticks) <= about + 1
    if len(ticks) > 1:
        assert round(ticks[1] / 10 ** math.floor(math.log10(ticks[1]) + 1e-9), 6) in (1, 2, 5)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
def test_text_of_others_stays_text(text: str) -> None:
    body = '<text x="{{ x }}" fill="{{ text }}">{{ text }}</text>'
    drawn = ET.fromstring(svg.document(body, width=10, height=10, label=text, x=1.04, text=text))  # noqa: S314  # our own output
    words = drawn.find("{http://www.w3.org/2000/svg}text")
    assert words is not None
    assert (words.text or "") == text
    assert words.get("x") == "1"
