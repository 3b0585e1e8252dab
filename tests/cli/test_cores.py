"""Which cores generator and service keep to themselves."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from loadtest.cli.asked import default_workers
from loadtest.cli.children import Child
from loadtest.cli.cores import Cores, divide, divide_machine
from loadtest.cli.main import app


def test_on_two_cores_each_side_has_one() -> None:
    assert divide({0, 1}, 1) == Cores(generator=frozenset({1}), service=frozenset({0}))


def test_cores_that_the_process_may_not_use_are_nobodys() -> None:
    assert divide({3, 5, 7}, 1) == Cores(generator=frozenset({7}), service=frozenset({3, 5}))


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system cannot bind a process to cores")
@pytest.mark.parametrize(
    ("release", "cores", "shared"),
    [
        ("6.12.0-generic", 2, True),
        ("6.18.44-fc-v657", 3, True),
        ("7.0", 2, True),
        ("6.11.9", 2, False),
        ("5.10.0-21-amd64", 2, False),
        ("unheard of", 2, False),
        ("6.12.0", 4, False),
    ],
)
def test_few_cores_are_shared_where_the_generator_may_preempt_the_service(
    monkeypatch: pytest.MonkeyPatch, release: str, cores: int, shared: bool
) -> None:
    monkeypatch.setattr("platform.release", lambda: release)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(cores)))
    monkeypatch.setattr("sys.platform", "linux")
    assert (divide_machine(1) == Cores()) is shared


@given(st.sets(st.integers(0, 255)), st.integers(0, 300))
def test_cores_are_divided_without_rest_or_not_at_all(available: set[int], workers: int) -> None:
    cores = divide(available, workers)
    if cores == Cores():
        assert workers < 1 or len(available) < 2 * workers
    else:
        assert cores.generator | cores.service == available
        assert not cores.generator & cores.service
        assert len(cores.generator) == workers <= len(cores.service)


@pytest.fixture
def two_of_64_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of which this process may use little, as under `taskset` or in a container."""
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {3, 5}, raising=False)


@pytest.mark.usefixtures("two_of_64_cores")
def test_a_run_starts_workers_for_the_cores_that_it_may_use() -> None:
    assert default_workers() == 1


@pytest.mark.usefixtures("two_of_64_cores")
def test_a_worker_elsewhere_starts_a_process_for_each_core_that_it_may_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[int] = []

    def work(_master: object, workers: int, *_: object) -> int:
        started.append(workers)
        return 0

    monkeypatch.setattr("loadtest.cli.worker.work", work)
    for asked in ([], ["--workers", "7"]):
        command = ["worker", "--master", "127.0.0.1:1", "--out", str(tmp_path), *asked]
        ended = CliRunner().invoke(app, command)
        assert ended.exit_code == 0, ended.output
    assert started == [2, 7]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system cannot bind a process to cores")
def test_a_child_runs_on_its_cores_alone(tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    log = tmp_path / "child.log"
    command = [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"]
    child = Child("child", command, log=log, cores={core})
    assert child.process.wait(100) == 0
    assert log.read_text().strip() == f"{{{core}}}"
