"""The report as text: complete, safe, small, and the same each time (tests/browser looks at it)."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from loadtest.measure.run_result import EndpointOverTime, RunResult, SloResult, TimelinePoint
from loadtest.publish import html
from tests.publish.sample_result import a_failed_run, an_empty_run

HOSTILE = "<script>alert('x')</script>\"'><img src=http://evil.example/x onerror=alert(1)>{{7*7}}"


class Page(HTMLParser):
    """Collects elements, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  # the base class's signature
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.raw:
            self.raw[self._inside].append(data)
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def policy(self) -> str:
        metas = (attrs for tag, attrs in self.elements if tag == "meta")
        return next(str(m["content"]) for m in metas if m.get("http-equiv") == "Content-Security-Policy")


def hostile_run() -> RunResult:
    """Every text that comes from outside tries to break out."""
    result = a_failed_run()
    result.run.plan = result.run.id = result.run.started_at = HOSTILE
    result.run.targets, result.run.versions = [HOSTILE], {HOSTILE: HOSTILE}
    result.run.machine, result.run.settings = {HOSTILE: HOSTILE}, {HOSTILE: [HOSTILE]}
    result.run.phases = [(0.0, 60.0, HOSTILE)]
    result.endpoints = {HOSTILE: result.endpoints["POST /orders"]}
    result.endpoints[HOSTILE].errors = {HOSTILE: 3}
    result.slo = [SloResult(expr=HOSTILE, observed=1.0, passed=False, note=HOSTILE)]
    result.validity.reasons = [HOSTILE]
    result.generator.worker_notes = [HOSTILE]
    result.generator.per_worker = [{HOSTILE: HOSTILE}]
    result.events = [(1.0, HOSTILE)]
    return result


def test_the_page_says_what_a_reader_looks_for_first() -> None:
    text = Page(html.render(a_failed_run())).text
    for words in (
        "FAIL 2 of 5 objectives missed.",
        "That is 0.362% of 583,000/s, the peak of Singles' Day 2020.",
        "Was the peak of 1,499 orders/s held? Yes",
        "Best second: 2,110 orders/s, at 32 s.",
        "What broke, and when?",
        "Can these numbers be trusted? Yes",
        "Audit passed: 67,469 orders acknowledged, 67,469 stored.",
        "p99 response time",
        "Received 46.3 MB",
        "planned 115,296 = scheduled 115,296 + lost 0",
        "dispatch lag (the load generator's fault: a user was free)",
        "30 s: service stalled for 1.2 s",
    ):
        assert words in text


def test_every_part_of_the_report_is_there() -> None:
    page = html.render(a_failed_run())
    headings = re.findall(r"<h[23]>(.*?)</h[23]>", page)
    assert headings == [
        "Was the peak of 1,499 orders/s held?",
        "What broke, and when?",
        "Can these numbers be trusted?",
        "Objectives",
        "The run",
        "Planned, started, completed",
        "Response time",
        "Error rate",
        "Response time of ok and failed requests",
        "Response times of all requests",
        "By phase",
        "Endpoints",
        "POST /orders: requests",
        "POST /orders: response time",
        "Percentiles of POST /orders",
        "Network",
        "Errors",
        "Errors by class",
        "The generator",
        "Dispatch lag",
        "In flight and waiting",
        "Workers",
        "Arrivals",
        "Environment",
        "Run",
        "Settings",
        "Machine",
        "Versions",
    ]


def test_every_chart_has_words_in_its_place_and_a_figure_to_stand_in() -> None:
    page = Page(html.render(a_failed_run()))
    data = json.loads(page.raw["script"][0])
    figures = {attrs["data-chart"] for tag, attrs in page.elements if tag == "figure"}
    drawn = {chart["id"] for part in data.values() for chart in part["charts"]}
    assert figures <= drawn


def an_invalid_run() -> RunResult:
    result = a_failed_run()
    result.verdict = result.validity.verdict = "INVALID"
    result.validity.reasons = ["dispatch lag p99 34 ms", "worker 1 lost its CPU"]
    return result


def test_objectives_are_neither_met_nor_missed_where_the_run_does_not_count() -> None:
    judged = {"met", "missed", "not judged"}
    for result, seen in ((a_failed_run(), {"met", "missed"}), (an_invalid_run(), {"not judged"})):
        table = html.render(result).partition("<h2>Objectives</h2>")[2].partition("</table>")[0]
        assert set(re.findall(r"<td[^>]*>([^<]*)", table)) & judged == seen


@pytest.mark.parametrize("verdict", ["PASS", "FAIL", "AUDIT", "INVALID", "ABORTED"])
def test_a_reason_is_said_once_whatever_the_verdict(verdict: str) -> None:
    result = an_invalid_run()
    result.verdict = verdict
    text = Page(html.render(result)).text
    assert "Can these numbers be trusted? No" in text
    assert [text.count(reason) for reason in result.validity.reasons] == [1, 1]


def test_only_singles_day_stands_beside_the_real_one() -> None:
    result = a_failed_run()
    assert "of 583,000" in html.render(result)
    result.run.plan = "spring sale"
    assert "583,000" not in html.render(result)


@pytest.mark.parametrize("recorded", [a_failed_run, hostile_run, an_empty_run])
def test_the_policy_names_the_one_script_and_the_one_style_by_hash(recorded: Callable[[], RunResult]) -> None:
    page = Page(html.render(recorded()))
    assert page.policy.startswith("default-src 'none'; ")
    scripts = [attrs for tag, attrs in page.elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}, {}]
    for directive, text in (("style-src", page.raw["style"][0]), ("script-src", page.raw["script"][-1])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in page.policy
    assert "unsafe" not in page.policy


def test_nothing_hostile_gets_out_of_its_text() -> None:
    page = Page(html.render(hostile_run()))
    assert "img" not in {tag for tag, _ in page.elements}
    for _, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
    assert "{{7*7}}" in page.text
    assert "49" not in [word.strip() for word in page.words]


def test_the_page_refers_to_nothing_outside_itself() -> None:
    for tag, attrs in Page(html.render(a_failed_run())).elements:
        assert "src" not in attrs
        if "href" in attrs:
            assert (tag, attrs["href"]) in (("link", "data:,"), ("a", "#charts"))


def test_an_empty_run_is_drawn_too() -> None:
    text = Page(html.render(an_empty_run())).text
    assert text.replace("no database", "").lower().count("no data") == 3
    assert "Nothing was measured." in text
    assert "No request was made." in text


def test_a_long_run_says_how_many_seconds_a_point_stands_for() -> None:
    assert "Each point stands for 2 min:" in Page(html.render(long_run())).text
    assert "Each point stands for" not in Page(html.render(a_failed_run())).text


def test_the_page_carries_the_timeline_as_data_for_the_charts() -> None:
    data = json.loads(Page(html.render(a_failed_run())).raw["script"][0])["run"]
    assert len(data["t"]) == 60
    rates = next(chart for chart in data["charts"] if chart["id"] == "rates")
    assert {len(line["values"]) for line in rates["lines"]} == {60}
    assert next(line for line in rates["lines"] if line["key"] == "failed")["values"][0] is None


def long_run() -> RunResult:
    """A day of thinned-out seconds over many endpoints: the largest page there should be."""
    result = a_failed_run()
    result.timeline = [
        TimelinePoint(
            t_s=at * 20.0,
            planned_tps=5000.0 + at,
            completed_tps=4999.9 + at,
            response_ms=result.timeline[at % 60].response_ms,
            heat=[
                (2**octave * quarter, 1 + (at * 31 + octave * quarter * 7919) % 9973)
                for octave in range(8, 20)
                for quarter in (4, 5, 6, 7)
            ],
        )
        for at in range(4320)
    ]
    result.run.duration_s = 86_400.0
    result.endpoints = {
        f"GET /endpoint/{n}": msgspec.structs.replace(
            result.endpoints["POST /orders"], over_time=over_a_day(n), evidence={}
        )
        for n in range(50)
    }
    return result


def over_a_day(n: int) -> EndpointOverTime:
    t_s = list(range(0, 86_400, 384))
    return EndpointOverTime(
        bin_s=384,
        t_s=t_s,
        requests=[1_000_000 + 137 * n + at for at in t_s],
        failures=[at % (n + 2) for at in t_s],
        p50_ms=[2.345 + (at * 7 % 1009) / 1000 for at in t_s],
        p99_ms=[23.45 + (at * 31 % 1013) / 10 for at in t_s],
    )


def test_a_soak_shows_what_drifts() -> None:
    result = long_run()
    result.gauges = {"service_memory_bytes": [(t, 2e8 + t * 100) for t in range(0, 86_400, 60)]}
    text = Page(html.render(result)).text
    assert re.search(r"service memory bytes 19\d MiB \+0\.18%/h .* steady", text)
    result.gauges = {"service_memory_bytes": [(t, 2e8 + t * 1000) for t in range(0, 86_400, 60)]}
    assert re.search(
        r"service memory bytes 2\d\d MiB \+1\.4\d%/h .* drifting", Page(html.render(result)).text
    )


@pytest.mark.parametrize("recorded", [a_failed_run, long_run])
def test_the_page_stays_under_400_kb_with_fifty_endpoints(recorded: Callable[[], RunResult]) -> None:
    assert len(html.render(recorded()).encode()) < 400_000


def test_the_same_record_gives_the_same_bytes() -> None:
    assert html.render(a_failed_run()) == html.render(a_failed_run())


def test_the_file_is_what_was_rendered(tmp_path: Path) -> None:
    html.write(a_failed_run(), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes() == html.render(a_failed_run()).encode()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
