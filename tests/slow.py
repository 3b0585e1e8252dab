"""Tests that `make test` leaves out, and what holds in their place.

A change is to be tested in minutes: of every kind of fault, one test with real processes stays in `make test`. Second
plays of a kind, long campaigns and tables of cases are marked, with the test that stays:

    @pytest.mark.slow(held_by="test_a_crashed_worker_is_started_again_and_counted")
    def test_a_worker_that_hangs_is_replaced(): ...

or, of a table, with the cases that stay:

    @pytest.mark.slow(stays=["init"])
    @pytest.mark.parametrize("event", ["init", "request", "quitting"])
    def test_a_listener_that_raises(event): ...

Every night plays all of them (`make test-all`); each change in CI plays a share, drawn by its commit.
"""

import re
import zlib

import pytest


def unmark_what_stays(items: list[pytest.Item]) -> None:
    """Let `-m "not slow"` find the cases that stay."""
    for item in items:
        mark = item.get_closest_marker("slow")
        if mark is not None and _case(item) in mark.kwargs.get("stays", ()):
            item.own_markers[:] = [mark for mark in item.own_markers if mark.name != "slow"]


def cases_to_play(request: pytest.FixtureRequest, parameter: str) -> set[str]:
    """The values that a parameter has in the tests of this file that are played: a fixture need make no others."""
    calls = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    return {call.params[parameter] for call in calls if call is not None and parameter in call.params}


def _case(item: pytest.Item) -> str | None:
    """Which case of its table a test is: what its name has in brackets."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else str(callspec.id)


def parsed_share(text: str) -> tuple[int, int]:
    """(number, of) of a share such as 2/6, whose first is 0/6. Raises `pytest.UsageError` for another text."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not int(found[1]) < int(found[2]):
        raise pytest.UsageError(f"--slow-share {text}: expected N/OF with N from 0 to OF - 1, such as 2/6")
    return int(found[1]), int(found[2])


def in_share(nodeid: str, number: int, of: int) -> bool:
    """Whether a test is of this share: all cases of one function are, as they may share what they play on."""
    function = nodeid.partition("[")[0].partition("@")[0]
    return zlib.crc32(function.encode()) % of == number
