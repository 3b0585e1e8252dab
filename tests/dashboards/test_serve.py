"""The page of dashboards: what it shows, and to whom."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

import pytest

from dashboards.catalogue import DASHBOARDS
from dashboards.serve import DashboardServer, main
from dashboards.spec import Dashboard
from tests.dashboards.conftest import Watched
from tests.target_service.service_process import ask

NO_PROMETHEUS = "http://127.0.0.1:1"


@contextmanager
def served(prometheus_url: str) -> Iterator[str]:
    """The page's address while it is served."""
    with DashboardServer(prometheus_url, 0) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


def get(url: str, path: str = "/", **headers: str) -> tuple[int, str]:
    """Status and text of an answer."""
    answer = ask(url, "GET", path, headers=headers)
    return answer.status, answer.body.decode()


@pytest.mark.slow
@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=[dashboard.uid for dashboard in DASHBOARDS])
def test_each_dashboard_shows_the_newest_run_and_leads_to_the_others(
    watched: Watched, dashboard: Dashboard
) -> None:
    with served(watched.source.url) as url:
        status, page = get(url, f"/{dashboard.uid}?minutes=2")
    assert status == 200
    assert f"{dashboard.title} · {watched.result.run.id}" in page
    assert all(escape(panel.title) in page for panel in dashboard.panels)
    assert all(f'href="/{other.uid}?minutes=2"' in page for other in DASHBOARDS)
    assert 'http-equiv="refresh"' in page


def test_a_prometheus_that_is_away_is_said_on_a_page_that_goes_on_asking() -> None:
    with served(NO_PROMETHEUS) as url:
        status, page = get(url)
    assert status == 502
    assert f"Prometheus at {NO_PROMETHEUS} does not answer" in page
    assert 'http-equiv="refresh"' in page


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/singlesday-peak-run?minutes=1e9", "/singlesday-fleet?minutes=<script>"]
)
def test_what_is_no_view_is_not_found_and_not_repeated(path: str) -> None:
    with served(NO_PROMETHEUS) as url:
        status, page = get(url, path)
    assert status == 404
    assert "<script>" not in page


def test_another_sites_name_for_this_address_is_refused() -> None:
    with served(NO_PROMETHEUS) as url:
        assert get(url, Host="evil.example")[0] == 403
        assert get(url, Host="localhost:1")[0] == 502


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with DashboardServer(NO_PROMETHEUS, 0) as server:
        assert main([NO_PROMETHEUS, "--port", str(server.server_port)]) == 2
    assert f"--port {server.server_port}" in capsys.readouterr().err
