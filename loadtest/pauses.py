"""Long work in short pieces, in a process whose cores others need.

Where a master shares two cores with a worker and the service it measures, ten milliseconds of drawing a page are ten
milliseconds in which an arrival may wait for a core: at twice a second that is the p99. The same work in pieces, with
a sleep between them, costs everybody else one piece at most. Whoever works long takes a `Pause` and calls it often.
"""

import time
from collections.abc import Callable

Pause = Callable[[], None]
"""To be called between pieces of work, as often as one likes; may switch to other greenlets."""

PIECE_S = 0.00025
"""How long to work at most before a sleep; a piece in the middle of which this passes is finished."""
SLEEP_S = 0.001


def no_pause() -> None:
    """For work that nobody is kept waiting by, or that must not be interrupted."""


class Pauses:
    """A `Pause` that sleeps once `PIECE_S` have been worked since it was made or slept last."""

    def __init__(
        self, sleep: Callable[[float], object], now_s: Callable[[], float] = time.thread_time
    ) -> None:
        self._sleep = sleep
        self._now_s = now_s
        self._since_s = now_s()
        self._worked_s = 0.0

    def __call__(self) -> None:
        """Sleep if it is time to."""
        piece_s = self._now_s() - self._since_s
        if piece_s >= PIECE_S:
            self._worked_s += piece_s
            self._sleep(SLEEP_S)
            self._since_s = self._now_s()

    @property
    def worked_s(self) -> float:
        """How long has been worked, without the sleeps."""
        return self._worked_s + self._now_s() - self._since_s
