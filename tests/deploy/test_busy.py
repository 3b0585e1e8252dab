"""`.ci/busy`, with a stand-in for `make`: what it says of runs, and that nothing outlives it."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from loadtest.cli.children import wait_until

ROOT = Path(__file__).parents[2]
MAKE = """#!/bin/sh
echo "3 passed in 0.01s"
[ "$PLAYS" != deaf ] || trap '' TERM
[ -z "$PLAYS" ] || sleep 300
"""


def busy(folder: Path, **environment: str) -> "subprocess.Popen[str]":
    """Start it on a copy, for two runs beside one program that uses a core."""
    (folder / ".ci").mkdir()
    (folder / "bin").mkdir()
    shutil.copy(ROOT / ".ci" / "busy", folder / ".ci" / "busy")
    (folder / "bin" / "make").write_text(MAKE)
    (folder / "bin" / "make").chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    variables = {"HOGS": "1", "TMPDIR": str(folder), "PATH": path, "PLAYS": "", **environment}
    return subprocess.Popen(
        ["bash", str(folder / ".ci" / "busy"), "2", "60"],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def over_at_the_end(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """End it whatever happens; its pipe left open would be the next test's warning."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_each_run_is_told(tmp_path: Path) -> None:
    with over_at_the_end(busy(tmp_path)) as process:
        said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert "run 2 of 2: " in said
    assert "exit code 0, 3 passed in 0.01s" in said
    assert "2 of 2 runs green beside 1 hogs" in said


def names_of(processes: Iterable[psutil.Process]) -> list[str]:
    """Of those that have not ended meanwhile."""
    names = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            names.append(process.name())
    return names


@pytest.mark.parametrize(
    ("number", "code", "plays"), [(signal.SIGTERM, 143, "hearing"), (signal.SIGINT, 130, "deaf")]
)
def test_a_signal_ends_it_at_once_with_all_that_it_has_started(
    number: signal.Signals, code: int, plays: str, tmp_path: Path
) -> None:
    with over_at_the_end(busy(tmp_path, PLAYS=plays)) as process:
        below = psutil.Process(process.pid).children
        assert wait_until(lambda: names_of(below(recursive=True)).count("sleep") == 1, 100)
        of_its_own = below(recursive=True)
        assert any("while True" in " ".join(each.cmdline()) for each in of_its_own)
        process.send_signal(number)
        process.communicate(timeout=100)
        assert process.returncode == code
        assert not psutil.wait_procs(of_its_own, 100)[1], "something outlived it"
