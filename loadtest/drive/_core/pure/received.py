"""A response, as far as every request needs one, in Python: the twin of `received.pxi`."""

from typing import Any

from loadtest.records import Exchange


class Received:
    """The parts of a response that every request needs."""

    def __init__(  # noqa: PLR0917 - built once a request, where keywords would show
        self,
        call: Any,
        sent: bytes,
        status: int,
        raw: bytes,
        content: bytes | None,
        sent_ns: int,
        done_ns: int,
        exchange: Exchange,
    ) -> None:
        self.call: Any = call
        """The request as it was asked for."""
        self.sent = sent
        """The request as sent, head and body."""
        self.status_code = status
        self.raw = raw
        """What was received, at least to the end of the head."""
        self.content = content
        """The body; None without a response."""
        self.length = 0 if content is None else len(content)
        """The number of bytes the statistics count."""
        self.sent_ns = sent_ns
        """Just before the first byte of the request was sent, on the session's clock; 0 if none was."""
        self.done_ns = done_ns
        """When the last byte was read, or the request was given up."""
        self.exchange = exchange
        """What crossed the network."""

    def settle(self) -> bool:
        """Record a success that its with-block left as it was. False: Python has to."""
        return False

    def take_back(self) -> "tuple[Any, str, int] | None":
        """(session, name, intended instant) of what `settle` is not to record; None if there is nothing."""
        return None
