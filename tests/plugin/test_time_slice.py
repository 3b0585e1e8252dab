"""What a worker asks of the scheduler, read back from the kernel by a process that asked."""

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from loadtest.plugin.time_slice import SLICE_NS, SchedulingAttributes

GET_ATTR = {"x86_64": 315, "aarch64": 275}
ASK = """
import os
from loadtest.plugin.time_slice import ask_for_short_slices
{before}
print(ask_for_short_slices(), flush=True)
input()
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in GET_ATTR, reason="Linux on x86-64 or ARM only"
)


def attributes(pid: int) -> SchedulingAttributes:
    """What the kernel knows of a process."""
    found = SchedulingAttributes()
    size = ctypes.sizeof(found)
    failed = ctypes.CDLL(None).syscall(GET_ATTR[platform.machine()], pid, ctypes.byref(found), size, 0)
    assert failed == 0
    return found


def asked(before: str) -> tuple[str, SchedulingAttributes]:
    """(what a process was told when it asked, what the kernel has of it), with a statement run before."""
    process = subprocess.Popen(
        [sys.executable, "-c", ASK.format(before=before)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        told = process.stdout.readline().strip()
        found = attributes(process.pid)
        process.communicate("\n")
    assert process.returncode == 0
    return told, found


def kernel_grants_slices() -> bool:
    release = platform.release().split(".")
    return (int(release[0]), int(release[1])) >= (6, 12)


def test_a_worker_gets_the_short_slice_and_keeps_its_niceness() -> None:
    told, found = asked("os.setpriority(os.PRIO_PROCESS, 0, 5)")
    assert told == "True"
    assert (found.policy, found.nice) == (os.SCHED_OTHER, 5)
    if kernel_grants_slices():  # an older one takes the request and ignores it
        assert found.runtime_ns == SLICE_NS


def test_a_worker_under_another_policy_stays_there() -> None:
    told, found = asked("os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))")
    assert told == "False"
    assert found.policy == os.SCHED_BATCH
