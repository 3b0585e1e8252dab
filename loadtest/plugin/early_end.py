"""How a `locust` process ends whose imports fail: with one sentence, and without workers left running.

From the moment at which a script imports this package until Locust's `init` is over, a script that raises, a class
that Locust cannot use and Ctrl-C would each end in Python's traceback and exit code 1. A defect of ours still does.
"""

import atexit
import contextlib
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn

from loadtest.exit_codes import INTERRUPTED, ExitCode

FORKS_END_S = 5.0
OURS = str(Path(__file__).parents[1])
_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def end_early_with_a_sentence() -> None:
    """From now on end with one sentence, if this is a `locust` process that reads its script."""
    if any(frame.f_code.co_filename.endswith("locust/main.py") for frame in _callers()):
        sys.excepthook = _end
        atexit.register(_end_forks)


def end_as_usual() -> None:
    """From now on a traceback says what happened, and workers end when their master tells them to."""
    if sys.excepthook is _end:
        sys.excepthook = sys.__excepthook__
        atexit.unregister(_end_forks)


def refuse(error: Exception) -> NoReturn:
    """End the process before any traffic, saying why."""
    sys.stderr.write(f"error: {error}\n")
    sys.stderr.flush()
    sys.exit(int(ExitCode.USAGE))


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    frames = traceback.extract_tb(trace)
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("stopped by Ctrl-C before anything began\n")
        raise SystemExit(INTERRUPTED)
    if frames and frames[-1].filename.startswith(OURS):
        sys.__excepthook__(kind, error, trace)
        return
    own = [frame for frame in frames if _is_the_scripts(frame.filename)]
    where = f" ({Path(own[-1].filename).name}:{own[-1].lineno} in {own[-1].name})" if own else ""
    sys.stderr.write(f"error: {kind.__name__}: {error}{where}\n")
    raise SystemExit(int(ExitCode.USAGE))


def _is_the_scripts(file: str) -> bool:
    others = (*_LIBRARIES, OURS, "<")
    return not file.startswith(others) and Path(file) != Path(sys.argv[0])


def _callers() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _end_forks() -> None:
    """End the workers of `--processes` that are still there: Locust forgets those that have not joined yet."""
    import psutil  # noqa: PLC0415 - Ctrl-C has to find this module imported early

    us = psutil.Process()
    command = us.cmdline()
    forks = []
    for child in us.children():
        with contextlib.suppress(psutil.Error):
            if child.cmdline() == command:
                child.terminate()
                forks.append(child)
    for fork in psutil.wait_procs(forks, FORKS_END_S)[1]:
        with contextlib.suppress(psutil.Error):
            fork.kill()
