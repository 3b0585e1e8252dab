"""A process that stands for another machine: it takes only the time of the cores that nobody here wants.

A Prometheus that scrapes, or a crowd of slow clients, is not on the machine of the service in earnest. In a benchmark
on one machine its own work must not be taken for what it does to the service. So such a process runs under
SCHED_IDLE, and alone in its session, since Linux shares the cores among sessions first (sched(7), "The autogroup
feature").
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

READY = b"ready\n"
AUTOGROUP = Path("/proc/self/autogroup")


@contextlib.contextmanager
def elsewhere(module: str, *arguments: str) -> Iterator[None]:
    """Run a module that calls `give_way` and `say_ready`, and ends with its standard input.

    Raises RuntimeError if it does not get ready, or fails before the block ends.
    """
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != READY:
                raise RuntimeError(f"{module} did not get ready")
            yield
        finally:
            process.stdin.close()
    if process.returncode:
        raise RuntimeError(f"{module} failed, with exit code {process.returncode}")


def give_way() -> None:
    """Let everybody else on this machine go first, from now on."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):  # a kernel without autogroups has no such file
        AUTOGROUP.write_text("19")


def say_ready() -> None:
    """Tell who started this process that what it is for has begun."""
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
