"""A real Chromium for tests, or a reason why not.

`REQUIRE_ALL=1`, as CI sets it, turns the missing browser from a skip into a failure.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dashboards.chromium import chromium as chromium_of_this_machine

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Page

DOCS = Path(__file__).parents[2] / "docs"
SCREENSHOTS = "UPDATE_SCREENSHOTS"
"""Set in the environment, the tests leave their pictures in docs/."""


@contextmanager
def chromium() -> Iterator["Browser"]:
    """A headless browser; skips the test (or fails it) where there is none."""
    with ExitStack() as opened:
        try:
            browser = opened.enter_context(chromium_of_this_machine())
        except (ImportError, OSError) as error:
            (pytest.fail if os.environ.get("REQUIRE_ALL") == "1" else pytest.skip)(str(error))
        yield browser


def keep(page: "Page", name: str, height: int) -> None:
    """Leave a picture of the page's first `height` pixels in docs/, if `SCREENSHOTS` is set."""
    if os.environ.get(SCREENSHOTS):
        page.wait_for_timeout(1500)
        clip: FloatRect = {"x": 0, "y": 0, "width": page.evaluate("innerWidth"), "height": height}
        page.screenshot(path=DOCS / name, full_page=True, clip=clip)


def violations(page: "Page") -> list[str]:
    """What axe-core finds wrong for people who see, hear or point differently: WCAG 2.2, levels A and AA."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415  # optional, as above

    options = {
        "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
    }
    found = Axe().run(page, options=options).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]
