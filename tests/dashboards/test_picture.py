"""The documentation's pictures: every panel of every dashboard, drawn from a real Prometheus' answers."""

from html import escape
from pathlib import Path

import pytest

from dashboards.catalogue import DASHBOARDS
from dashboards.picture import document, written
from dashboards.query import Source
from dashboards.spec import Dashboard, Unit
from tests.dashboards import retake
from tests.dashboards.watched_run import Watched
from tests.publish.sample_result import a_failed_run


@pytest.mark.slow
@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=[dashboard.uid for dashboard in DASHBOARDS])
def test_a_dashboard_is_drawn_with_all_its_panels_and_their_data(
    watched: Watched, dashboard: Dashboard
) -> None:
    page = document(dashboard, watched.source)
    assert all(f"<h3>{escape(panel.title)}</h3>" in page for panel in dashboard.panels)
    assert "no data" not in page
    assert page.count("<figure") == page.count('"id":"panel-')


def test_only_a_run_that_passes_replaces_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: list[Path] = []
    monkeypatch.setattr(retake, "document", lambda dashboard, _: dashboard.title)
    monkeypatch.setattr(retake, "take", lambda _, path: taken.append(path))
    pictures = {"singlesday-peak-run": tmp_path / "peak.png"}
    result = a_failed_run()
    for verdict, code in (("INVALID", 11), ("FAIL", 10), ("ABORTED", 12), ("PASS", 0)):
        result.verdict, result.exit_code = verdict, code
        seen = Watched(result, Source("http://127.0.0.1:1", 0, 1, 1, 1, {}))
        assert retake.replace_pictures(seen, pictures) == code
        assert taken == ([tmp_path / "peak.png"] if verdict == "PASS" else [])
        assert ("No picture was replaced" in capsys.readouterr().err) == (verdict != "PASS")


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
