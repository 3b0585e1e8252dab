"""The preview: every dashboard drawn as well-formed SVG from a real Prometheus' answers."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dashboards import peak_run
from dashboards.catalogue import DASHBOARDS
from dashboards.preview import draw, main, written
from dashboards.spec import Dashboard, Unit
from tests.dashboards.conftest import Watched


@pytest.mark.slow
@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=[dashboard.uid for dashboard in DASHBOARDS])
def test_a_dashboard_is_drawn_with_all_its_panels_and_their_data(
    watched: Watched, dashboard: Dashboard
) -> None:
    text = draw(dashboard, watched.source)
    nodes = list(ElementTree.fromstring(text).iter())  # noqa: S314  # our own text
    words = ["".join(node.itertext()) for node in nodes if node.tag.endswith("text")]
    assert {panel.title for panel in dashboard.panels} <= set(words)
    assert "no data" not in words
    assert any(re.fullmatch(r"\d\d:\d\d(:\d\d)?", word) for word in words), "no time axis"
    if dashboard is peak_run.DASHBOARD:
        assert {"p50", "p90", "p99", "p99.9", "p99.99", "orders/s", "1,000,000"} <= set(words)
        titles = {"".join(node.itertext()) for node in nodes if node.tag.endswith("title")}
        assert "steady" in titles, "no band for the longest phase"
    assert "nan" not in text.lower()


def test_a_prometheus_that_is_not_there_is_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["http://127.0.0.1:1", "--out", str(tmp_path)]) == 1
    assert "refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0012, Unit.SECONDS, "1.2 ms"),
        (0, Unit.SECONDS, "0 s"),
        (0.45, Unit.SHARE, "45 %"),
        (48 * 2**20, Unit.BYTES, "48 MiB"),
        (583_000, Unit.ORDERS_PER_S, "583,000"),
        (float("inf"), Unit.SECONDS, "inf"),
    ],
)
def test_values_are_written_with_their_unit(value: float, unit: Unit, expected: str) -> None:
    assert written(value, unit) == expected
