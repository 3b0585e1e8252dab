"""The JUnit file as CI systems read it."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from loadtest.measure.run_result import Audit, RunResult
from loadtest.publish import junit
from tests.publish.sample_result import a_failed_run, an_empty_run


def written(result: RunResult, folder: Path) -> ET.Element:
    junit.write(result, folder / "junit.xml")
    return ET.parse(folder / "junit.xml").getroot()  # noqa: S314  # our own output


def totals(root: ET.Element) -> tuple[str | None, ...]:
    return tuple(root.get(name) for name in ("tests", "failures", "errors", "skipped"))


def test_each_objective_is_a_test_and_a_missed_one_a_failure(tmp_path: Path) -> None:
    root = written(a_failed_run(), tmp_path)
    assert totals(root) == ("7", "2", "0", "0")
    cases = {case.get("name"): case for case in root.iter("testcase")}
    failure = cases["p99.9(POST /orders) < 250ms"].find("failure")
    assert failure is not None
    assert str(failure.get("message")).startswith("observed 1,1")
    assert cases["dropped == 0"].find("failure") is None


@pytest.mark.parametrize("verdict", ["INVALID", "ABORTED"])
def test_a_run_that_proves_nothing_is_an_error(verdict: str, tmp_path: Path) -> None:
    result = a_failed_run()
    result.verdict, result.validity.reasons = verdict, ["worker 2 was late."]
    root = written(result, tmp_path)
    assert root.get("errors") == "1"
    error = root.find(".//error")
    assert error is not None
    assert str(error.text).splitlines()[0] == "worker 2 was late."


def test_the_objectives_of_an_invalid_run_are_skipped_not_missed(tmp_path: Path) -> None:
    result = a_failed_run()
    result.verdict, result.audit = "INVALID", None
    root = written(result, tmp_path)
    assert totals(root) == ("7", "0", "1", "6")
    skipped = [
        case.find("skipped") for case in root.iter("testcase") if "objectives" in str(case.get("classname"))
    ]
    assert {case.get("message") for case in skipped if case is not None} == {"not judged: the run is INVALID"}
    assert "POST /orders" in "".join(str(case.text) for case in skipped if case is not None), (
        "errors are told still"
    )


def test_unbalanced_books_are_a_failure(tmp_path: Path) -> None:
    result = a_failed_run()
    result.slo, result.verdict = [], "AUDIT"
    result.audit = Audit(
        acknowledged=2, stored=1, lost=1, duplicated=0, oversold=0, phantom=0, shadow_leaks=0
    )
    root = written(result, tmp_path)
    assert totals(root) == ("2", "1", "0", "0")


def test_an_audit_that_was_not_made_is_skipped_not_passed(tmp_path: Path) -> None:
    assert totals(written(an_empty_run(), tmp_path)) == ("2", "0", "1", "1")


def test_characters_that_xml_cannot_hold_do_not_break_the_file(tmp_path: Path) -> None:
    result = a_failed_run()
    result.run.plan = "a\x00b\x1b]0;c\ud800<&\"'>"
    assert written(result, tmp_path).get("name") == "singlesday a\\x00b\\x1b]0;c\\ud800<&\"'>"
