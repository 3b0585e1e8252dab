"""The verdict in Markdown and on the terminal."""

import io
from pathlib import Path

from rich.console import Console

from loadtest.measure.run_result import RunResult
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
