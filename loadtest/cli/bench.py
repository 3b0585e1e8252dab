"""`singlesday bench NAME`: the benchmarks, which live beside the package and are not installed with it."""

import os
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "benchmarks"


class BenchError(Exception):
    """There is no such benchmark here."""


def names() -> list[str]:
    """The benchmarks of this checkout: modules, and packages with a `__main__`."""
    modules = [path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__"]
    return sorted([*modules, *(path.parent.name for path in FOLDER.glob("*/__main__.py"))])


def command_of(name: str, arguments: list[str]) -> list[str]:
    """What runs a benchmark, from the checkout. Raises `BenchError` listing what there is."""
    known = names()
    if name not in known:
        there = (
            ", ".join(known)
            or f"none: {FOLDER} is not there; benchmarks come with a checkout, not the package"
        )
        raise BenchError(f"bench {name}: expected one of {there}".replace("bench :", "bench:"))
    os.chdir(FOLDER.parent)
    return [sys.executable, "-m", f"benchmarks.{name}", *arguments]
