"""The documentation's pictures: every panel of every dashboard, drawn from a real Prometheus' answers."""

from html import escape
from pathlib import Path

import pytest

from dashboards.catalogue import DASHBOARDS
from dashboards.picture import document, main, written
from dashboards.spec import Dashboard, Unit
from tests.dashboards.conftest import Watched


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=[dashboard.uid for dashboard in DASHBOARDS])
def test_a_dashboard_is_drawn_with_all_its_panels_and_their_data(
    watched: Watched, dashboard: Dashboard
) -> None:
    page = document(dashboard, watched.source)
    assert all(f"<h3>{escape(panel.title)}</h3>" in page for panel in dashboard.panels)
    assert "no data" not in page
    assert page.count("<figure") == page.count('"id":"panel-')


def test_a_prometheus_that_is_not_there_is_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["http://127.0.0.1:1", "--out", str(tmp_path)]) == 1
    assert "refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0012, Unit.SECONDS, "1.20 ms"),
        (0, Unit.SECONDS, "0 ms"),
        (0.45, Unit.SHARE, "45%"),
        (48e6, Unit.BYTES, "48 MB"),
        (583_000, Unit.ORDERS_PER_S, "583,000"),
        (3, Unit.COUNT, "3"),
        (0, Unit.COUNT, "0"),
    ],
)
def test_values_are_written_as_in_the_report(value: float, unit: Unit, expected: str) -> None:
    assert written(value, unit) == expected
