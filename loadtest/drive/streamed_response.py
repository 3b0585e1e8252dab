"""A response whose body the script reads as it arrives, and which class of response a request gets."""

from collections.abc import Iterator
from typing import Any

from loadtest.drive.connection import Connection
from loadtest.drive.contents import decoded_content
from loadtest.drive.http1 import DEFAULT_LIMITS, require_within_limit
from loadtest.drive.pool import Pool
from loadtest.drive.response import CaughtResponse, Response, decoded_if_utf8


class StreamedResponse(Response):
    """A response whose body is read as it arrives. Its connection is free once it is read or released."""

    streamed = True
    _connection: Connection | None = None
    _content: bytes | None = None
    """What has been received and not been read, from `_read_bytes` on."""
    _read_bytes = 0
    _undecoded = True
    """Until the whole content has been asked for; what is read piece by piece is as sent."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        announced = self.headers and self.headers.get("content-length")
        # As FastHttpUser counts a stream: by what is announced, not by how much came together with the head.
        self.length = int(announced) if isinstance(announced, str) else 0

    def attach(self, connection: Connection, pool: Pool) -> None:
        """Keep the connection that the rest of the body comes from."""
        self._connection = connection
        self._pool = pool

    @property
    def content(self) -> bytes | None:
        """The whole content; reads what has not been read. Raises `ProtocolError` beyond the limit."""
        if self._undecoded and self._content is not None:
            self._undecoded = False
            body = self._rest()
            self._content = decoded_content(body, self.content_coding) if body else body
        return self._content

    @content.setter
    def content(self, received: bytes | None) -> None:
        self._content = received

    def iter_content(self, chunk_size: int = 1024, decode_content: bool = True) -> Iterator[str | bytes]:
        """The content as it arrives, in pieces of up to `chunk_size`; with `decode_content`, as text.

        What has been read is not kept, so that a body of any length passes in little memory. Raises
        `LocustError` where there was no response, and what ends a body early.
        """
        self._require_response()
        while piece := self._take(chunk_size):
            yield decoded_if_utf8(piece, decode_content)

    def isclosed(self) -> bool:
        """Whether the whole body has been received."""
        return self._connection is None

    def read(self, length: int | None = None) -> bytes:
        """The next `length` bytes, as sent; fewer at the end; with None, all that are left. May raise `OSError`."""
        return self._rest() if length is None else b"".join(self._taken(length))

    def readline(self) -> bytes:
        """Up to the next CR LF, which is included; b"" if there is none any more, as in FastHttpUser."""
        searched_from = self._read_bytes
        while (end := (self._content or b"").find(b"\r\n", searched_from)) < 0:
            unread_bytes = len(self._content or b"") - self._read_bytes
            if not self._receive():
                return b""
            searched_from = max(0, unread_bytes - 1)
            require_within_limit(unread_bytes)
        return self._take(end + 2 - self._read_bytes)

    def release(self) -> None:
        """Let go of the connection; a body that was not read to its end closes it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if connection.paused:
                connection.close()
            self._pool.release(connection)

    def __del__(self) -> None:
        self.release()

    def _receive(self) -> bool:
        """Put the next piece to what has not been read; False, and the connection is free, at the end."""
        piece = b""
        try:
            if self._connection is not None:
                piece = self._connection.read_more()
        finally:
            if not piece:
                self.release()
        self._content = (self._content or b"")[self._read_bytes :] + piece
        self._read_bytes = 0
        return bool(piece)

    def _take(self, most_bytes: int) -> bytes:
        """Up to `most_bytes` of what is there, or of what comes next; b"" at the end."""
        content = self._content or b""
        if self._read_bytes >= len(content):
            if not self._receive():
                return b""
            content = self._content or b""
        taken = content[self._read_bytes : self._read_bytes + most_bytes]
        self._read_bytes += len(taken)
        return taken

    def _taken(self, length: int) -> Iterator[bytes]:
        while length > 0 and (piece := self._take(length)):
            length -= len(piece)
            yield piece

    def _rest(self) -> bytes:
        pieces = []
        held_bytes = 0
        while piece := self._take(DEFAULT_LIMITS.body_bytes):
            pieces.append(piece)
            held_bytes += len(piece)
            require_within_limit(held_bytes)
        return b"".join(pieces)


class CaughtStreamedResponse(StreamedResponse, CaughtResponse):
    """A streamed response in a with-block."""


def response_type(caught: bool, streamed: bool) -> type[Response]:
    """The class of response for a request with `catch_response` and `stream`."""
    if streamed:
        return CaughtStreamedResponse if caught else StreamedResponse
    return CaughtResponse if caught else Response
