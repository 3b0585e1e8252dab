"""The fast path: a plain request is answered from its raw bytes, without aiohttp's parser, request and response.

Those cost more than half of what an order takes, and a refusal that costs as much as an order is no relief. Here
a request is answered that has arrived alone, whole and in the plainest form of HTTP (`whole_request`). The same
handlers answer it, after the same checks (`api.frame`). Every other request goes to aiohttp: one that arrives in
pieces, one that is malformed, one with a query, a stream, and each that arrives during a drill or a drain.

What may be answered from raw bytes is narrower than what aiohttp's parser accepts, on purpose: where the two could
disagree about where a request ends, one connection's answers could reach another's requests behind a proxy. So
there is one Content-Length at most, it names exactly the bytes that are there, and headers that change the framing
or the connection are left to the parser.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter

from aiohttp import hdrs
from multidict import CIMultiDict

from target_service import problem
from target_service.api.body import MAX_BODY_BYTES, is_json
from target_service.api.frame import STOPPING, Frame, Incoming
from target_service.api.health import is_proved
from target_service.api.operation import Service
from target_service.problem import ProblemError
from target_service.protocol import LONGEST_LINE, is_host
from target_service.response import JSON, json_response
from target_service.schema import Health
from target_service.shadow import HEADER
from target_service.shedding import TOO_MUCH, Pace

HEALTH = (b"/healthz", b"/readyz")
LONGEST_HEAD_BYTES = 4096
MOST_FIELDS = 64
"""Longer heads are judged by aiohttp, which allows twice as much."""
HELD_BACK_S = 0.01
"""How often refusals are sent that had to wait."""
MOST_AT_ONCE = 200
"""Some 2 ms of them."""

_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_FRAMING = (
    rb"content-length|transfer-encoding|connection|proxy-connection|expect|upgrade"
    rb"|content-encoding|sec-websocket-key1"
)
_FIELD = rb"(?!(?i:%b):)%b:[\t\x20-\x7e\x80-\xff]*+|(?i:connection): ?(?i:keep-alive|close)" % (
    _FRAMING,
    _NAME,
)
_FIELDS = rb"(?:(?:%b)\r\n)*+" % _FIELD
_LENGTH = rb"(?i:content-length): ?(?P<length>[0-9]{1,6}+)\r\n"
_WHOLE = re.compile(
    rb"(?P<method>GET|POST) (?P<target>/[!-~]*+) HTTP/1\.1\r\n"
    rb"(?P<fields>%b(?:%b%b)?+)\r\n" % (_FIELDS, _LENGTH, _FIELDS)
)
_CLOSE = re.compile(rb"(?:^|\n)connection: ?close\r")
_TAG = re.compile(rb"(?:^|\n)" + re.escape(HEADER.lower().encode()) + rb":")
"""Both in lower case."""


def whole_request(data: bytes) -> "re.Match[bytes] | None":
    """`data` as method, target, headers and length, if it is one plain request and nothing else."""
    request = _WHOLE.match(data)
    if request is None or len(data) - request.end() != int(request["length"] or 0):
        return None
    return request


def headers_of(request: "re.Match[bytes]") -> CIMultiDict[str] | None:
    """The headers of a whole request; None if aiohttp must judge them."""
    if request.end() > LONGEST_HEAD_BYTES or len(request["target"]) > LONGEST_LINE // 2:
        return None
    fields = request["fields"]
    if not fields.isascii():
        return None
    lines = fields.decode().split("\r\n")
    if len(lines) > MOST_FIELDS:
        return None
    parts = [line.partition(":") for line in lines[:-1]]
    headers = CIMultiDict([(name, value.strip(" \t")) for name, _, value in parts])
    hosts = headers.getall(hdrs.HOST, ())
    return headers if len(hosts) == 1 and is_host(hosts[0]) else None


Planned = tuple[Frame, Incoming]
"""A request that is about to be answered, and by which operation."""


class FastPath:
    """Answers plain requests, or refuses them; one for all connections of a worker."""

    def __init__(self, service: Service, frames: Iterable[Frame]) -> None:
        known = [
            each for each in frames if each.operation.route != "other" and each.operation.media_type == JSON
        ]
        self._service = service
        self._fixed = {_start_for(each): each for each in known if "{" not in each.operation.path}
        self._varied = [(_pattern_of(each), each) for each in known if "{" in each.operation.path]
        self._rejected = {
            traffic: service.metrics.rejected[problem.OVERLOADED.slug, traffic]
            for traffic in ("live", "shadow")
        }
        self._rejected_foreign = service.metrics.rejected[problem.BAD_REQUEST.slug, "live"]
        self._refusal = ProblemError(problem.OVERLOADED, TOO_MUCH).response()
        self._foreign = ProblemError(
            problem.BAD_REQUEST, "expected HTTP/1.1 or HTTP/1.0", close=True
        ).response()
        self._farewell = ProblemError(problem.UNAVAILABLE, STOPPING, close=True).response()
        self._healthy = {
            b"GET /healthz": json_response(Health("alive")),
            b"GET /readyz": json_response(Health("ready")),
        }
        self.crowd = service.crowd
        self.accept_waiting = service.accept_waiting
        self._pace = Pace(time.thread_time)
        self._held_back: deque[Callable[[], None]] = deque()

    @property
    def is_draining(self) -> bool:
        """Whether each connection is to end with its next answer."""
        return self._service.draining

    @property
    def has_faults(self) -> bool:
        """Whether a drill's faults wait for requests."""
        return self._service.faults.await_requests

    def answer_to(self, request: "re.Match[bytes]") -> "Planned | bytes | None":
        """What to do with a request: have it answered; or the whole answer that refuses it, which is counted, or that
        tells of health; None if it is aiohttp's."""
        service = self._service
        if service.draining or service.faults.await_requests:
            return None
        start = _start_of(request)
        frame, names = self._find(start)
        if frame is None:
            is_open = self._is_health(request) and not _asks_to_close(request)
            return self._health(start, closes=False) if is_open else None
        if not service.is_overloaded(frame.operation):
            return self._plan(request, frame, names)
        return None if _asks_to_close(request) else self._refuse(request, frame)

    def _plan(self, request: "re.Match[bytes]", frame: Frame, names: Mapping[str, str]) -> "Planned | None":
        headers = headers_of(request)
        if headers is None:
            return None
        body = request.string[request.end() :]
        if frame.operation.body is not None and not (
            len(body) <= MAX_BODY_BYTES and is_json(headers.get(hdrs.CONTENT_TYPE, ""))
        ):
            return None
        closes = hdrs.CONNECTION in headers and _asks_to_close(request)
        return frame, Incoming(headers, names, None, body, closes)

    def _is_health(self, request: "re.Match[bytes]") -> bool:
        return _start_of(request) in self._healthy and headers_of(request) is not None

    def answer_to_first(self, data: bytes) -> bytes | None:
        """The whole answer to a health check that came with its connection, which is closed; None if it is none."""
        request = whole_request(data)
        if request is None or not self._is_health(request):
            return None
        return self._health(_start_of(request), closes=True)

    def one_too_many(self) -> bytes:
        """What a connection is told that cannot be kept."""
        self._count_refusal("live")
        return self._refusal.to_bytes(closes=True)

    def foreign(self) -> bytes:
        """What a connection is told that speaks another protocol."""
        self._rejected_foreign.add()
        return self._foreign.to_bytes()

    def farewell(self) -> bytes:
        """What a connection is told that has not said all it wants when there is no more time."""
        return self._farewell.to_bytes()

    def hold_back(self, send: Callable[[], None]) -> None:
        """Have a refusal sent as soon as it is its turn, by which time it may have been sent otherwise."""
        if not self._held_back:
            asyncio.get_running_loop().call_later(HELD_BACK_S, self._send_held_back)
        self._held_back.append(send)

    def may_refuse_now(self) -> bool:
        """Whether a refusal may be sent at once."""
        return not self._held_back and (not self.crowd.is_late() or self._pace.take())

    def _send_held_back(self) -> None:
        for _ in range(min(len(self._held_back), MOST_AT_ONCE)):
            if not (self._service.draining or not self.crowd.is_late() or self._pace.take()):
                break
            self._held_back.popleft()()
        if self._held_back:
            asyncio.get_running_loop().call_later(HELD_BACK_S, self._send_held_back)

    def _refuse(self, request: "re.Match[bytes]", frame: Frame) -> bytes:
        started = perf_counter()
        traffic = "shadow" if _holds(request, _TAG, b"load-test") else "live"
        self._count_refusal(traffic)
        answer = self._refusal.to_bytes()
        frame.seconds[traffic].observe(perf_counter() - started)
        return answer

    def _count_refusal(self, traffic: str) -> None:
        self._rejected[traffic].add()
        self._service.metrics.shed.add()

    def _health(self, start: bytes, *, closes: bool) -> bytes | None:
        """Readiness only if that is proved already: else the store is asked, which takes its time."""
        service = self._service
        if start == b"GET /readyz" and (service.draining or not is_proved(service)):
            return None
        return self._healthy[start].to_bytes(closes=closes)

    def _find(self, start: bytes) -> tuple[Frame | None, Mapping[str, str]]:
        """The operation of a request line, and the variable parts of its path."""
        frame = self._fixed.get(start)
        if frame is None:
            for pattern, varied in self._varied:
                found = pattern.fullmatch(start)
                if found is not None:
                    return varied, {name: part.decode() for name, part in found.groupdict().items()}
        return frame, {}


def _start_of(request: "re.Match[bytes]") -> bytes:
    return b"%b %b" % (request["method"], request["target"])


def _asks_to_close(request: "re.Match[bytes]") -> bool:
    return _holds(request, _CLOSE, b"close")


def _holds(request: "re.Match[bytes]", field: "re.Pattern[bytes]", word: bytes) -> bool:
    """Whether a request has a field; a search is spared where not even a word of it is there."""
    fields = request["fields"].lower()
    return word in fields and field.search(fields) is not None


def _start_for(frame: Frame) -> bytes:
    return f"{frame.operation.method} {frame.operation.path}".encode()


def _pattern_of(frame: Frame) -> "re.Pattern[bytes]":
    """What a request line for this operation begins with."""
    return re.compile(re.sub(rb"\\\{(\w+)\\\}", rb"(?P<\1>[0-9a-z-]+)", re.escape(_start_for(frame))))
