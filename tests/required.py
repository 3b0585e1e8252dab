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

from loadtest.sources import PURE_VARIABLE, why_pure

ROOT = Path(__file__).parents[1]


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
    return extension("loadtest.drive._core.native")


def extension(module: str) -> Any:
    """An extension in Cython; skips a file's tests (or fails them) where it is not of these sources."""
    why = why_pure(module, ROOT.joinpath(*module.split(".")[:-1]))
    if why and not why.startswith(PURE_VARIABLE) and os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"no {module}: {why}")
    if why:
        pytest.skip(f"no {module}: {why}", allow_module_level=True)
    return importlib.import_module(module)
