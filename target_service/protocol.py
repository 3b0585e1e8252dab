"""Answers to what never reaches an operation: bytes that are not HTTP, an `Expect` nobody can meet, a target
without a path (`OPTIONS *`, `CONNECT host:port`).

aiohttp answers these in plain text, before any handler or outside every middleware; the API promises problems
(RFC 9457). Two hooks of its protocol see them all; they cost a good request one comparison.
"""

import asyncio
import functools
import logging
import re
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web

from target_service import problem
from target_service.problem import Kind, ProblemError

LONGEST_REASON = 200
LONGEST_LINE = 2048
"""Bytes of a request line: aiohttp's router takes the path apart at each slash and hashes what is left."""
_HOST = re.compile(
    r"""(?: (?: [A-Za-z0-9._~!$&'()*+,;=-] | %[0-9A-Fa-f]{2} ){1,255}+ | \[[0-9A-Fa-f:.]{2,45}+\] )
    (?: : (?P<port> [0-9]{0,5}+ ) )?""",
    re.VERBOSE,
)
_HIGHEST_PORT = 65535
_FIRST_OF_SERVER = 500
_KEPT_HEADERS = ("WWW-Authenticate", "Allow")
_KIND_OF = {kind.status: kind for kind in reversed(problem.KINDS)}
"""The first, that is the plainest, kind of each status."""

log = logging.getLogger("orders")
protocol_log = logging.getLogger("orders.protocol")
# A stranger's malformed request is answered with 400; a traceback of the parser for each would only fill the disk.
protocol_log.setLevel(logging.CRITICAL)


class ProblemProtocol(web.RequestHandler):
    """The server's side of one connection; tells errors as problems and closes after each."""

    __slots__ = ("_refused",)

    def __init__(self, server: web.Server, refused: Callable[[Kind], None], **settings: Any) -> None:
        """`refused` hears of every such answer; `settings` are those of aiohttp's own protocol."""
        super().__init__(server, loop=asyncio.get_running_loop(), **settings)
        self._refused = refused

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a request that failed outside the API. Raises ConnectionError if one has begun."""
        super().handle_error(request, status, exc, message)
        if status >= _FIRST_OF_SERVER:
            log.error("a request failed before it reached its operation", exc_info=exc)
            return self._refusal(status, problem.DEFECT)
        return self._refusal(status, f"the request is malformed: {reason_of(message or '')}")

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Send an answer; one of aiohttp's own as a problem."""
        if isinstance(resp, web.HTTPException):
            kept = {name: resp.headers[name] for name in _KEPT_HEADERS if name in resp.headers}
            resp = self._refusal(resp.status, reason_of(resp.text or ""))
            resp.headers.update(kept)
        return super().finish_response(request, resp, start_time)

    def _refusal(self, status: int, detail: str) -> web.StreamResponse:
        kind = _KIND_OF.get(status, problem.INTERNAL)
        self._refused(kind)
        return ProblemError(kind, detail, close=True).response().to_aiohttp()


def check_head(request: web.BaseRequest) -> None:
    """Refuse what aiohttp's parser lets through though its meaning is in doubt. Raises ProblemError.

    RFC 9112: a version that is not ours (2.3), a `Host` that is none or many (3.2), a transfer coding besides
    `chunked`, or any in HTTP/1.0 (6.1): a proxy in front of this service might see the request end elsewhere.
    """
    headers, version = request.headers, request.version
    hosts = headers.getall(hdrs.HOST, ())
    if len(hosts) > 1 or not all(map(is_host, hosts)) or (version == HttpVersion11 and not hosts):
        raise _malformed("expected one Host header: a name or an address, and maybe a port")
    if version not in (HttpVersion11, HttpVersion10):
        raise _malformed("expected HTTP/1.1 or HTTP/1.0")
    if hdrs.TRANSFER_ENCODING in headers:
        codings = [coding.lower() for coding in headers.getall(hdrs.TRANSFER_ENCODING)]
        if codings != ["chunked"] or version != HttpVersion11:
            raise _malformed("expected no Transfer-Encoding but chunked, and that in HTTP/1.1")


def _malformed(detail: str) -> ProblemError:
    return ProblemError(problem.BAD_REQUEST, detail, close=True)


@functools.lru_cache(maxsize=64)
def is_host(text: str) -> bool:
    """Whether this is a host with or without a port (RFC 3986, 3.2.2)."""
    found = _HOST.fullmatch(text)
    return found is not None and int(found["port"] or 0) <= _HIGHEST_PORT


def reason_of(message: str) -> str:
    """The parser's words in one line, without the drawing of the bytes it stumbled over."""
    words = " ".join(message.split("\n\n", maxsplit=1)[0].split())
    return words.rstrip(":")[:LONGEST_REASON]
