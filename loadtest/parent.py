"""The bond of a child process to its parent: it does not outlive it, whatever ends the parent."""

import ctypes
import os
import signal

from loadtest.exit_codes import ExitCode

PR_SET_PDEATHSIG = 1
"""`prctl`'s request for a signal at the parent's death (linux/prctl.h)."""


def die_with_parent(parent: int) -> None:
    """In a child, before its program: have the kernel end it when `parent` ends; at once if that has happened.

    The kernel tells nobody of a parent that had ended before it was asked to.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(ExitCode.INTERNAL_ERROR)
