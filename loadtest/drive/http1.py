"""HTTP/1.1 responses from bytes, without any I/O: what arrives is fed in, what it means is read off.

One `ResponseReader` serves all responses of a connection, one after the other, on one llhttp parser
(httptools). It is built around the common case, a response that arrives whole in one `recv`: that costs one
`feed`, two short callbacks and one C-level `list.append`. The reader defines no `on_header`: it keeps the
bytes of the head, and `parse_head` makes headers of them if anybody asks. Everything rarer lives in methods
the common case never enters.

What llhttp leaves to its user is done here: limits, the response to HEAD (which ends with its head whatever
the head announces), bodies that end with the connection, and bytes after the end of a response.
"""

import re
from typing import NamedTuple

import httptools

from loadtest.drive.errors import ConnectionClosedError, ProtocolError

_END_OF_HEAD = b"\r\n\r\n"
_HAS_LENGTH = re.compile(rb"\n(?:content-length|transfer-encoding):", re.IGNORECASE)
_INTERIM = re.compile(rb"HTTP/\d\.\d 1")
_FOLD = re.compile(rb"\r\n[ \t]+")


class Limits(NamedTuple):
    """How much of one response is held at a time, in bytes as received; more is a `ProtocolError`."""

    head_bytes: int = 256 * 1024
    body_bytes: int = 256 * 1024 * 1024


DEFAULT_LIMITS = Limits()


def require_within_limit(held_bytes: int) -> None:
    """Raise `ProtocolError` if so much of a body, or of a line in it, must not be held in memory."""
    if held_bytes > DEFAULT_LIMITS.body_bytes:
        raise ProtocolError("response body over the limit")


class ResponseReader:
    """Reads the responses of one connection: `begin`, then `feed` until it says True, then `take_body`.

    After any error the reader is spent: its connection has to be closed.
    """

    __slots__ = (
        "_chunks",
        "_feed_parser",
        "_growing_head",
        "_head_only",
        "_in_one_feed",
        "_keep_alive_of",
        "_limits",
        "_received_bytes",
        "_status_of",
        "complete",
        "fed_bytes",
        "head_complete",
        "keep_alive",
        "on_body",
        "raw",
        "status",
    )

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._chunks: list[bytes] = []
        self.on_body = self._chunks.append  # httptools looks callbacks up once, so the list stays the same
        self._adopt_new_parser()
        self.status = 0
        self._clear(head_only=False)
        self.begin()

    def _adopt_new_parser(self) -> None:
        parser = httptools.HttpResponseParser(self)
        self._feed_parser = parser.feed_data
        self._status_of = parser.get_status_code
        self._keep_alive_of = parser.should_keep_alive

    def begin(self, head_only: bool = False) -> None:
        """Expect a new response. `head_only` says that the request was a HEAD."""
        self.complete = False
        self.keep_alive = False  # whether the connection can carry another request; known once complete
        self.raw = b""  # what was received first: once complete, at least the head
        if head_only or not self._in_one_feed:
            self._clear(head_only)

    def _clear(self, head_only: bool) -> None:
        """Reset what only the rarer cases use."""
        self.head_complete = False  # kept up only while a response takes several feeds
        self._in_one_feed = not head_only  # whether it is, so far, the common case
        self._head_only = head_only
        self._growing_head: bytearray | None = None
        self._received_bytes = 0
        self.fed_bytes = 0  # of a response that takes several feeds

    @property
    def received_bytes(self) -> int:
        """How much has been fed of this response."""
        return self.fed_bytes or len(self.raw)

    def feed(self, data: bytes) -> bool:
        """Take bytes in and return True once the response is complete. Raises `ProtocolError`."""
        if not self.raw:
            self.raw = data
        try:
            self._feed_parser(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            return self._rejected(error, data)
        if self.complete and self._in_one_feed:
            return True
        return self._go_on(data)

    def feed_eof(self) -> None:
        """Take in the end of the connection: it completes a body that runs until then.

        Raises `ConnectionClosedError` if the response is incomplete, also if nothing of it was received.
        """
        if self.complete:
            return
        if not self.raw:
            raise ConnectionClosedError("connection closed before the response")
        if not self.head_complete or _HAS_LENGTH.search(self.head):
            raise ConnectionClosedError("connection closed inside the response")
        self.complete = True

    @property
    def head(self) -> bytes:
        """Status line and headers of the final response, or b"" as long as they are incomplete."""
        return final_head(self.raw)

    def take_body(self) -> bytes:
        """Remove and return what has been received of the body since the last call.

        It no longer counts against the limit, so that a body that is read as it comes may be of any length.
        """
        chunks = self._chunks
        if not chunks:
            return b""
        self._received_bytes = 0
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        return body

    def close(self) -> None:
        """Break the reference cycle with the parser, so that memory is freed without a garbage collection."""
        del self._feed_parser, self._status_of, self._keep_alive_of, self.on_body

    # Called by httptools.

    def on_message_begin(self) -> None:
        if self.complete:
            raise ProtocolError("bytes after the end of the response")

    def on_message_complete(self) -> None:
        status = self._status_of()
        if status >= 200:  # an interim response (1xx) is no answer; the final one follows
            self.status = status
            self.keep_alive = self._keep_alive_of()
            self.complete = True
        elif self._chunks:
            raise ProtocolError("an interim response with a body")  # which llhttp lets 104 and others have

    # Rarer cases.

    def _rejected(self, error: Exception, data: bytes) -> bool:
        """Judge what the parser refused. After a complete response it costs only the connection."""
        if isinstance(error, httptools.HttpParserUpgrade):
            raise ProtocolError("the server switched protocols unasked") from None
        after_the_end = self.complete
        if (
            (after_the_end or self._head_only)
            and self._go_on(data)
            and (after_the_end or self._head_parses())
        ):
            self.keep_alive = False
            return True
        self.complete = False
        raise ProtocolError(f"malformed response: {error}") from None

    def _go_on(self, data: bytes) -> bool:
        """Keep the head of a response that takes several feeds, and hold it against the limits."""
        self._in_one_feed = False
        self._received_bytes += len(data)
        self.fed_bytes += len(data)
        if not self.head_complete:
            self._extend_head(data)
        if not self.head_complete:
            if self._received_bytes > self._limits.head_bytes:
                raise ProtocolError("response head over the limit")
            return False
        if self._received_bytes > self._limits.head_bytes + self._limits.body_bytes:
            raise ProtocolError("response body over the limit")
        return self._finish_head_only() if self._head_only else self.complete

    def _extend_head(self, data: bytes) -> None:
        """Collect a head that arrives in pieces, searching each byte only once."""
        growing = self._growing_head
        if growing is None:
            growing = self._growing_head = bytearray()
        growing += data
        if growing.find(_END_OF_HEAD, max(0, len(growing) - len(data) - len(_END_OF_HEAD) + 1)) < 0:
            return
        self.raw = bytes(growing)
        head = self.head
        if not head:
            return
        self.head_complete = True
        self.status = self._status_of()
        self._growing_head = None
        if head[9:12] != b"%d" % self.status:
            raise ProtocolError(f"an interim response {self.status} with a body")

    def _head_parses(self) -> bool:
        """Whether the parser stumbled over a body after the head of a response to HEAD, not over the head."""
        up_to_body = self.raw[: self.raw.index(self.head) + len(self.head)] + _END_OF_HEAD
        try:
            httptools.HttpResponseParser(None).feed_data(up_to_body)
        except httptools.HttpParserError:
            return False
        return True

    def _finish_head_only(self) -> bool:
        """End the response to a HEAD with its head. llhttp waits for the body it announces: replace it."""
        head = self.head
        if not head:
            return False
        self.status = self._status_of()
        self.keep_alive = (self.keep_alive or self._keep_alive_of()) and self.raw.endswith(
            head + _END_OF_HEAD
        )
        self.complete = True
        self._chunks.clear()
        self._adopt_new_parser()
        return True


def final_head(received: bytes) -> bytes:
    """The first head in `received` that is not interim (1xx), without the empty line; b"" if incomplete."""
    if received[:1] == b"H" and received[9:10] > b"1":  # the rule: nothing before the final head
        end = received.find(_END_OF_HEAD)
        return received[:end] if end >= 0 else b""
    rest = received
    while True:
        head, end_of_head, rest = rest.lstrip(b"\r\n").partition(
            _END_OF_HEAD
        )  # llhttp, too, skips empty lines
        if not end_of_head or not _INTERIM.match(head):
            return head if end_of_head else b""


def parse_head(head: bytes) -> list[tuple[str, str]]:
    """The headers of `head` in order, names as sent, values without blanks around (RFC 9110, section 5.5).

    Folded lines (obsolete, RFC 9112 section 5.2) are joined by a space. Text is Latin-1.
    """
    lines = _FOLD.sub(b" ", head).decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return [(name, value.strip(" \t")) for name, _, value in pairs]


def reason_phrase(head: bytes) -> str:
    """The words after the status code, which mean nothing to a client and may be missing."""
    return head.partition(b"\r\n")[0].decode("latin-1")[13:]
