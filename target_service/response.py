"""A response of the API: made by a handler, and told in the bytes of HTTP."""

from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE

from target_service.problem import MEDIA_TYPE, ProblemBody, ProblemError

JSON = "application/json"

_first_lines: dict[int, str] = {
    status: f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: " for status in HTTPStatus
}
_SERVER = f"\r\nServer: {SERVER_SOFTWARE}"
_encode = msgspec.json.Encoder().encode


class ApiResponse(NamedTuple):
    """The answer to one request."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    """The headers, without those that every response has."""
    media_type: str = JSON
    closes: bool = False
    """Whether the connection ends with it."""
    parts: AsyncGenerator[bytes, None] | None = None
    """Its body where that comes bit by bit."""

    def to_bytes(self, connection: str = "", *, to: str = "GET") -> bytes:
        """The response as it goes over the wire, with what is said of the connection; of one in parts, the head.

        `to` is the request's method: the answer to HEAD is that to GET without its body (RFC 9110, section 9.3.2).
        """
        head = _first_lines[self.status] + self.media_type
        for name, value in self.headers.items():
            head += f"\r\n{name}: {value}"
        framing = f"Content-Length: {len(self.body)}" if self.parts is None else "Transfer-Encoding: chunked"
        end = f"\r\nConnection: {connection}\r\n\r\n" if connection else "\r\n\r\n"
        told = f"{head}\r\n{framing}\r\nDate: {rfc822_formatted_time()}{_SERVER}{end}".encode()
        return told if to == "HEAD" else told + self.body


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] = {}) -> ApiResponse:
    """A JSON response."""
    return ApiResponse(status, _encode(value), headers)


def problem_response(error: ProblemError) -> ApiResponse:
    """The response that tells an error."""
    kind = error.kind
    body = ProblemBody(f"/problems/{kind.slug}", kind.title, kind.status, str(error), error.errors)
    after = {} if kind.retry_after_s is None else {"Retry-After": str(kind.retry_after_s)}
    return ApiResponse(kind.status, _encode(body), {**after, **error.headers}, MEDIA_TYPE, error.close)
