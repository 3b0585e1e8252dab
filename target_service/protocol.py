"""What is refused before it reaches an operation: heads whose meaning is in doubt, and what is no HTTP at all.

The API promises problems (RFC 9457) for these too.
"""

import asyncio
import functools
import re
from typing import NamedTuple

from aiohttp import HttpVersion, HttpVersion10, HttpVersion11, hdrs
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiMapping

from target_service import problem
from target_service.problem import ProblemError

LONGEST_LINE = 2048
"""Bytes of a request line."""
MAX_BODY_BYTES = 64 * 1024
LONGEST_REASON = 200
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_HOST = re.compile(
    r"""(?: (?: [A-Za-z0-9._~!$&'()*+,;=-] | %[0-9A-Fa-f]{2} ){1,255}+ | \[[0-9A-Fa-f:.]{2,45}+\] )
    (?: : (?P<port> [0-9]{0,5}+ ) )?""",
    re.VERBOSE,
)
_HIGHEST_PORT = 65535
_FOREIGN = re.compile(rb" (?:RTSP|ICE)/[0-9]\.[0-9]\r?\n")
LONGEST_FOREIGN = len(b" RTSP/1.0\r\n")


class MalformedBodyError(Exception):
    """A request's body is not as its head says."""


class Head(NamedTuple):
    """The head of a request, whoever read it."""

    method: str
    path: str
    query: MultiMapping[str]
    headers: "CIMultiDict[str] | CIMultiDictProxy[str]"
    version: HttpVersion = HttpVersion11
    closes: bool = False
    """Whether the connection ends with its answer."""


_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_FRAMING = (
    rb"content-length|transfer-encoding|connection|proxy-connection|expect|upgrade"
    rb"|content-encoding|sec-websocket-key1"
)
_FIELD = rb"(?!(?i:%b):)%b:[\t\x20-\x7e]*+|(?i:connection): ?(?i:keep-alive)" % (_FRAMING, _NAME)
_FIELDS = rb"(?:(?:%b)\r\n){0,64}+" % _FIELD
_LENGTH = rb"(?i:content-length): ?(?P<length>[0-9]{1,5}+)\r\n"
_PLAIN = re.compile(
    rb"(?P<method>GET|POST) (?P<path>/[0-9A-Za-z/._~-]{0,200}+) HTTP/1\.1\r\n"
    rb"(?P<fields>%b(?:%b%b)?+)\r\n" % (_FIELDS, _LENGTH, _FIELDS)
)
LONGEST_PLAIN_HEAD = 4096
MOST_IN_VAIN = 4
"""Pieces of what has come at once that brought no request; the rest is one."""
_NO_QUERY: MultiMapping[str] = MultiDict()


def plain_request(data: bytes) -> tuple[Head, bytes] | None:
    """Head and body, if these bytes are one whole request in the plainest form of HTTP, and nothing else.

    Narrower than aiohttp's parser on purpose: where the two could disagree about where a request ends, one
    connection's answers could reach another's requests behind a proxy. So there is one Content-Length at most, it
    names exactly the bytes that are there, and what else changes the framing or the connection is left to the parser.
    """
    found = _PLAIN.match(data)
    if found is None or len(data) - found.end() != int(found["length"] or 0):
        return None
    if found.end() > LONGEST_PLAIN_HEAD or len(data) > found.end() + MAX_BODY_BYTES:
        return None
    fields = [line.partition(":") for line in found["fields"].decode().split("\r\n")[:-1]]
    headers = CIMultiDict([(name, value.strip(" \t")) for name, _, value in fields])
    return Head(found["method"].decode(), found["path"].decode(), _NO_QUERY, headers), data[found.end() :]


END_OF_HEAD = b"\r\n\r\n"


def end_of_head(data: bytes, at: int) -> int:
    """Where the next head ends, or what looks like one; the end of the data if none does."""
    end = data.find(END_OF_HEAD, at)
    return len(data) if end < 0 else end + 4


def new_parser(protocol: BaseProtocol) -> HttpRequestParser:
    """aiohttp's parser for one connection."""
    return HttpRequestParser(
        protocol,
        asyncio.get_running_loop(),
        2**16,
        max_line_size=LONGEST_LINE,
        payload_exception=MalformedBodyError,
        auto_decompress=False,
    )


def check_head(headers: "CIMultiDict[str] | CIMultiDictProxy[str]", version: HttpVersion) -> None:
    """Refuse what aiohttp's parser lets through though its meaning is in doubt. Raises ProblemError.

    RFC 9112: a version that is not ours (2.3), a `Host` that is none or many (3.2), a transfer coding besides
    `chunked`, or any in HTTP/1.0 (6.1): a proxy in front of this service might see the request end elsewhere.
    """
    hosts = headers.getall(hdrs.HOST, ())
    if len(hosts) > 1 or not all(map(is_host, hosts)) or (version == HttpVersion11 and not hosts):
        raise malformed("expected one Host header with a name or an address, and a port or none")
    if version not in (HttpVersion11, HttpVersion10):
        raise malformed("expected HTTP/1.1 or HTTP/1.0")
    if hdrs.TRANSFER_ENCODING in headers:
        codings = [coding.lower() for coding in headers.getall(hdrs.TRANSFER_ENCODING)]
        if codings != ["chunked"] or version != HttpVersion11:
            raise malformed("expected no Transfer-Encoding other than chunked, and only in HTTP/1.1")
    if hdrs.EXPECT in headers and headers[hdrs.EXPECT].lower() != "100-continue":
        raise ProblemError(
            problem.UNMET_EXPECTATION, "expected no Expect header other than 100-continue", close=True
        )


def malformed(detail: str) -> ProblemError:
    """The refusal of bytes that are no HTTP; the connection ends, since no next request can be found in them."""
    return ProblemError(problem.BAD_REQUEST, detail, close=True)


@functools.lru_cache(maxsize=64)
def is_host(text: str) -> bool:
    """Whether this is a host with or without a port (RFC 3986, 3.2.2)."""
    found = _HOST.fullmatch(text)
    return found is not None and int(found["port"] or 0) <= _HIGHEST_PORT


def is_foreign(data: bytes) -> bool:
    """Whether a request line names another protocol, which llhttp would read as HTTP."""
    return (b"RTSP/" in data or b"ICE/" in data) and _FOREIGN.search(data) is not None


def reason_of(message: str) -> str:
    """The parser's words in one line, without the drawing of the bytes it stumbled over."""
    words = " ".join(message.split("\n\n", maxsplit=1)[0].split())
    return words.rstrip(":")[:LONGEST_REASON]
