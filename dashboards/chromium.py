"""The Chromium of this machine, for the documentation's pictures and for tests."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium() -> Iterator["Browser"]:
    """A headless browser. Raises `OSError` where there is none, `ImportError` without playwright."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # optional, hence not at the top

    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise OSError(f"none of {', '.join(NAMES)} is on the path; install the package chromium")
    with sync_playwright() as playwright:
        # No sandbox: containers run as root, where Chromium refuses to start with one.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
