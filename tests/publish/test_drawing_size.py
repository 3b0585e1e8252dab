"""What draws stays small: at most two thirds of what drew when six things did (commit a76c73e: 2,061 lines)."""

from pathlib import Path

import pytest

DREW = 2061
"""`wc -l` of publish/charts.py, svg.py, curve.py, timeline.py, peak.js and report.js, of dashboards/preview.py,
frame.py, legend.py, colours.py, serve.py and query.py, and of both picture.py of the benchmarks."""
DRAWS = [
    "loadtest/publish/assets/chart.js",
    "loadtest/publish/assets/report.js",
    "loadtest/publish/curve.py",
    "loadtest/publish/run_charts.py",
    "loadtest/publish/series.py",
    "loadtest/publish/svg.py",
    "loadtest/publish/timeline.py",
    "dashboards/picture.py",
    "dashboards/query.py",
    "benchmarks/picture.py",
]
"""A file counts, whole, if it is there to decide what a chart holds or to turn that into marks; pages, which say
where charts stand and what they are of, do not."""
ENGINE = 500


def test_what_draws_is_a_third_less_than_it_was_and_the_engine_one_small_file() -> None:
    root = Path(__file__).parents[2]
    if not (root / "dashboards").is_dir():
        pytest.skip("only a checkout has all that draws")
    lines = {name: (root / name).read_text(encoding="utf-8").count("\n") for name in DRAWS}
    assert sum(lines.values()) <= DREW * 2 // 3, lines
    assert lines["loadtest/publish/assets/chart.js"] <= ENGINE
