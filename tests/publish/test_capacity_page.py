"""The page and the lines of a search for capacity."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from loadtest.judge.capacity import Capacity, Limit
from loadtest.judge.capacity_result import CapacityResult, Step
from loadtest.measure.run_result import Quantiles
from loadtest.publish import capacity_page


def step(tps: float, outcome: str = "pass", **more: object) -> Step:
    fields: dict[str, object] = {
        "measured_s": 5.0,
        "completed_tps": tps,
        "response_ms": Quantiles(count=10, p50=2.0, p99=40.0, p99_9=80.0),
        "dispatch_lag_p99_ms": 0.2,
        "cpu_max": 0.4,
    }
    return Step(tps=tps, outcome=outcome, **{**fields, **more})  # type: ignore[arg-type]


RESULT = CapacityResult.of(
    Capacity(200.0, 206.0, Limit.TARGET, 4),
    plan="steady",
    targets=["http://127.0.0.1:1/<script>"],
    started_at="2026-11-29T12:00:00+00:00",
    took_s=61.5,
    objectives=["p99(POST /orders) < 250ms"],
    tolerance=0.03,
    steps=[
        step(200.0),
        step(206.0, "fail", why=["p99(POST /orders) < 250ms: 310ms"]),
        step(200.0),
        step(100.0),
    ],
)


def sheet(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, object] = json.loads(found[1])
    return data


def test_both_charts_are_over_the_rates_in_their_order() -> None:
    charts = sheet(capacity_page.render(RESULT))["charts"]
    assert isinstance(charts, list)
    assert [chart["id"] for chart in charts] == ["throughput", "latency"]
    for chart in charts:
        assert chart["axis"] == "rate"
        assert chart["t"] == [100.0, 200.0, 206.0]
        assert all(len(line["values"]) == 3 for line in chart["lines"])


def test_the_page_says_the_answer_every_step_and_what_was_missed_and_escapes_it_all() -> None:
    page = capacity_page.render(RESULT)
    assert "sustained 200 TPS, but not 206 TPS: at a higher rate the target missed an objective" in page
    assert page.count("<tr><td>") == 4
    assert "310ms" in page
    assert "<script>http" not in page
    assert "1/&lt;script&gt;" in page


def test_a_line_says_what_was_offered_completed_and_missed() -> None:
    said = capacity_page.line(RESULT.steps[1])
    assert "206 TPS" in said
    assert said.endswith("\n    p99(POST /orders) < 250ms: 310ms")
    assert len(said.partition("\n")[0]) <= 80


def test_a_step_that_was_broken_off_at_once_completed_nobody_knows_what() -> None:
    broken = step(800.0, "fail", measured_s=0.3, completed_tps=0.0)
    assert "done       - p50" in capacity_page.line(broken)
    page = capacity_page.render(msgspec.structs.replace(RESULT, steps=[*RESULT.steps, broken]))
    assert '<td class="left missed">fail</td><td>-</td>' in page
    charts: Any = sheet(page)["charts"]
    assert charts[0]["lines"][1]["values"] == [100.0, 200.0, 206.0, None]
    none = step(800.0, "fail", measured_s=5.0, completed_tps=0.0)
    assert "done    0.00 p50" in capacity_page.line(none)


def test_nothing_sustained_is_said_as_such() -> None:
    none = CapacityResult.of(
        Capacity(0.0, 1.0, Limit.FLOOR, 2), plan="p", targets=[], started_at="2026-11-29T12:00:00+00:00",
        took_s=1.0, objectives=[], tolerance=0.03, steps=[step(1.0, "fail")],
    )  # fmt: skip
    assert none.sentence == "no rate was sustained: not even the lowest rate met every objective"
    assert 'class="verdict fail"' in capacity_page.render(none)


def test_the_record_is_written_for_machines(tmp_path: Path) -> None:
    written = json.loads(RESULT.write(tmp_path).read_text(encoding="utf-8"))
    assert written["schema"] == 1
    assert written["sustained_tps"] == 200
    assert [each["outcome"] for each in written["steps"]] == ["pass", "fail", "pass", "pass"]
