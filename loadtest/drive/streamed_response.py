"""A response whose body the script reads as it arrives, and which class of response a request gets."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from loadtest.drive.connection import Connection
from loadtest.drive.contents import decoded_content
from loadtest.drive.pool import Pool
from loadtest.drive.response import CaughtResponse, Response, decoded_if_utf8


class StreamedResponse(Response):
    """A response whose body is read as it arrives. Its connection is free once it is read or released."""

    streamed = True
    _connection: Connection | None = None
    _content: bytes | None = None
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
        """The whole content; reads what has not been read."""
        if self._undecoded and self._content is not None:
            self._undecoded = False
            body = b"".join((self._content, *self._pieces()))
            self._content = decoded_content(body, self.content_coding) if body else body
        return self._content

    @content.setter
    def content(self, received: bytes | None) -> None:
        self._content = received

    def iter_content(self, chunk_size: int = 1024, decode_content: bool = True) -> Iterator[str | bytes]:
        """The content as it arrives, in pieces of up to `chunk_size`; with `decode_content`, as text."""
        received, self._content = self._content or b"", b""
        for piece in chain((received,), self._pieces()):
            for start in range(0, len(piece), chunk_size):
                yield decoded_if_utf8(piece[start : start + chunk_size], decode_content)

    def isclosed(self) -> bool:
        """Whether the whole body has been received."""
        return self._connection is None

    def read(self, length: int | None = None) -> bytes:
        """The next `length` bytes, as sent; fewer at the end; with None, all that are left. May raise `OSError`."""
        while (length is None or len(self._content or b"") < length) and self._receive():
            pass
        return self._take(length)

    def readline(self) -> bytes:
        """Up to the next CR LF, which is included; b"" if there is none any more, as in FastHttpUser."""
        while (end := (self._content or b"").find(b"\r\n")) < 0:
            if not self._receive():
                return b""
        return self._take(end + 2)

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
        self._content = (self._content or b"") + piece
        return bool(piece)

    def _take(self, length: int | None) -> bytes:
        unread = self._content or b""
        taken = unread if length is None else unread[:length]
        self._content = unread[len(taken) :]
        return taken

    def _pieces(self) -> Iterator[bytes]:
        try:
            while self._connection is not None and (piece := self._connection.read_more()):
                yield piece
        finally:
            self.release()


class CaughtStreamedResponse(StreamedResponse, CaughtResponse):
    """A streamed response in a with-block."""


def response_type(caught: bool, streamed: bool) -> type[Response]:
    """The class of response for a request with `catch_response` and `stream`."""
    if streamed:
        return CaughtStreamedResponse if caught else StreamedResponse
    return CaughtResponse if caught else Response
