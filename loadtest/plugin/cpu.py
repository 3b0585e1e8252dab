"""How much of a core this process gets, and how much it is kept waiting for one.

A late generator has one of two reasons: it used up its core, or somebody else did. The kernel tells them apart:
`process_time` is what the process used, the second field of /proc/self/schedstat is how long it was ready to
run and waited (documented in the kernel's Documentation/scheduler/sched-stats.rst).
"""

import time
from pathlib import Path

_SCHEDSTAT = Path("/proc/self/schedstat")


class CpuMeter:
    """Shares of one core since the last sample."""

    def __init__(self) -> None:
        self._last = self._read()

    def sample(self) -> tuple[float, float]:
        """(used, waited for) since the last sample, each as a share of one core."""
        before, self._last = self._last, self._read()
        elapsed_ns = self._last[0] - before[0]
        if elapsed_ns <= 0:
            return 0.0, 0.0
        return (self._last[1] - before[1]) / elapsed_ns, (self._last[2] - before[2]) / elapsed_ns

    @staticmethod
    def _read() -> tuple[int, int, int]:
        try:
            waited_ns = int(_SCHEDSTAT.read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):
            waited_ns = 0  # not Linux, or hidden in this container: then only the use is known
        return time.monotonic_ns(), time.process_time_ns(), waited_ns
