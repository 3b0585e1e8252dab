"""The verdict in Markdown and on the terminal."""

import io
from pathlib import Path

import msgspec
from rich.console import Console

from loadtest.measure.run_result import RunResult, SloResult
from loadtest.publish import summary
from tests.publish.sample_result import a_failed_run, an_empty_run


def printed(result: RunResult, report: Path | None = None, width: int = 110) -> str:
    console = Console(file=io.StringIO(), width=width)
    summary.print_verdict(result, report, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_gets_verdict_peak_latencies_books_and_the_reports_path() -> None:
    text = printed(a_failed_run(), Path("runs/x/report.html"))
    assert text.strip().startswith("FAIL  2 of 5 objectives missed.")
    for words in (
        "peak      2,110 orders/s, 0.362% of 583,000 TPS",
        "requests  115,296 made, 1,922 requests/s on average",
        "dropped   0 of 115,296 arrivals",
        "audit     balanced: 67,469 orders acknowledged, 67,469 stored",
        "POST /orders         response",
        "report  runs/x/report.html",
    ):
        assert words in text


def test_the_verdict_fits_a_terminal_of_80_columns() -> None:
    lines = printed(a_failed_run(), width=80).splitlines()
    assert any(line.split()[:3] == ["GET", "/products/{sku}", "response"] for line in lines)


def test_a_long_path_is_not_broken_on_a_narrow_terminal() -> None:
    path = Path("runs") / ("x" * 100) / "report.html"
    assert str(path) in printed(a_failed_run(), path, width=60)


def test_names_are_never_taken_for_markup() -> None:
    result = a_failed_run()
    result.endpoints["GET /[bold]x[/bold]"] = result.endpoints["POST /orders"]
    assert "GET /[bold]x[/bold]" in printed(result, Path("runs/[red]/report.html"))
    assert "runs/[red]/report.html" in printed(result, Path("runs/[red]/report.html"))


def test_an_empty_run_has_a_verdict_too() -> None:
    text = printed(an_empty_run())
    assert "ABORTED" in text
    assert "errors    no request was made" in text
    assert "## ABORTED" in summary.markdown(an_empty_run())


def test_the_markdown_has_a_row_for_each_objective_and_each_time() -> None:
    text = summary.markdown(a_failed_run())
    assert "## FAIL: singles-day" in text
    assert "| `errors(*) < 0.1%` | 0.01995% | met |" in text
    assert "| `POST /orders` | service | 2.63 ms |" in text


def test_the_markdown_of_hostile_names_stays_in_its_cells() -> None:
    result = a_failed_run()
    result.run.plan = "<img src=x>\n# owned [click](http://evil.example)"
    result.endpoints["GET /a|b`c`"] = result.endpoints["POST /orders"]
    text = summary.markdown(result)
    assert "## FAIL: \\<img src=x\\> \\# owned \\[click\\]" in text
    assert "| `GET /a\\|b'c'` | response |" in text


def a_run_of_many_names() -> RunResult:
    """500 endpoints with long names of wide characters, each with ten kinds of error, and as many reasons."""
    result = a_failed_run()
    one = result.endpoints["POST /orders"]
    errors = {f"{'é' * 400} {number}": 7 for number in range(10)}
    many = {
        f"GET /{'漢' * 480}/{number}": msgspec.structs.replace(one, errors=errors) for number in range(500)
    }
    result.endpoints |= many
    result.slo = [
        SloResult(expr=f"p99(GET /{'漢' * 400}/{number}) < 1s", observed=None, passed=False)
        for number in range(300)
    ]
    result.findings = ["x" * 5000 for _ in range(100)]
    return result


def test_a_summary_is_bounded_however_many_names_a_run_has_and_says_what_it_left_out() -> None:
    text = summary.markdown(a_run_of_many_names())
    assert len(text.encode()) <= 65_536
    assert text.startswith("## FAIL")
    assert text.rstrip().endswith("*This summary was cut off; the whole is in report.html.*")


def test_a_summary_shows_the_first_endpoints_and_errors_and_counts_the_others() -> None:
    result = a_failed_run()
    one = result.endpoints["POST /orders"]
    result.endpoints |= {f"GET /{n}": msgspec.structs.replace(one, errors={"reset": n}) for n in range(100)}
    text = summary.markdown(result)
    assert "and 83 more endpoints, in report.html" in text
    assert "| `reset` | `GET /99` | 99 |" in text
    assert "more kinds of error, in report.html" in text


def test_implicit_objectives_are_printed_as_such_with_how_to_lift_them() -> None:
    result = a_failed_run()
    result.slo.append(SloResult(expr="availability > 99%", observed=100.0, passed=True, source="implicit"))
    text = summary.markdown(result)
    assert "| `availability > 99% (implicit)` | 100% | met |" in text
    assert "lifted only by an objective of your own" in text
