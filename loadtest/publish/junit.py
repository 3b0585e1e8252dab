"""A run as JUnit XML, so that any CI system shows its objectives as tests.

Three suites: the run itself (valid, finished), its objectives, and the audit. A run that is INVALID or was
ABORTED is an *error* (nothing was found out), a missed objective or orders that do not match are a *failure*, and
what was not judged is *skipped*.
"""

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from loadtest.judge.slo_syntax import SloError, parse
from loadtest.measure.endpoint_pattern import matches
from loadtest.measure.printable import printable
from loadtest.measure.run_result import RunResult, SloResult
from loadtest.measure.whole_file import write_whole
from loadtest.publish import wording

MOST_LINES = 20
"""Of reasons or errors under one test: what explains, not what fills a CI system's page."""


def write(result: RunResult, path: Path) -> None:
    """Write the run's verdict to `path` whole or not at all (by rename). Raises `OSError`."""
    write_whole(render(result), path)


def render(result: RunResult) -> str:
    """The XML document as text."""
    root = ET.Element("testsuites", name=printable(f"singlesday {result.run.plan}"))
    _run_suite(root, result)
    _slo_suite(root, result)
    _audit_suite(root, result)
    for total in ("tests", "failures", "errors", "skipped"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in root)))
    root.set("time", _seconds(result))
    ET.indent(root, " ")
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _run_suite(root: ET.Element, result: RunResult) -> None:
    suite = _suite(root, "run", result)
    case = _case(suite, "the load generator kept to its plan")
    head = wording.headline(result)
    if result.verdict in ("INVALID", "ABORTED"):
        _problem(suite, case, "error", head.sentence, head.reasons[:MOST_LINES])
    case.set("time", _seconds(result))
    ET.SubElement(suite, "system-out").text = _lines(line for line, _ in wording.identities(result))


def _slo_suite(root: ET.Element, result: RunResult) -> None:
    suite = _suite(root, "objectives", result)
    for slo in result.slo:
        case = _case(suite, wording.expression(slo))
        judged = wording.judged(slo, result.verdict)
        if judged == wording.NOT_JUDGED:
            why = [] if slo.passed else _why(slo, result)
            _skipped(suite, case, f"{judged}: the run is {result.verdict}", why)
        elif not slo.passed:
            _problem(suite, case, "failure", wording.how_missed(slo), _why(slo, result))


def _audit_suite(root: ET.Element, result: RunResult) -> None:
    suite = _suite(root, "audit", result)
    case = _case(suite, "acknowledged orders are stored exactly once")
    if result.audit is None:
        _skipped(suite, case, wording.audit(result))
    elif not result.audit.balanced:
        _problem(
            suite,
            case,
            "failure",
            "the database does not match the acknowledged orders",
            wording.audit_findings(result.audit),
        )


def _suite(root: ET.Element, name: str, result: RunResult) -> ET.Element:
    counts = {"tests": "0", "failures": "0", "errors": "0", "skipped": "0"}
    started = result.run.started_at.removesuffix("Z")
    return ET.SubElement(root, "testsuite", counts, name=name, timestamp=printable(started))


def _case(suite: ET.Element, name: str) -> ET.Element:
    _add(suite, "tests")
    return ET.SubElement(suite, "testcase", name=printable(name), classname=f"singlesday.{suite.get('name')}")


def _problem(suite: ET.Element, case: ET.Element, kind: str, message: str, details: list[str]) -> None:
    _add(suite, kind + "s")
    ET.SubElement(case, kind, message=printable(message)).text = _lines(details)


def _skipped(suite: ET.Element, case: ET.Element, message: str, details: Iterable[str] = ()) -> None:
    _add(suite, "skipped")
    ET.SubElement(case, "skipped", message=printable(message)).text = _lines(details) or None


def _add(suite: ET.Element, counter: str) -> None:
    suite.set(counter, str(int(suite.get(counter, "0")) + 1))


def _why(slo: SloResult, result: RunResult) -> list[str]:
    """What else is known of a missed objective: its note, and the errors seen where it looks."""
    note = [slo.note] if slo.note and slo.observed is not None else []
    return note + result.findings + _errors(slo, result)


def _errors(slo: SloResult, result: RunResult) -> list[str]:
    """The most frequent errors of the endpoints that an objective is about; of all where it is about the run."""
    try:
        pattern = parse(slo.expr).endpoint or "*"
    except SloError:
        pattern = "*"
    rows = [row for row in wording.error_rows(result) if matches(pattern, row.endpoint)]
    return [
        f"{row.endpoint}: {row.failures:,} x {row.error} ({row.share} of its requests{row.when and f', {row.when}'})"
        + (f", for example {row.sample}" if row.sample else "")
        for row in rows[:MOST_LINES]
    ]


def _seconds(result: RunResult) -> str:
    return f"{result.run.duration_s:.3f}"


def _lines(said: Iterable[str]) -> str:
    """A line each. XML 1.0 cannot hold most control characters, and nobody could read the others."""
    return "\n".join(map(printable, said))
