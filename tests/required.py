"""Programs that PyPI does not have: found, or a reason to skip.

`REQUIRE_ALL=1`, as CI sets it, turns the skip into a failure.
"""

import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest


def program(name: str) -> str:
    """The path of a program; skips the test (or fails it) where it is missing."""
    beside_python = str(Path(sys.executable).parent)  # programs of wheels, without the environment activated
    path = shutil.which(name, path=os.pathsep.join([beside_python, os.environ.get("PATH", "")]))
    if path is None:
        reason = f"{name} is not on the path"
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def native_core() -> Any:
    """The native core's module; skips a file's tests (or fails them) where it is not of these sources."""
    if os.environ.get("LOADTEST_PURE", "0") not in ("", "0"):
        pytest.skip("LOADTEST_PURE is set", allow_module_level=True)
    why = importlib.import_module("loadtest.drive._core").WHY_PURE
    if why and os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"no native core: {why}")
    if why:
        pytest.skip(f"no native core: {why}", allow_module_level=True)
    return importlib.import_module("loadtest.drive._core.native")
