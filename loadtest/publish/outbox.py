"""What waits to be pushed: oldest first, tried again ever more slowly, and never more than fits.

A receiver that is away for a while gets what it missed, in order, since Prometheus takes no older samples after
newer ones. One that stays away costs memory for `MOST` bodies and no more; the oldest are then lost, and counted.
"""

from collections import deque

MOST = 300
"""Bodies that wait at most: ten minutes' worth."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


class Outbox:
    """Bodies on their way; the caller tells what became of each, and the time."""

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
        """One more; with too many waiting the oldest is lost."""
        self._waiting.append(body)
        if len(self._waiting) > MOST:
            self._lose()

    def due(self, now_s: float) -> bytes | None:
        """The body to send now; None if there is none, or the receiver is being left alone for a while."""
        return self._waiting[0] if self._waiting and now_s >= self._not_before_s else None

    def delivered(self) -> None:
        """The receiver took the oldest."""
        self._waiting.popleft()
        self._pause_s, self._not_before_s = FIRST_PAUSE_S, float("-inf")

    def refused(self, why: str) -> None:
        """The receiver will never take the oldest: it is lost."""
        self.why = why
        self._lose()

    def failed(self, why: str, now_s: float) -> None:
        """The oldest may be taken later."""
        self.why = why
        self._not_before_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def hurry(self) -> None:
        """Leave the receiver alone no longer."""
        self._pause_s, self._not_before_s = FIRST_PAUSE_S, float("-inf")

    def give_up(self) -> None:
        """Nothing will be sent any more: what waits is lost."""
        while self._waiting:
            self._lose()

    def _lose(self) -> None:
        self._waiting.popleft()
        self.lost += 1
