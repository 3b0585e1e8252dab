"""The queue of a push: oldest first, retried with growing pauses, bounded.

A receiver that is away for a while gets what it missed, in order, since Prometheus takes no older samples after
newer ones. One that stays away costs memory for `MOST` bodies and no more; the oldest are then lost, and counted.
"""

from collections import deque

MOST = 300
"""Bodies that wait at most: ten minutes' worth."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


class Outbox:
    """Bodies that wait to be sent; the caller says what became of each, and what time it is."""

    def __init__(self) -> None:
        self.lost = 0
        """Bodies that the receiver never took."""
        self.why = ""
        """What was wrong last."""
        self._waiting: deque[bytes] = deque()
        self._pause_s = FIRST_PAUSE_S
        self._not_before_s = float("-inf")

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, body: bytes) -> None:
        """Add a body; with too many waiting the oldest is dropped."""
        self._waiting.append(body)
        if len(self._waiting) > MOST:
            self._lose()

    def due(self, now_s: float) -> bytes | None:
        """The body to send now; None if there is none, or during a pause after a failure."""
        return self._waiting[0] if self._waiting and now_s >= self._not_before_s else None

    def delivered(self) -> None:
        """Remove the oldest, which the receiver took."""
        self._waiting.popleft()
        self._pause_s, self._not_before_s = FIRST_PAUSE_S, float("-inf")

    def refused(self, why: str) -> None:
        """Drop the oldest, which the receiver will never take."""
        self.why = why
        self._lose()

    def failed(self, why: str, now_s: float) -> None:
        """Keep the oldest and pause: the receiver may take it later."""
        self.why = why
        self._not_before_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def hurry(self) -> None:
        """End the pause after a failure."""
        self._pause_s, self._not_before_s = FIRST_PAUSE_S, float("-inf")

    def give_up(self) -> None:
        """Drop everything that waits."""
        while self._waiting:
            self._lose()

    def _lose(self) -> None:
        self._waiting.popleft()
        self.lost += 1
