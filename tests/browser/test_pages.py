"""The start page and the live page in a real browser: start, watch, stop, read the report; bad fields; what dies."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from loadtest.measure.run_result import RunResult
from tests.browser.chromium import SCREENSHOTS, chromium, keep, violations
from tests.system.locust_fleet import Fleet, fleet, wait_until
from tests.target_service.service_process import ask, running
from tests.timing import CoreTakenError, Others, unless_ended

if TYPE_CHECKING:
    from playwright.sync_api import APIResponse, Browser, BrowserContext, Page, Route

WAIT_MS = 60_000
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One service and one fleet for all walks that leave them alive."""
    folder = tmp_path_factory.mktemp("pages")
    with running(folder) as service, fleet(folder, service.url, workers=2) as started:
        yield started


@pytest.fixture
def idle(ours: Fleet) -> Iterator[None]:
    """Leaves no run behind, that a test which failed in the midst of one would meet when it is played again."""
    yield
    ask(ours.web_url, "GET", "/stop")
    wait_until(lambda: ask(ours.web_url, "GET", "/peak/state").json["state"] in {"idle", "done"})


@pytest.fixture
def problems() -> list[str]:
    """What the browser's console said."""
    return []


@pytest.fixture
def context(browser: "Browser", problems: list[str]) -> Iterator["BrowserContext"]:
    made = browser.new_context(viewport={"width": 1280, "height": 1000})
    made.on("console", lambda message: problems.append(message.text))
    made.on("weberror", lambda error: problems.append(str(error.error)))
    made.set_default_timeout(WAIT_MS)
    with ExitStack() as stack:
        stack.callback(made.close)
        yield made


def state_is(page: "Page", state: str) -> None:
    page.wait_for_selector(f"body[data-state={state}]")


def completed_line(page: "Page") -> str:
    line = page.locator("figure[data-chart=rates] .line.completed")
    return line.get_attribute("d") or "" if line.count() else ""


def start(ours: Fleet, **fields: str) -> None:
    """Start a run by Locust's own API, once the one before is over."""
    form = "&".join(f"{name}={value}" for name, value in fields.items())
    wait_until(lambda: ask(ours.web_url, "POST", "/swarm", form, FORM).json["success"])


def worker_of(ours: Fleet) -> psutil.Process:
    """One of a fleet's workers: of all on this machine, one that knows its master's port."""
    master = psutil.Process(ours.master.pid).cmdline()
    port = master[master.index("--master-bind-port") + 1]
    return next(
        each
        for each in psutil.Process().children()
        if "--worker" in (words := each.cmdline()) and words[words.index("--master-port") + 1] == port
    )


def serious(problems: list[str]) -> list[str]:
    return [text for text in problems if "net::ERR_" not in text]


@pytest.mark.slow(held_by="test_a_mistake_is_refused_at_the_door")
def test_every_field_that_cannot_be_played_says_so_beside_it_and_nothing_starts(
    ours: Fleet, context: "BrowserContext", problems: list[str]
) -> None:
    page = context.new_page()
    page.goto(ours.web_url)
    page.wait_for_selector("#facts div")
    assert violations(page) == []
    for field, bad, said in (
        ("host", "", "Expected the address of the service"),
        ("peak_tps", "lots", "Expected a number above 0, got 'lots'"),
        ("duration", "long", "Expected"),
        ("time_scale", "0", "Expected a number above 0"),
        ("seed", "x", "Expected a whole number"),
    ):
        good = page.input_value(f"#{field}")
        page.fill(f"#{field}", bad)
        error = page.locator(f"#{field}-error")
        error.wait_for()
        assert said in error.inner_text()
        assert page.is_disabled("#go")
        if field == "peak_tps":
            keep(page, "start-page.png", 1120)
        page.fill(f"#{field}", good)
        error.wait_for(state="hidden")
    page.fill("#host", "http://192.0.2.7")
    page.wait_for_selector("#go:enabled")
    page.click("#go")
    page.get_by_text("192.0.2.7", exact=False).locator("visible=true").first.wait_for()
    assert page.is_visible("#host-error")
    assert serious(problems) == []


@pytest.mark.usefixtures("idle")
def test_a_run_is_started_watched_in_two_tabs_stopped_reported_and_started_again(
    ours: Fleet, context: "BrowserContext", problems: list[str]
) -> None:
    page, other = context.new_page(), context.new_page()
    page.goto(ours.web_url)
    page.select_option("#plan", "spike")
    page.fill("#peak_tps", "200")
    page.get_by_text("10% of the plan's 2,000 orders/s.").wait_for()
    with going_on(ours):
        page.click("#go")
        watch_in_two_tabs(page, other, ours)
        tell_late = hold_an_answer(other)
        page.click("#stop")
        state_is(page, "done")
    state_is(other, "done")
    tell_late()
    assert page.inner_text("#word") == "ABORTED"
    assert page.inner_text("#folder").startswith(str(ours.folder))
    page.click("#report")
    page.wait_for_selector(".verdict .word")
    assert page.inner_text(".verdict .word") == "ABORTED"
    assert page.inner_text(".answer >> nth=0").startswith("Was the peak ")
    page.go_back()
    page.wait_for_selector("#runs tr")
    watch_the_next(other, ours)
    find_the_report(page, ours)
    assert serious(problems) == []


def hold_an_answer(page: "Page") -> Callable[[], None]:
    """Keep back what the page is told next; a call tells it, and nothing on the page may fall back to that."""
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: "Route") -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    def tell_late() -> None:
        page.evaluate(
            "() => { window.states = []; const { dataset } = document.body;"
            " const note = () => { dataset.told = states.push(dataset.state) > 1 ? 'twice' : 'once'; };"
            " new MutationObserver(note).observe(document.body, { attributeFilter: ['data-state'] }); }"
        )
        route, answer = held[0]
        assert answer.json()["state"] != "done"
        route.fulfill(response=answer)
        page.wait_for_selector("body[data-told=twice]")  # two later answers have been shown
        assert set(page.evaluate("states")) == {"done"}
        page.unroute("**/peak/live*")

    page.route("**/peak/live*", hold)
    with page.expect_response("**/peak/live*"):  # a later one
        pass
    return tell_late


@contextmanager
def going_on(ours: Fleet) -> Iterator[None]:
    """For what is asked of a run while it goes on: others' programs can end it early, or hold us up until its end."""
    others, over_before = Others(), over(ours)
    try:
        yield
    except Exception as error:
        if over(ours) > over_before and (reason := others.taken()) is not None:
            raise CoreTakenError(f"{reason}: the run was over too soon") from error
        raise


def over(ours: Fleet) -> int:
    """How many runs of a fleet are over."""
    return len(list(ours.folder.glob("*/result.json")))


def watch_in_two_tabs(page: "Page", other: "Page", ours: Fleet) -> None:
    """As two people do: one of them tries to start a second run, one loads the page again."""
    page.wait_for_url("**/peak/")
    state_is(page, "running")
    wait_until(lambda: "L" in completed_line(page))
    refuse_a_second(other, ours)
    other.goto(f"{ours.web_url}/peak")
    wait_until(lambda: "L" in completed_line(other))
    page.reload()
    wait_until(lambda: "L" in completed_line(page))
    page.click("#endpoints .pick >> nth=0")
    page.wait_for_selector("#endpoint-charts .line.p99")
    assert page.locator("#workers tr").count() == 2
    if os.environ.get(SCREENSHOTS):
        page.evaluate("scrollTo(0, 0)")  # charts that are off the screen are drawn when they come near
        page.wait_for_timeout(45_000)
    assert violations(page) == []
    keep(page, "live-page.png", 1500)


def refuse_a_second(page: "Page", ours: Fleet) -> None:
    """START is refused while a run goes on, and can be pressed again later."""
    page.goto(ours.web_url)
    page.click("#go")
    page.get_by_text("A run is going on: stop it, or wait for its end.").wait_for()
    assert page.is_enabled("#go")


def watch_the_next(page: "Page", ours: Fleet) -> None:
    """As somebody whose page stays open while the next run begins and ends."""
    others = Others()
    start(ours, plan="logistics", peak_tps="20", duration="4s")
    page.locator("#plan", has_text="logistics").wait_for()
    state_is(page, "done")
    unless_ended(RunResult.read(max(ours.folder.glob("*logistics*/result.json"))), others)
    assert page.inner_text("figure[data-chart=rates] .unit") == "parcels/s"
    assert "583,000" not in page.inner_text("main")
    # Whether the run was valid is this machine's affair; that all its arrivals are accounted for is ours.
    assert page.inner_text("#word") in {"PASS", "INVALID", "FAIL"}
    assert page.locator("#equations li").count() == 3
    assert page.locator("#equations .missed").count() == 0
    page.reload()
    state_is(page, "done")
    page.click("#network-seen summary")
    page.wait_for_selector("#network tr")


def find_the_report(page: "Page", ours: Fleet) -> None:
    """As somebody who comes when the run is over, and has no terminal."""
    page.goto(ours.web_url)
    page.click("#over a")
    state_is(page, "done")
    page.click("#report")
    page.wait_for_selector("#network td")
    assert "logistics" in page.inner_text("h1")


@pytest.mark.slow(held_by="test_a_run_is_started_watched_in_two_tabs_stopped_reported_and_started_again")
def test_a_worker_that_dies_a_target_that_dies_and_a_master_that_dies_are_told(
    context: "BrowserContext", problems: list[str], tmp_path: Path
) -> None:
    with ExitStack() as service_stack, ExitStack() as fleet_stack:
        service = service_stack.enter_context(running(tmp_path))
        ours = fleet_stack.enter_context(fleet(tmp_path, service.url, workers=2))
        page = context.new_page()
        page.goto(f"{ours.web_url}/peak")
        start(ours, plan="soak", peak_tps="100", duration="300s")
        state_is(page, "running")
        wait_until(lambda: page.locator("#endpoints tr").count())
        worker_of(ours).kill()
        page.get_by_text("is lost; the others have taken over its arrivals.").wait_for()
        service_stack.close()
        page.wait_for_selector("#errors tr")
        page.wait_for_selector(".verdict.fail, .verdict.invalid")
        ours.master.kill()
        page.get_by_text("The master has not answered since").wait_for()
        assert "singlesday resume" in page.inner_text("#trouble")
        assert page.locator("#errors tr").count(), "what was known stays"
    assert serious(problems) == []
