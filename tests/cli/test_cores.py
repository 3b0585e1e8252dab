"""Which cores generator and service keep to themselves."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.cli.children import Child
from loadtest.cli.cores import Cores, divide


def test_on_two_cores_each_side_has_one() -> None:
    assert divide({0, 1}, 1) == Cores(generator=frozenset({1}), service=frozenset({0}))


def test_cores_that_the_process_may_not_use_are_nobodys() -> None:
    assert divide({3, 5, 7}, 1) == Cores(generator=frozenset({7}), service=frozenset({3, 5}))


@given(st.sets(st.integers(0, 255)), st.integers(0, 300))
def test_cores_are_divided_without_rest_or_not_at_all(available: set[int], workers: int) -> None:
    cores = divide(available, workers)
    if cores == Cores():
        assert workers < 1 or len(available) < 2 * workers
    else:
        assert cores.generator | cores.service == available
        assert not cores.generator & cores.service
        assert len(cores.generator) == workers <= len(cores.service)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system cannot bind a process to cores")
def test_a_child_runs_on_its_cores_alone(tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    log = tmp_path / "child.log"
    command = [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"]
    child = Child("child", command, log=log, cores={core})
    assert child.process.wait(30) == 0
    assert log.read_text().strip() == f"{{{core}}}"
