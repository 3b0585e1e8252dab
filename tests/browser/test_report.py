"""The report in a real browser: quiet console, no request, readable at desk and on a phone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from loadtest.cli.children import wait_until
from loadtest.publish import comparison, html
from tests.browser.chromium import chromium, keep, violations
from tests.publish.sample_result import a_failed_run, an_empty_run
from tests.publish.test_comparison import POOLED, WORSE
from tests.publish.test_html import hostile_run, long_run
from tests.timing import Timing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DESK, PHONE = 1280, 390
RUNS = {"failed": a_failed_run, "empty": an_empty_run, "hostile": hostile_run}


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as running:
        yield running


@dataclass
class Opened:
    """A page and everything that it said or asked for while it was open."""

    page: "Page"
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def opened(
    browser: "Browser",
    path: Path,
    width: int,
    scheme: Literal["light", "dark"] = "light",
    *,
    scripts: bool = True,
) -> Opened:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
    )
    seen = Opened(context.new_page())
    seen.page.on("console", lambda message: seen.problems.append(message.text))
    seen.page.on("pageerror", lambda error: seen.problems.append(str(error)))
    seen.page.on("dialog", lambda dialog: seen.problems.append(f"dialog {dialog.message}"))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.goto(path.as_uri())
    return seen


@pytest.fixture(scope="module", params=list(RUNS))
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / f"{request.param}.html"
    html.write(RUNS[request.param](), path)
    return path


@pytest.fixture(scope="module")
def failed_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    html.write(a_failed_run(), path)
    return path


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_the_page_is_silent_asks_for_nothing_and_fits_its_width(
    browser: "Browser", report: Path, width: int
) -> None:
    seen = opened(browser, report, width)
    assert seen.problems == []
    # The tab's icon is an empty data: URL; anything else would have left the page.
    assert [url for url in seen.requests if not url.startswith("data:")] == [report.as_uri()]
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    headings = seen.page.locator("section > h2").all_inner_texts()
    assert [name for name in headings if name not in {"By phase", "Network"}] == [
        "Objectives", "The run", "Endpoints", "Errors", "The generator", "Environment",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_a_comparison_is_as_silent_and_fits_as_well(browser: "Browser", tmp_path: Path, width: int) -> None:
    comparison.write([WORSE, POOLED], tmp_path / "compare.html")
    seen = opened(browser, tmp_path / "compare.html", width)
    assert seen.problems == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.locator("circle.worse").count() == 2, "one a head"
    assert violations(seen.page) == []


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_every_chart_fits_its_place_with_text_of_readable_size_and_every_figure_is_on_the_screen(
    browser: "Browser", failed_report: Path, width: int
) -> None:
    page = opened(browser, failed_report, width).page
    assert page.locator(".chart > svg").count() == 11
    heights = page.locator(".chart text.tick").evaluate_all(
        "texts => texts.map(text => text.getBoundingClientRect().height)"
    )
    assert min(heights) >= 10
    right = page.locator(".cards td").evaluate_all(
        "cells => cells.map(cell => cell.getBoundingClientRect().right)"
    )
    assert max(right) <= width
    keep(page, f"report-{width}.png", 1480 if width == DESK else 1600)


def test_the_first_screen_holds_the_verdict_and_the_figures(browser: "Browser", failed_report: Path) -> None:
    page = opened(browser, failed_report, DESK).page
    for place in (".verdict .word", ".verdict li >> nth=1", ".answer >> nth=2"):
        box = page.locator(place).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 900


@pytest.mark.parametrize(("width", "scheme"), [(DESK, "light"), (PHONE, "dark")])
def test_nothing_stands_in_the_way_of_those_who_see_hear_or_point_differently(
    browser: "Browser", failed_report: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    assert violations(opened(browser, failed_report, width, scheme).page) == []


def test_pointing_at_a_chart_reads_that_moment_in_every_legend(
    browser: "Browser", failed_report: Path
) -> None:
    page = opened(browser, failed_report, DESK).page
    planned = page.locator("output[data-series=planned]")
    assert planned.inner_text() == ""
    point_at(page, 31.5)
    assert page.locator(".moment").first.inner_text() == "at 31 s"
    assert planned.inner_text() == "1,452"
    assert page.locator("output[data-series='p99-9']").inner_text().endswith(" s")
    page.mouse.move(5, 5)
    assert planned.inner_text() == ""


def test_dragging_zooms_every_chart_and_escape_shows_all_again(
    browser: "Browser", failed_report: Path
) -> None:
    page = opened(browser, failed_report, DESK).page
    assert times(page)[:2] == ["0 s", "10 s"]
    point_at(page, 20)
    page.mouse.down()
    point_at(page, 40)
    page.mouse.up()
    assert times(page)[:4] == ["20 s", "25 s", "30 s", "35 s"]
    page.keyboard.press("Escape")
    assert times(page)[:2] == ["0 s", "10 s"]


def test_the_keyboard_reads_and_zooms_and_says_what_it_reads(browser: "Browser", failed_report: Path) -> None:
    page = opened(browser, failed_report, DESK).page
    said = page.locator(".chart").first.get_attribute("aria-label") or ""
    assert said.startswith("Planned, started, completed, orders/s: planned at most ")
    assert "; completed at most 2,110, at 32 s; " in said
    page.locator(".chart").first.focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("[aria-live=polite]").inner_text().startswith("at 31 s: planned 1,452, started ")
    page.keyboard.press("+")
    assert "0 s" not in times(page)
    page.get_by_role("button", name="quiet").click()
    assert times(page)[-1] == "10 s"
    assert page.get_by_role("button", name="quiet").get_attribute("aria-pressed") == "true"


def test_an_endpoints_name_shows_its_charts(browser: "Browser", failed_report: Path) -> None:
    page = opened(browser, failed_report, DESK).page
    page.get_by_role("button", name="GET /products/{sku}").click()
    assert (
        page.locator("figure[data-chart=endpoint-1-rate] h3").inner_text() == "GET /products/{sku}: requests"
    )
    assert page.locator("figure[data-chart=endpoint-1-time] .line.p99").get_attribute("d")


def point_at(page: "Page", t_s: float) -> None:
    """Move to an instant of the first chart, whose plot leaves 60 pixels at the left and 14 at the right."""
    chart = page.locator(".chart").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60 + t_s / 60 * (box["width"] - 74), box["y"] + 100)


def times(page: "Page") -> list[str]:
    """What stands below the first chart's time axis."""
    ticks = page.locator("figure[data-chart=rates] .tick").all_text_contents()
    return [tick for tick in ticks if tick.endswith((" s", " min"))]


def test_a_day_with_fifty_endpoints_is_painted_within_a_second(
    browser: "Browser", tmp_path: Path, timing: Timing
) -> None:
    html.write(long_run(), tmp_path / "day.html")
    page = opened(browser, tmp_path / "day.html", DESK).page
    paint = "performance.getEntriesByName('first-contentful-paint')[0]"
    # It may be told a little after the page has loaded; the page's policy forbids what playwright waits with.
    assert wait_until(lambda: bool(page.evaluate(f"{paint} !== undefined")), 20)
    painted_ms = page.evaluate(f"{paint}.startTime")
    with timing:
        assert painted_ms < 1000


def test_the_page_is_complete_without_scripts(browser: "Browser", failed_report: Path) -> None:
    page = opened(browser, failed_report, DESK, scripts=False).page
    assert page.locator(".verdict .word").inner_text() == "FAIL"
    assert page.locator("noscript").inner_text().startswith("The charts need scripts")
    assert page.locator(".cards").count() == 4


def test_the_policy_stops_a_script_that_got_into_the_page(browser: "Browser", tmp_path: Path) -> None:
    page = html.render(a_failed_run()).replace("</main>", "<script>document.title='owned'</script></main>")
    (tmp_path / "tampered.html").write_text(page, encoding="utf-8")
    seen = opened(browser, tmp_path / "tampered.html", DESK)
    assert seen.page.title() != "owned"
    assert any("Content Security Policy" in problem for problem in seen.problems)


def test_the_page_prints(browser: "Browser", failed_report: Path) -> None:
    pdf = opened(browser, failed_report, DESK, "dark").page.pdf()
    assert pdf.startswith(b"%PDF")
    assert 2 <= pdf.count(b"/Type /Page\n") <= 10
