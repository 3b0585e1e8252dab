"""When to cut off those whose body does not come: at their deadline, but not all at once.

An answer of 408 to a connection that is then made anew costs about as much as ten orders. A crowd of slow clients
that came together would be cut off, and come back, together, and everybody else would wait for that second. So
cut-offs take turns; who must wait for one keeps a connection a little longer and nothing else, and may still finish.
"""

from collections.abc import Callable

CUT_OFFS_PER_S = 10
"""By one worker. Each takes 0.7 ms, so that is less than a hundredth of the time, and not in anybody's p99. A client
that stays and dribbles a byte a second costs less than one that is cut off every ten seconds and comes back."""


class CutOffs:
    """The turns of one worker; `now_s` is its event loop's clock."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._free_s = now_s()

    def take_turn(self) -> float:
        """Take the next turn to be cut off: how many seconds it is away."""
        turn_s = max(self._now_s(), self._free_s)
        self._free_s = turn_s + 1 / CUT_OFFS_PER_S
        return turn_s - self._now_s()
