"""Seeded bugs of harness and service: a run's own verdict catches each for the right reason, and no clean run."""

import re
from pathlib import Path
from random import Random

import pytest

from loadtest.measure.run_result import RunResult
from loadtest.publish import wording
from tests.judge.good_runs import GOOD
from tests.judge.seeded_bugs import HARNESS, SERVICE
from tests.judge.simulated_run import play
from tests.judge.stored_run import play_stored

CLEAN_RUNS = 100


def reasons(result: RunResult) -> str:
    """Everything that the verdict is founded on."""
    missed = [f"{slo.expr}: {slo.note}" for slo in result.slo if not slo.passed]
    audit = wording.audit_findings(result.audit) if result.audit is not None else []
    return "\n".join([*result.validity.reasons, *missed, *audit])


@pytest.mark.parametrize("name", HARNESS)
def test_a_bug_of_the_harness_is_caught_by_the_verdict(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = HARNESS[name]
    before = play(bug.world)
    with monkeypatch.context() as patch:
        bug.put_in(patch)
        result = play(bug.world)
    assert result.verdict == bug.verdict, reasons(result)
    assert re.search(bug.reason, reasons(result)), reasons(result)
    assert not re.search(bug.reason, "\n".join(before.validity.reasons)), "it is there without the bug too"


@pytest.mark.parametrize("name", SERVICE)
def test_a_bug_of_the_service_or_of_the_clients_books_is_caught_by_the_verdict(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug = SERVICE[name]
    with monkeypatch.context() as patch:
        bug.put_in(patch)
        result = play_stored(tmp_path)
    assert result.verdict == bug.verdict, reasons(result)
    assert re.search(bug.reason, reasons(result)), reasons(result)


def test_a_run_with_a_store_that_has_no_bug_is_clean(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        result = play_stored(folder)
        assert result.verdict == "PASS", reasons(result)
        assert result.audit is not None
        assert result.audit.acknowledged == result.audit.stored == result.transactions.count > 0


def test_there_are_thirty_bugs() -> None:
    assert len(HARNESS) + len(SERVICE) >= 30


def test_a_hundred_clean_runs_raise_no_alarm() -> None:
    ways = list(GOOD.values())
    for number in range(CLEAN_RUNS):
        result = play(ways[number % len(ways)](Random(10_000 + number)))
        assert result.verdict == "PASS", (number, reasons(result))
