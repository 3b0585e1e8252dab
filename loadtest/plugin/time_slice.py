"""Asks the kernel for short time slices, so that a worker whose arrival is due gets a busy core at once.

A worker sleeps until an arrival is due and then needs a core for tens of microseconds. Linux' scheduler (EEVDF)
lets whoever runs finish a slice of about 3 ms first, and that wait is dispatch lag: with two other processes at
work on two cores, 1.5 to 2.3 ms at p99. A process with a shorter slice has an earlier deadline, and on waking
preempts those with longer ones. It gets no larger share of the core for it; it gets its share in smaller pieces.
`python -m benchmarks.contention` measures both.

Since Linux 6.12 a process may ask for its slice without privilege: `sched_setattr(2)`, field `sched_runtime`
(kernel/sched/syscalls.c, `__setparam_fair`; 0.1 to 100 ms). Older kernels ignore the field.
"""

import ctypes
import os
import platform
import sys

SLICE_NS = 100_000
"""The shortest that the kernel grants."""
_SET_ATTR = {"x86_64": 314, "aarch64": 274}
"""Number of the system call (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h)."""


class SchedulingAttributes(ctypes.Structure):
    """The kernel's `struct sched_attr` in its first version, 48 bytes (include/uapi/linux/sched/types.h)."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime_ns", ctypes.c_uint64),
        ("deadline_ns", ctypes.c_uint64),
        ("period_ns", ctypes.c_uint64),
    )


def ask_for_short_slices() -> bool:
    """Ask the kernel for `SLICE_NS` for the calling thread; whether it took the request.

    A process that somebody has put under another policy (real time, batch) stays there.
    """
    number = _SET_ATTR.get(platform.machine())
    if sys.platform != "linux" or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    wanted = SchedulingAttributes(
        size=ctypes.sizeof(SchedulingAttributes),
        policy=os.SCHED_OTHER,
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        runtime_ns=SLICE_NS,
    )
    refused: int = ctypes.CDLL(None).syscall(number, 0, ctypes.byref(wanted), 0)
    return not refused  # some sandboxes forbid the call; a run is then as it was before
