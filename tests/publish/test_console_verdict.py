"""How a run ended, on a terminal and in a log."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from loadtest.measure.run_result import RunResult, SloResult
from loadtest.publish import console_verdict, paragraph, summary
from loadtest.publish.answers import peak
from tests.publish.sample_result import a_failed_run, an_empty_run

REPORT = Path("runs/x/report.html")


def printed(
    result: RunResult,
    report: Path | None = None,
    width: int = 110,
    *,
    terminal: bool = False,
    resumable: bool = False,
) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    console_verdict.print_verdict(result, report, console, resumable=resumable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_it_has_verdict_peak_response_times_audit_and_the_reports_path() -> None:
    text = printed(a_failed_run(), REPORT)
    assert text.strip().startswith("FAIL  2 of 5 objectives missed.")
    for words in (
        "peak      2,110 orders/s in the best second",
        "0.362% of 583,000 (Singles' Day 2020)",
        "requests  115,296 made, 1,922 requests/s on average",
        "dropped   0 of 115,296 arrivals",
        "audit     passed: 67,469 orders acknowledged, 67,469 stored",
        "report  runs/x/report.html",
    ):
        assert words in text


PLANS = {"singles-day": True, "day": True, "rehearsal": False, "checkout": False}
"""Whether the record says something about a run of it; the rehearsal's curve is made up, its peak an overload."""


def test_only_a_plan_of_singles_day_is_compared_with_the_record() -> None:
    result = a_failed_run()
    for plan, compared in PLANS.items():
        result.run.plan = plan
        assert ("583,000" in printed(result)) is compared, plan
        assert ("583,000" in " ".join(peak(result).lines)) is compared, plan


def test_every_endpoint_has_its_requests_and_every_objective_its_outcome() -> None:
    lines = [line.split() for line in printed(a_failed_run()).splitlines()]
    assert next(line[:4] for line in lines if line[:2] == ["POST", "/orders"]) == [
        "POST",
        "/orders",
        "67,479",
        "requests,",
    ]
    assert any(line[:1] == ["errors(*)"] and "met" in line for line in lines)
    assert any(line[:1] == ["p99.9(POST"] and "missed" in line for line in lines)


def test_objectives_of_an_invalid_run_are_said_to_prove_nothing() -> None:
    result = a_failed_run()
    result.verdict = "INVALID"
    text = printed(result).partition("objective ")[2]
    assert text.count("not judged") == len(result.slo)
    assert not {"met", "missed"} & set(text.split())


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_gets_no_line_wider_than_it_is_and_no_word_is_broken(width: int) -> None:
    result = a_failed_run()
    result.findings = ["worker 1 sent requests late because " + "other programs used its processor " * 6]
    text = printed(result, width=width, terminal=True)
    assert max(map(len, text.splitlines())) <= width
    words = set(text.split())
    assert {"processor", "requests"} <= words
    assert words <= set(printed(result, width=1000).split()), "a word was broken"


def test_a_word_longer_than_the_line_breaks_where_an_address_has_a_seam() -> None:
    result = a_failed_run()
    long = "p99(GET /catalogue/categories/electronics/products/{sku}/reviews/summary) < 250ms"
    result.slo = [SloResult(expr=long, observed=12.0, passed=True)]
    text = printed(result, width=80, terminal=True)
    assert max(map(len, text.splitlines())) <= 80
    begin = text.index("p99(GET /cat")
    assert "".join(text[begin:].split()).startswith("".join(long.split()) + "12msmettheplan")
    assert [line.strip() for line in text[begin:].splitlines()][:2] == [long[:-8], "< 250ms"]


@given(st.text(st.sampled_from("ab /?&"), max_size=200), st.integers(1, 40))
def test_a_wrapped_text_says_the_same(text: str, width: int) -> None:
    lines = [line.plain for line in paragraph.wrapped(Text(text), width)]
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(len(line) <= width for line in lines)


def test_in_a_log_every_sentence_is_one_line() -> None:
    result = a_failed_run()
    sentence = "worker 1 sent requests late because " + "other programs used its processor " * 6
    result.findings = [sentence.strip()]
    assert any(sentence.strip() in line for line in printed(result, width=80).splitlines())


def test_an_interrupted_run_says_how_to_go_on_with_it() -> None:
    folder = Path("runs/my run")
    text = printed(an_empty_run(), folder / "report.html", resumable=True)
    assert "resume  singlesday resume 'runs/my run'" in text
    assert "resume" not in printed(an_empty_run(), folder / "report.html")


def test_a_long_path_is_not_broken_on_a_narrow_terminal() -> None:
    path = Path("runs") / ("x" * 100) / "report.html"
    assert str(path) in printed(a_failed_run(), path, width=60, terminal=True)


def test_names_are_never_taken_for_markup() -> None:
    result = a_failed_run()
    result.endpoints["GET /[bold]x[/bold]"] = result.endpoints["POST /orders"]
    result.slo.append(SloResult(expr="p99(GET /[red]) < 1s", observed=1.0, passed=True))
    text = printed(result, Path("runs/[red]/report.html"))
    assert "GET /[bold]x[/bold]" in text
    assert "p99(GET /[red]) < 1s" in text
    assert "runs/[red]/report.html" in text


def test_an_empty_run_has_a_verdict_too() -> None:
    text = printed(an_empty_run())
    assert "ABORTED" in text
    assert "## ABORTED" in summary.markdown(an_empty_run())
