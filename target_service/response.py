"""A response of the API: made by a handler, and told in the bytes of HTTP."""

from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE

JSON = "application/json"

_first_lines: dict[int, str] = {
    status: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus
}
_encode = msgspec.json.Encoder().encode


class ApiResponse(NamedTuple):
    """What a client is told."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    """All but those that every response has."""
    media_type: str = JSON
    closes: bool = False
    """Whether the connection ends with it."""
    parts: AsyncGenerator[bytes, None] | None = None
    """Its body where that comes bit by bit."""

    def to_bytes(self, connection: str = "") -> bytes:
        """The response as it goes over the wire, with what is said of the connection; of one in parts, the head."""
        more = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        framing = f"Content-Length: {len(self.body)}" if self.parts is None else "Transfer-Encoding: chunked"
        head = (
            f"{_first_lines[self.status]}Content-Type: {self.media_type}\r\n{more}"
            f"{framing}\r\nDate: {rfc822_formatted_time()}\r\nServer: {SERVER_SOFTWARE}\r\n"
        )
        end = f"Connection: {connection}\r\n\r\n" if connection else "\r\n"
        return (head + end).encode() + self.body


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] = {}) -> ApiResponse:
    """A JSON response."""
    return ApiResponse(status, _encode(value), headers)
