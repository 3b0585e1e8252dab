"""A real Chromium for tests, or a reason why not.

`REQUIRE_ALL=1`, as CI sets it, turns the missing browser from a skip into a failure.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium() -> Iterator["Browser"]:
    """A headless browser; skips the test (or fails it) where there is none."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415  # optional, hence not at the top
    except ImportError:
        _missing("the playwright package is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        _missing(f"none of {', '.join(NAMES)} is on the path")
    with sync_playwright() as playwright:
        # No sandbox: containers run tests as root, where Chromium refuses to start with one.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _missing(reason: str) -> NoReturn:
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def violations(page: "Page") -> list[str]:
    """What axe-core finds wrong for people who see, hear or point differently: WCAG 2.2, levels A and AA."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415  # optional, as above

    options = {
        "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
    }
    found = Axe().run(page, options=options).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]
