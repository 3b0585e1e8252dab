"""A response of the API: made by a handler, and told by aiohttp or in raw bytes."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from aiohttp import web
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
    sent: web.StreamResponse | None = None
    """Set where it was a stream, and has been sent already."""

    def to_aiohttp(self) -> web.StreamResponse:
        """The response as aiohttp sends it."""
        if self.sent is not None:
            return self.sent
        headers = {"Content-Type": self.media_type, **self.headers}
        response = web.Response(body=self.body, status=self.status, headers=headers)
        if self.closes:
            response.force_close()
        return response

    def to_bytes(self, *, closes: bool = False) -> bytes:
        """The response as it goes over the wire, whose connection ends with it if either says so."""
        more = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        head = (
            f"{_first_lines[self.status]}Content-Type: {self.media_type}\r\n{more}"
            f"Content-Length: {len(self.body)}\r\nDate: {rfc822_formatted_time()}\r\nServer: {SERVER_SOFTWARE}\r\n"
        )
        end = "Connection: close\r\n\r\n" if closes or self.closes else "\r\n"
        return (head + end).encode() + self.body


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] = {}) -> ApiResponse:
    """A JSON response."""
    return ApiResponse(status, _encode(value), headers)
