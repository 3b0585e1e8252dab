"""Programs that PyPI does not have: found, or a reason to skip.

`REQUIRE_ALL=1`, as CI sets it, turns the skip into a failure.
"""

import os
import shutil

import pytest


def program(name: str) -> str:
    """The path of a program; skips the test (or fails it) where it is missing."""
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is not on the path"
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path
