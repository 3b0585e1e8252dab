"""Texts are made that match their pattern, and none that is longer than anybody wants."""

import contextlib
import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.pattern_text import MOST, Pieces, TooLongError, text_matching


@pytest.mark.parametrize(
    "pattern",
    [
        "^sku-[0-9]{6,9}$(?!\\n)",
        "[^a-z]{3}",
        "(ab|cd)+\\.\\w",
        "^[!-~]{1,128}$",
        "\\d{3}-\\d{4}",
        "(.)\\1",
        "[^\\d]x?",
        f"a{{{MOST // 2}}}",
    ],
)
def test_a_text_matches_its_pattern(pattern: str) -> None:
    assert re.search(pattern, text_matching(pattern, Random(1)))


def test_a_pattern_that_is_none_gives_an_empty_text() -> None:
    assert text_matching("[", Random(1)) == ""


@pytest.mark.parametrize(
    "pattern",
    [
        "a{2000000000}",
        "(?:){2000000000}",
        "((a{5000}){5000}){5000}",
        "(?:^^^^^){4000}",
        "".join(f"(\\{number - 1}\\{number - 1})" if number > 1 else "(a)" for number in range(1, 90)),
    ],
    ids=["a number", "of nothing", "of each other", "of anchors", "references back"],
)
def test_a_pattern_whose_texts_are_too_long_is_refused_at_once(pattern: str) -> None:
    pieces = Pieces()
    with pytest.raises(TooLongError):
        text_matching(pattern, Random(1), pieces)
    assert pieces.made < 2 * MOST


parts = st.sampled_from(["a", "[0-9]", ".", "^", "\\b", "(?:)", "(a|b)"])
patterns = st.recursive(
    parts,
    lambda inner: (
        st.builds("({}){{{}}}".format, inner, st.integers(0, 10**9))
        | st.builds("{}{}".format, inner, inner)
        | st.builds("({})\\1".format, inner)
    ),
)


@given(patterns)
def test_whatever_a_pattern_repeats_a_text_is_soon_made_or_refused(pattern: str) -> None:
    pieces = Pieces()
    with contextlib.suppress(TooLongError):
        text_matching(pattern, Random(1), pieces)
    assert pieces.made <= 20 * (MOST + MOST), "twenty tries, and what one of them ends with"
