"""The form of keys, and who is working under one."""

import pytest

from target_service import problem
from target_service.tags import KeysInFlight, parse_key
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


def test_a_key_is_held_by_one_until_let_go() -> None:
    keys = KeysInFlight()
    keys.hold("", "k")
    with refused(problem.KEY_IN_FLIGHT):
        keys.hold("", "k")
    keys.let_go("", "k")
    keys.hold("", "k")


def test_keys_of_different_runs_and_missing_keys_do_not_meet() -> None:
    keys = KeysInFlight()
    for run_id, key in (("", "k"), ("run-a", "k"), ("", None), ("", None)):
        keys.hold(run_id, key)
