"""The tags of a request: the run it belongs to, and its idempotency key."""

import pytest
from multidict import CIMultiDict

from target_service import problem
from target_service.tags import LIVE, RUN_HEADER, only_value, parse_key, run_id_of, traffic_of
from tests.target_service.refusals import refused


def test_a_request_without_the_tag_is_live() -> None:
    assert run_id_of(None) == LIVE
    assert traffic_of(LIVE) == "live"


def test_a_tagged_request_belongs_to_its_run() -> None:
    run_id = run_id_of("20261111T000000Z-singles-day")
    assert traffic_of(run_id) == "shadow"


@pytest.mark.parametrize("text", ["", " ", "-x", "a b", "a/b", "x" * 65, "é", "a\n"])
def test_a_bad_tag_is_refused_and_never_taken_for_live(text: str) -> None:
    with refused(problem.BAD_REQUEST):
        run_id_of(text)


def test_a_header_is_read_if_it_is_there_once() -> None:
    assert only_value(CIMultiDict(), RUN_HEADER) is None
    assert only_value(CIMultiDict({"x-load-test": "a"}), RUN_HEADER) == "a"


@pytest.mark.parametrize("second", ["a", "b", ""])
def test_a_header_that_is_there_twice_is_refused(second: str) -> None:
    with refused(problem.BAD_REQUEST):
        only_value(CIMultiDict([("X-Load-Test", "a"), ("x-load-test", second)]), RUN_HEADER)


def test_a_missing_key_is_no_key() -> None:
    assert parse_key(None) is None


@pytest.mark.parametrize("text", ["a", "0b5c-11", "~" * 128, '"quoted"'])
def test_visible_ascii_is_a_key(text: str) -> None:
    assert parse_key(text) == text


@pytest.mark.parametrize("text", ["", " ", "a b", "k" * 129, "é", "a\n", "\x7f"])
def test_anything_else_is_not(text: str) -> None:
    with refused(problem.BAD_REQUEST):
        parse_key(text)
