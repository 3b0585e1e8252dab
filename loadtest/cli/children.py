"""The processes that `singlesday run` starts, and how they are made to end.

Each child gets a session of its own, so Ctrl-C in the terminal reaches only us and we decide in which order
things stop; and the kernel is asked to end it if we die without a word, so that nothing is left behind that
would hold a port or join the next run.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO, Any

from loadtest.cli.cores import bind
from loadtest.parent import die_with_parent

LOCUST_FILE = Path(__file__).parent.parent / "locustfile.py"
LOCUST = (sys.executable, "-m", "loadtest.locust_process", "-f", str(LOCUST_FILE))
"""How a process of Locust with our locustfile is started; its flags follow."""
STOP_TIMEOUT_S = 10.0


@contextlib.contextmanager
def signals_go_to(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have SIGINT and SIGTERM go to `handler`, and put the old handlers back."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def prepare(parent: int, cores: Collection[int]) -> None:
    """In a child, before its program: run on `cores` alone, if there are any, and die with the parent."""
    bind(cores)
    die_with_parent(parent)


class Child:
    """One process. With `log` its output goes there, else it shares our terminal."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        inherits: Sequence[int] = (),
        cores: Collection[int] = (),
    ) -> None:
        """Start it; `inherits` are the descriptors that it gets from us besides the standard ones.

        It runs on `cores` alone, or on any where there are none.
        """
        self.name = name
        self.log = log
        output: IO[Any] | None = log.open("ab") if log is not None else None
        self._log_begins = output.seek(0, os.SEEK_END) if output is not None else 0
        self.process = subprocess.Popen(  # noqa: S603 - our own programs, no shell
            command,
            stdin=stdin,
            stdout=stdout if stdout is not None else output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            pass_fds=inherits,
            preexec_fn=partial(prepare, os.getpid(), cores) if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads here
        )
        if output is not None:
            output.close()

    @property
    def running(self) -> bool:
        """True until it has ended."""
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if there is still somebody to receive it."""
        if self.running:
            self.process.send_signal(number)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Ask it to end, insist after `timeout_s`, and return its exit code."""
        self.send(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def close(self) -> None:
        """Let go of what it was started with; it must have ended."""
        if self.process.stdout is not None:
            self.process.stdout.close()

    def last_lines(self, lines: int = 5) -> str:
        """The end of what it wrote to its log, for an error message; not what others wrote there before it."""
        if self.log is None or not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_begins)
            said = log.read().decode(errors="replace")
        return "\n".join(said.splitlines()[-lines:])

    def ending(self) -> str:
        """How it ended, which it must have: `exit code 3`, `signal SIGKILL`."""
        code = self.process.returncode
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def wait_until(condition: Callable[[], bool], timeout_s: float, interval_s: float = 0.05) -> bool:
    """Wait until `condition` holds; False if it does not within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval_s)
    return True
