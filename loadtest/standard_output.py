"""Standard output that outlives its reader: in `singlesday run | head`, a run goes on when `head` has seen enough.

Python raises `BrokenPipeError` there, and libraries make exit code 1 of it, which means an internal error. A run has
its report to write then, and its verdict to end with.
"""

import os
import sys
from typing import Any, TextIO, cast


class Outlasting:
    """A text stream of which the rest goes nowhere once its reader has left."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it, to whoever reads."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._let_go()
            return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._let_go()

    def __getattr__(self, name: str) -> Any:
        """Whatever else streams have."""
        return getattr(self._stream, name)

    def _let_go(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def outlast_readers() -> None:
    """Have this process go on when nobody reads what it says any more."""
    sys.stdout = cast("TextIO", Outlasting(sys.stdout))
