"""Plain Locust audits its runs where the store is named (`test_web_run.py` too), and says so where it is not."""

from pathlib import Path

import pytest

from loadtest.measure.run_result import RunResult
from tests.system.locust_fleet import fleet, wait_until
from tests.target_service.service_process import ask, running

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SHORT = "plan=smoke&peak_tps=20&duration=3s"


@pytest.mark.slow(held_by="test_an_order_missing_from_the_database_is_13")
def test_books_that_do_not_agree_become_the_exit_code_of_a_headless_run(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    flags = ["--headless", "--plan", "smoke", "--peak-tps", "20", "--duration", "3s"]
    with (
        running(tmp_path) as service,
        running(other),  # its books know nothing of this run
        fleet(tmp_path, service.url, *flags, "--audit-store", f"sqlite:///{other}/orders.db") as ours,
    ):
        assert ours.wait(60) in {11, 13}  # INVALID where this machine cannot keep the schedule
    [path] = ours.folder.glob("*/result.json")
    result = RunResult.read(path)
    assert result.audit is not None
    assert result.audit.lost == result.transactions.count > 0


@pytest.mark.slow(held_by="test_a_run_from_the_web_ui_is_audited_as_it_ends")
def test_without_a_store_the_page_and_the_report_say_that_nothing_was_audited(tmp_path: Path) -> None:
    with running(tmp_path) as service, fleet(tmp_path, service.url) as ours:
        assert ask(ours.web_url, "POST", "/swarm", SHORT, FORM).json["success"]
        wait_until(lambda: ask(ours.web_url, "GET", "/peak/live").json["finished"], 60)
        said = "no database given (--audit-store)"
        assert said in ask(ours.web_url, "GET", "/peak/live").json["audit"]
        [report] = ours.folder.glob("*/report.html")
        assert said in report.read_text()
