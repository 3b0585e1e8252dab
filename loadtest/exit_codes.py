"""Every exit code the commands end with, named; CI pipelines rely on these numbers."""

from enum import IntEnum

INTERRUPTED = 130
"""128 + SIGINT, as shells have it: Ctrl-C before there was anything to stop."""


class ExitCode(IntEnum):
    """Why a command ended. Values are part of the public interface and never change."""

    PASS = 0
    INTERNAL_ERROR = 1
    USAGE = 2
    """Bad plan, bad SLO, host not allowed …: found before any traffic."""
    SLO_FAIL = 10
    INVALID = 11
    """The generator was late, saturated, or lost a worker or a report: the run proves nothing."""
    ABORTED = 12
    """Stopped by a signal or by abort-on-fail; all artefacts are written."""
    AUDIT_MISMATCH = 13
    """The service's database does not match the orders that it acknowledged."""
