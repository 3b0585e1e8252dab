"""The report in a real browser: quiet console, no request, readable at desk and on a phone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from loadtest.publish import comparison, html
from tests.browser.chromium import chromium
from tests.publish.sample_result import a_failed_run, an_empty_run
from tests.publish.test_comparison import POOLED, WORSE
from tests.publish.test_html import hostile_run

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
    headings = seen.page.locator("h2").all_inner_texts()
    assert headings == ["Objectives", "The run", "Latency", "The generator", "Environment"]


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_a_comparison_is_as_silent_and_fits_as_well(browser: "Browser", tmp_path: Path, width: int) -> None:
    comparison.write([WORSE, POOLED], tmp_path / "compare.html")
    seen = opened(browser, tmp_path / "compare.html", width)
    assert seen.problems == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.locator("circle.worse:visible").count() == 2, "one a head"


@pytest.mark.parametrize(("width", "shown", "hidden"), [(DESK, "wide", "narrow"), (PHONE, "narrow", "wide")])
def test_each_width_sees_its_own_drawing_with_text_of_readable_size(
    browser: "Browser", failed_report: Path, width: int, shown: str, hidden: str
) -> None:
    page = opened(browser, failed_report, width).page
    assert page.locator(f"svg.{shown}:visible").count() == 6
    assert page.locator(f"svg.{hidden}:visible").count() == 0
    heights = page.locator(f"svg.{shown} text.tick").evaluate_all(
        "texts => texts.map(text => text.getBoundingClientRect().height)"
    )
    assert min(heights) >= 10


def test_the_first_screen_holds_the_verdict_and_the_figures(browser: "Browser", failed_report: Path) -> None:
    page = opened(browser, failed_report, DESK).page
    for place in (".verdict .word", ".verdict li >> nth=1", ".tiles div >> nth=4"):
        box = page.locator(place).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 900


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(
    browser: "Browser", failed_report: Path, scheme: Literal["light", "dark"]
) -> None:
    page = opened(browser, failed_report, DESK, scheme).page
    for place in (
        "h2 >> nth=0",
        "figcaption >> nth=0",
        ".missed >> nth=0",
        ".met >> nth=0",
        ".verdict .word",
    ):
        assert contrast(page, place) >= 4.5, place  # WCAG 2.2, level AA


def contrast(page: "Page", place: str) -> float:
    """The WCAG contrast ratio of a text to the page's ground."""
    colours = [
        page.locator(place).evaluate("element => getComputedStyle(element).color"),
        page.locator("body").evaluate("element => getComputedStyle(element).backgroundColor"),
    ]
    light, dark = sorted((luminance(colour) for colour in colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(rgb: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, as WCAG defines it."""
    channels = [int(part) / 255 for part in rgb.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_pointing_at_a_picture_reads_that_moment_in_every_legend(
    browser: "Browser", failed_report: Path
) -> None:
    page = opened(browser, failed_report, DESK).page
    planned = page.locator("output[data-series=planned]")
    assert planned.inner_text() == ""
    picture = page.locator(".over-time svg.wide").first
    box = picture.bounding_box()
    assert box is not None
    # 31.5 s of 60 in a plot that spans 58 to 990 of 1000 units: the second after the stall.
    picture.hover(position={"x": box["width"] * (0.058 + 31.5 / 60 * 0.932), "y": 100})
    assert page.locator("output[data-clock]").first.inner_text() == "at 31 s"
    assert planned.inner_text() == "1,452"
    assert page.locator("output[data-series='p99-9']").inner_text().endswith(" s")
    assert page.locator("svg.wide .cross.shown").count() == 5
    page.mouse.move(5, 5)
    assert planned.inner_text() == ""


def test_the_page_is_complete_without_scripts(browser: "Browser", failed_report: Path) -> None:
    page = opened(browser, failed_report, DESK, scripts=False).page
    assert page.locator("svg.wide:visible").count() == 6
    assert page.locator(".verdict .word").inner_text() == "FAIL"


def test_the_policy_stops_a_script_that_got_into_the_page(browser: "Browser", tmp_path: Path) -> None:
    page = html.render(a_failed_run()).replace("</main>", "<script>document.title='owned'</script></main>")
    (tmp_path / "tampered.html").write_text(page, encoding="utf-8")
    seen = opened(browser, tmp_path / "tampered.html", DESK)
    assert seen.page.title() != "owned"
    assert any("Content Security Policy" in problem for problem in seen.problems)


def test_the_page_prints(browser: "Browser", failed_report: Path) -> None:
    pdf = opened(browser, failed_report, DESK, "dark").page.pdf()
    assert pdf.startswith(b"%PDF")
    assert 2 <= pdf.count(b"/Type /Page\n") <= 8
