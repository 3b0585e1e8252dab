"""The form of keys."""

import pytest

from target_service import problem
from target_service.tags import parse_key
from tests.target_service.refusals import refused


def test_a_missing_key_is_no_key() -> None:
    assert parse_key(None) is None


@pytest.mark.parametrize("text", ["a", "0b5c-11", "~" * 128, '"quoted"'])
def test_visible_ascii_is_a_key(text: str) -> None:
    assert parse_key(text) == text


@pytest.mark.parametrize("text", ["", " ", "a b", "k" * 129, "é", "a\n", "\x7f"])
def test_anything_else_is_not(text: str) -> None:
    with refused(problem.BAD_REQUEST):
        parse_key(text)
