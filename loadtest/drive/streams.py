"""Bodies read while they arrive: lines, server-sent events, and the times between them.

An answer that streams (a chat assistant's, a price feed's) is judged by when it begins and whether it keeps
coming, not by when it ends. `Session.events` records both as endpoints of their own, next to the request
itself.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from loadtest.drive.http1 import require_within_limit
from loadtest.records import FIRST_EVENT, NEXT_EVENT

T = TypeVar("T")


class ServerSentEvent(NamedTuple):
    """One event of a `text/event-stream` (WHATWG HTML, section 9.2)."""

    data: str
    event: str = "message"
    id: str = ""
    received_ns: int = 0
    """When the piece that completed it arrived, on the session's clock."""


@dataclass(frozen=True)
class Timed(Generic[T]):
    """What is timed within a stream: under which names, and what an event must hold to count."""

    first: str
    following: str
    find: Callable[[ServerSentEvent], T | None]
    needed: bool = False
    """Whether a stream without any has failed."""


EVENTS = Timed(FIRST_EVENT, NEXT_EVENT, lambda event: event)


def iter_lines(pieces: Iterable[str | bytes]) -> Iterator[str]:
    """The lines in a stream of UTF-8 `pieces`, each without its line feed; the last one may have had none.

    Raises `ProtocolError` for a line over the limit of a response's body.
    """
    pending: list[bytes] = []
    pending_bytes = 0
    for piece in pieces:
        *lines, last = (piece.encode() if isinstance(piece, str) else piece).split(b"\n")
        for line in lines:
            yield b"".join((*pending, line)).decode("utf-8", errors="replace")
            pending.clear()
            pending_bytes = 0
        if last:
            pending.append(last)
            pending_bytes += len(last)
            require_within_limit(pending_bytes)
    if pending:
        yield b"".join(pending).decode("utf-8", errors="replace")


class EventParser:
    """Makes events of a stream's lines. An event ends with an empty line; without one it is dropped."""

    def __init__(self) -> None:
        self._data: list[str] = []
        self._held_bytes = 0
        self._event = ""
        self._id = ""

    def take_line(self, line: str) -> ServerSentEvent | None:
        """Take in one line, without its line feed; return the event it completes.

        Raises `ProtocolError` for an event over the limit of a response's body.
        """
        line = line.removesuffix("\r")
        if not line:
            return self._complete()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
            self._held_bytes += len(value)
            require_within_limit(self._held_bytes)
        elif field == "event":
            self._event = value
        elif field == "id" and "\0" not in value:
            self._id = value
        return None

    def _complete(self) -> ServerSentEvent | None:
        data, self._data = self._data, []
        self._held_bytes = 0
        event, self._event = self._event, ""
        if not data:
            return None
        return ServerSentEvent("\n".join(data), event or "message", self._id)
