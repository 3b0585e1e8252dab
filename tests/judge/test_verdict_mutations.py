"""Mutation of the verdict: no way in which a run is bad ends PASS, and no good run ends otherwise.

Each way draws its severity, place and instant from a seed, always beyond what objectives allow; every run goes
through the real windows, reports, books and judge (`simulated_run`). `MUTATION_SEEDS=1000` tries a thousand of each;
what only shows with real processes is in `tests/system/test_verdict_mutations.py`.
"""

import os
from random import Random

import msgspec
import pytest

from loadtest.judge.verdict import judge, settle
from loadtest.measure.run_result import Audit, RunResult
from tests.judge.bad_runs import BAD
from tests.judge.good_runs import GOOD
from tests.judge.seeded_ways import Way
from tests.judge.simulated_run import World, play

SEEDS = int(os.environ.get("MUTATION_SEEDS", "6"))


@pytest.mark.parametrize("way", BAD.values(), ids=BAD)
def test_no_way_in_which_a_run_is_bad_ends_pass(way: Way) -> None:
    for seed in range(SEEDS):
        result = play(way(Random(seed)))
        assert result.verdict != "PASS", (seed, result.arrivals, result.slo)
        assert result.exit_code != 0
        assert _why(result), f"seed {seed}: {result.verdict} without a reason"


@pytest.mark.parametrize("way", GOOD.values(), ids=GOOD)
def test_no_good_run_ends_otherwise_than_pass(way: Way) -> None:
    for seed in range(SEEDS):
        result = play(way(Random(seed)))
        assert result.verdict == "PASS", (seed, result.arrivals, _why(result))


def _why(result: RunResult) -> list[str]:
    return [slo.expr for slo in result.slo if not slo.passed] + result.validity.reasons


def test_there_are_at_least_thirty_ways_to_be_bad_and_thirty_to_be_good() -> None:
    assert len(BAD) >= 30
    assert len(GOOD) >= 30


SQUARE = Audit(acknowledged=400, stored=400, lost=0, duplicated=0, oversold=0, phantom=0, shadow_leaks=0)


@pytest.mark.parametrize("fault", ["lost", "duplicated", "oversold", "phantom", "shadow_leaks"])
def test_books_that_differ_in_any_way_make_a_good_run_no_pass(fault: str) -> None:
    result = play(World())
    result.audit = msgspec.structs.replace(SQUARE, **{fault: 1})
    assert settle(result).verdict == "AUDIT"
    result.audit = SQUARE
    assert settle(result).verdict == "PASS"


def test_a_scenario_that_made_no_request_among_others_that_did_is_no_pass() -> None:
    result = play(World())
    assert result.verdict == "PASS"
    result.scenarios_without_requests = ["Refund"]
    assert judge(result, [], aborted=None).verdict == "FAIL"
