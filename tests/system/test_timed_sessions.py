"""Whole sessions of pytest whose tests are late, wrong or hang: how often each is played, and what is said of it.

Here, since they take a minute each and mostly wait (`tests.timing.WAITING`).
"""

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = """
from pathlib import Path
from tests import timing as module
from tests.conftest import (
    pytest_collection_modifyitems, pytest_exception_interact, pytest_runtest_call, pytest_runtest_protocol,
    pytest_runtest_setup, pytest_timeout_set_timer,
)
from tests.timing import timing

module.LOCKED = Path(__file__).parent  # this test itself holds a place on the other
"""
PLAYED = """
import time
from pathlib import Path
import pytest
from tests import timing as module

@pytest.fixture(autouse=True)
def taken(monkeypatch):
    monkeypatch.setattr(module.Others, "taken", lambda self: "others used 80%")

def count(name):
    path = Path(__file__).with_name(name)
    path.write_text(path.read_text() + "x" if path.exists() else "x")
    return len(path.read_text())

def test_late_once(timing):
    plays = count("once")
    with timing:
        assert plays == 2

def test_late_always(timing):
    count("always")
    with timing:
        assert False, "31 ms"

def test_wrong(timing):
    count("wrong")
    assert False, "the books do not balance"

def test_judges_no_time_but_a_run():
    if count("plain") == 1:
        raise module.CoreTakenError("other programs used its CPU")

def test_judges_a_run_that_is_always_taken():
    count("taken")
    raise module.CoreTakenError("other programs used its CPU")

@pytest.mark.timeout(4)
def test_hangs_whenever_it_is_played_again():
    if count("hangs") > 1:
        time.sleep(300)
    raise module.CoreTakenError("other programs used its CPU")

@pytest.fixture
def stuck():
    yield
    time.sleep(300)

@pytest.mark.timeout(4)
def test_hangs_after_its_failure(stuck):
    assert False, "wrong"

@pytest.fixture(scope="module")
def service():
    count("services")

@pytest.mark.parametrize("number", range(6))
def test_shares_a_service(service, number):
    pass
"""


def played(folder: Path, *options: str) -> tuple[str, list[int]]:
    """A session of pytest over `PLAYED`: what it printed, and how often each of its first six tests was played.

    The others share a service, which starts once however many workers there are.
    """
    (folder / "test_played.py").write_text(PLAYED)
    (folder / "conftest.py").write_text(CONFTEST)
    root = Path(__file__).parents[2]
    ini = ["-c", str(root / "pyproject.toml"), f"--rootdir={folder}", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *ini, *options, str(folder)]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=500)
    assert (folder / "services").read_text() == "x"
    plays = [
        len((folder / name).read_text()) for name in ("once", "always", "wrong", "plain", "taken", "hangs")
    ]
    return ended.stdout + ended.stderr, plays


@pytest.mark.timeout(600)
def test_a_whole_session_plays_late_tests_thrice_and_wrong_ones_once_each_within_its_limit(
    tmp_path: Path,
) -> None:
    printed, plays = played(tmp_path, "-n", "2")
    assert "3 failed, 8 passed, 2 skipped, 1 error, 7 rerun" in printed, printed
    assert "no time can be judged: others used 80% (31 ms" in printed
    assert "no time can be judged: other programs used its CPU" in printed
    assert printed.count("Failed: Timeout (>4.0s)") >= 2
    assert plays == [2, 3, 1, 2, 3, 2]


@pytest.mark.timeout(600)
def test_a_session_that_plays_failed_tests_again_plays_those_that_judge_times_again_too(
    tmp_path: Path,
) -> None:
    printed, plays = played(tmp_path, "-n", "0", "--reruns", "2")
    assert "3 failed, 8 passed, 2 skipped, 1 error, 14 rerun" in printed, printed
    assert plays == [2, 3, 3, 2, 3, 3]
