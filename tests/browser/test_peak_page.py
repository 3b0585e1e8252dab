"""The web UI in a real browser: fill the form, start, watch, stop, read the report, start again."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import chromium
from tests.system.locust_fleet import fleet, wait_until
from tests.target_service.service_process import ROOT, ask, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, FloatRect, Page

WAIT_MS = 20_000
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SCREENSHOTS = "UPDATE_SCREENSHOTS"
"""Set in the environment, the test leaves its pictures in docs/."""


@pytest.fixture
def browser() -> Iterator["Browser"]:
    with chromium() as started:
        yield started


@pytest.fixture
def problems() -> list[str]:
    """What the browser's console said."""
    return []


@pytest.fixture
def context(browser: "Browser", problems: list[str]) -> "BrowserContext":
    made = browser.new_context(viewport={"width": 1200, "height": 1000})
    made.on("console", lambda message: problems.append(message.text))
    made.on("weberror", lambda error: problems.append(str(error.error)))
    made.set_default_timeout(WAIT_MS)
    return made


def fill_form(form: "Page", *, peak_tps: str, duration: str) -> None:
    form.get_by_text("Custom parameters").click()
    form.select_option("[name=plan]", "smoke")
    form.fill("[name=peakTps]", peak_tps)
    form.fill("[name=duration]", duration)


def start(form: "Page") -> None:
    form.get_by_role("button", name="Start").click()


def state_is(page: "Page", state: str) -> None:
    page.wait_for_selector(f"body[data-state={state}]")


def completed_line(page: "Page") -> str:
    line = page.locator("#rates .line.completed")
    return line.get_attribute("d") or "" if line.count() else ""


def keep(page: "Page", name: str) -> None:
    if os.environ.get(SCREENSHOTS):
        page.wait_for_timeout(1500)  # a person wants to see a curve, not its beginning
        clip: FloatRect = {"x": 0, "y": 0, "width": 1200, "height": 1480}
        page.screenshot(path=ROOT / "docs" / name, full_page=True, clip=clip)


@pytest.mark.slow
def test_a_run_is_started_watched_stopped_reported_and_started_again(
    context: "BrowserContext", problems: list[str], tmp_path: Path
) -> None:
    with running(tmp_path) as service, fleet(tmp_path, service.url, workers=2) as ours:
        form = context.new_page()
        form.goto(ours.web_url)
        fill_form(form, peak_tps="lots", duration="30s")
        start(form)
        form.get_by_text("--peak-tps: expected a number above 0, got 'lots'").wait_for()
        keep(form, "start-form.png")
        form.fill("[name=peakTps]", "150")
        start(form)

        page = context.new_page()
        page.goto(f"{ours.web_url}/peak")
        state_is(page, "running")
        wait_until(lambda: "L" in completed_line(page))
        seen = completed_line(page)
        wait_until(lambda: len(completed_line(page)) > len(seen))
        if os.environ.get(SCREENSHOTS):
            page.wait_for_timeout(14_000)
        keep(page, "peak-page.png")
        assert page.locator("#workers tr").count() == 2

        page.click("#stop")
        state_is(page, "done")
        assert page.inner_text("#word") == "ABORTED"
        page.click("#report")
        page.wait_for_selector(".verdict .word")
        assert page.inner_text(".verdict .word") == "ABORTED"
        page.go_back()

        wait_until(lambda: ask(ours.web_url, "GET", "/stats/requests").json["state"] == "stopped")
        form.reload()
        form.get_by_role("button", name="New").click()
        fill_form(form, peak_tps="50", duration="4s")
        start(form)
        state_is(page, "running")
        state_is(page, "done")
        wait_until(lambda: page.locator("#runs tr").count() == 2)
        # Whether the run was valid is this machine's affair; that all its arrivals are accounted for is ours.
        assert page.inner_text("#word") in {"PASS", "INVALID", "FAIL"}
        assert page.locator("#equations li").count() == 3
        assert page.locator("#equations .missed").count() == 0
        folders = {path.name for path in ours.folder.iterdir()}
        assert len(folders) == 2
    assert [text for text in problems if "net::ERR_CONNECTION_REFUSED" not in text] == []


@pytest.mark.slow
def test_the_page_counts_parcels_in_a_run_of_parcels_and_orders_in_the_next(
    context: "BrowserContext", problems: list[str], tmp_path: Path
) -> None:
    with running(tmp_path) as service, fleet(tmp_path, service.url, workers=1) as ours:
        page = context.new_page()
        page.goto(f"{ours.web_url}/peak")
        for plan, noun in (("logistics", "parcel"), ("smoke", "order")):
            form = f"plan={plan}&peak_tps=20&duration=4s"  # at once: Locust is still stopping the run before
            assert ask(ours.web_url, "POST", "/swarm", form, FORM).json["success"]
            state_is(page, "running")
            state_is(page, "done")
            assert page.inner_text("#rates >> xpath=.. >> .unit") == f"{noun}s/s"
            assert f"{noun}s/s in the last second" in page.inner_text("#tiles")
            assert ("of 583,000" in page.inner_text("#tiles")) == (noun == "order")
    assert [text for text in problems if "net::ERR_CONNECTION_REFUSED" not in text] == []
