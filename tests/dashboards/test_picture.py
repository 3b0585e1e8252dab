"""The documentation's pictures: every panel of every dashboard, drawn from a real Prometheus' answers."""

from html import escape
from pathlib import Path

import pytest

from dashboards.catalogue import DASHBOARDS
from dashboards.picture import document
from dashboards.query import Source
from dashboards.spec import Dashboard
from tests.dashboards import retake
from tests.dashboards.watched_run import Watched
from tests.publish.sample_result import a_failed_run

pytestmark = pytest.mark.timeout(900)
"""A busy machine plays the run that all look at several times."""


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
