"""Names, errors and sentences from outside, at every door: nothing that is shown moves a cursor or breaks a line."""

import io
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loadtest.measure.endpoint_pattern import matches
from loadtest.measure.printable import printable
from loadtest.measure.run_result import RunResult, SloResult
from loadtest.measure.second import OpenSeconds
from loadtest.publish import console_verdict, html, junit, summary
from loadtest.records import Outcome
from tests.publish.sample_result import a_failed_run

HOSTILE = "GET /a\nb\x1b[31m\x07\x85\u202e"
SHOWN = r"GET /a\nb\x1b[31m\x07\x85\u202e"
PLACES = ("endpoint", "error", "sample", "body", "objective", "remark", "reason", "note", "finding", "event")
"""What comes from outside."""


def hostile(place: str) -> str:
    """A text with line feeds, escapes and marks of direction that tells which place it stands in."""
    return f"{HOSTILE}{place}"


def hostile_run() -> RunResult:
    """A run in which everything that comes from outside is hostile."""
    result = a_failed_run()
    endpoint = result.endpoints["POST /orders"]
    result.endpoints = {hostile("endpoint"): endpoint}
    endpoint.errors = {hostile("error"): 3}
    seen = next(iter(endpoint.evidence.values()))
    seen.text, seen.body = hostile("sample"), hostile("body")
    endpoint.evidence = {hostile("error"): seen}
    result.slo = [
        SloResult(expr=hostile("objective"), observed=1.0, passed=False, note=hostile("remark")),
    ]
    result.validity.reasons, result.notes = [hostile("reason")], [hostile("note")]
    result.findings = [hostile("finding")]
    result.events = [(1.0, hostile("event"))]
    return result


def terminal(result: RunResult) -> str:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    console_verdict.print_verdict(result, None, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def page_text(result: RunResult) -> str:
    """The report without its inlined data, in which JSON escapes."""
    return html.render(result).partition('id="data"')[0]


DOORS = {
    terminal: set(PLACES) - {"event"},
    summary.markdown: set(PLACES) - {"event"},
    junit.render: set(PLACES) - {"reason", "note", "event"},
    page_text: set(PLACES),
}
"""What each shows of `PLACES`: a text that it left out would prove nothing."""


@pytest.mark.parametrize(("door", "places"), DOORS.items())
def test_every_door_shows_control_characters_as_python_writes_them(
    door: Callable[[RunResult], str], places: set[str]
) -> None:
    text = door(hostile_run())
    assert all(line.isprintable() for line in text.split("\n"))
    joined = "".join(line.strip() for line in text.replace("\\\\", "\\").replace("\\[", "[").split("\n"))
    shown = {place for place in PLACES if f"\\u202e{place}" in joined}
    assert shown == places


def test_a_name_is_counted_as_it_is_shown_and_objectives_find_it_either_way() -> None:
    open_seconds = OpenSeconds(0, [HOSTILE], matches)
    method, name = HOSTILE.split(" ", 1)
    open_seconds.record(Outcome(method, name, 0, 0, 1_000, 0, HOSTILE))
    (second,) = open_seconds.take()
    assert [" ".join(key) for key in second.endpoints] == [SHOWN]
    assert [list(seen.errors) for seen in second.endpoints.values()] == [[SHOWN]]
    assert second.patterns[HOSTILE].requests == 1


@given(st.text())
def test_what_is_printable_stays_and_everything_else_becomes_so(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert (shown == text) == text.isprintable()
    assert json.dumps(shown)
