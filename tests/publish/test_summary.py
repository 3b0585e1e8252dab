"""The verdict in Markdown."""

import msgspec

from loadtest.measure.run_result import RunResult, SloResult
from loadtest.publish import summary
from tests.publish.sample_result import a_failed_run


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
    assert "one of your own on the same measure takes its place" in text
