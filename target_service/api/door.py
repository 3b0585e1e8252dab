"""The door: under overload a change is refused from its raw bytes, before anything is read, parsed or queued.

A refusal that costs as much as an order is no relief. Through aiohttp's request, task and response it costs about
60 us; from here about ten, most of them the kernel's. Who came in one piece of bytes, in the plainest form of HTTP
(`whole_request`), is answered here; anybody else is refused a little later, by `api.frame`, with the same words.

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
from email.utils import formatdate
from time import perf_counter

from aiohttp import web
from aiohttp.http import SERVER_SOFTWARE

from target_service import problem
from target_service.api.body import json_response
from target_service.api.frame import STOPPING
from target_service.api.health import is_proved
from target_service.api.operation import Operation, Service
from target_service.problem import ProblemError
from target_service.protocol import is_host
from target_service.schema import Health
from target_service.shadow import HEADER
from target_service.shedding import TOO_MUCH, Pace

HEALTH = (b"/healthz", b"/readyz")
HOLD_S = 0.01
"""How often refusals are said that had to wait."""
MOST_AT_ONCE = 200
"""Some 2 ms of them."""

_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_FRAMING = rb"content-length|transfer-encoding|connection|proxy-connection|expect|upgrade"
_FIELD = rb"(?!(?i:%b):)%b:[\t\x20-\x7e\x80-\xff]*+|(?i:connection): ?(?i:keep-alive)" % (_FRAMING, _NAME)
_FIELDS = rb"(?:(?:%b)\r\n)*+" % _FIELD
_LENGTH = rb"(?i:content-length): ?(?P<length>[0-9]{1,6}+)\r\n"
_WHOLE = re.compile(
    rb"(?P<method>GET|POST) (?P<target>/[!-~]*+) HTTP/1\.1\r\n"
    rb"(?P<fields>%b(?:%b%b)?+)\r\n" % (_FIELDS, _LENGTH, _FIELDS)
)
_CHECK = re.compile(
    rb"GET (?P<target>/healthz|/readyz) HTTP/1\.1\r\n"
    rb"(?P<fields>(?:(?!(?i:%b):)%b:[\t\x20-\x7e\x80-\xff]*+\r\n)*+)\r\n"
    % (rb"content-length|transfer-encoding|expect|upgrade", _NAME)
)
_HOST = re.compile(rb"(?:^|\n)host:[\t ]*+([!-~]*)[\t ]*+\r", re.IGNORECASE)
_TAG = re.compile(rb"(?:^|\n)" + re.escape(HEADER.encode()) + rb":", re.IGNORECASE)


def whole_request(data: bytes) -> "re.Match[bytes] | None":
    """`data` as method, target, headers and length, if it is one plain request and nothing else."""
    request = _WHOLE.match(data)
    if request is None or len(data) - request.end() != int(request["length"] or 0):
        return None
    return request


def health_check(data: bytes) -> str | None:
    """Which health check `data` is: its path, if it is one well-formed request and nothing else."""
    check = _CHECK.fullmatch(data)
    if check is None:
        return None
    hosts = _HOST.findall(check["fields"])
    return check["target"].decode() if len(hosts) == 1 and is_host(hosts[0].decode()) else None


class Said:
    """An answer made once, with the date of now."""

    def __init__(self, response: web.Response) -> None:
        assert isinstance(response.body, bytes)  # noqa: S101 - of our own making
        fields = {**response.headers, "Content-Length": str(len(response.body)), "Server": SERVER_SOFTWARE}
        if response.keep_alive is False:
            fields["Connection"] = "close"
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._before_date = f"HTTP/1.1 {response.status} {response.reason}\r\n{head}Date: ".encode()
        self._after_date = b"\r\n\r\n" + response.body
        self._bytes = b""
        self._at_s = 0

    def now(self) -> bytes:
        """All of its bytes."""
        now_s = int(time.time())
        if now_s != self._at_s:
            self._at_s = now_s
            self._bytes = self._before_date + formatdate(now_s, usegmt=True).encode() + self._after_date
        return self._bytes


def _healthy(*, close: bool) -> Mapping[str, Said]:
    said = {"/healthz": json_response(Health("alive")), "/readyz": json_response(Health("ready"))}
    if close:
        for response in said.values():
            response.force_close()
    return {path: Said(response) for path, response in said.items()}


class Door:
    """Refuses what cannot be taken on, and answers health checks meanwhile; one for all connections of a worker."""

    def __init__(self, service: Service, operations: Iterable[Operation]) -> None:
        self._service = service
        self._known = [
            (each.method.encode(), _target_of(each.path), each)
            for each in operations
            if each.route != "other"
        ]
        self._rejected = {
            traffic: service.metrics.rejected[problem.OVERLOADED.slug, traffic]
            for traffic in ("live", "shadow")
        }
        self._rejected_foreign = service.metrics.rejected[problem.BAD_REQUEST.slug, "live"]
        self._refusal = Said(ProblemError(problem.OVERLOADED, TOO_MUCH).response())
        self._last_refusal = Said(ProblemError(problem.OVERLOADED, TOO_MUCH, close=True).response())
        self._foreign = Said(
            ProblemError(problem.BAD_REQUEST, "expected HTTP/1.1 or HTTP/1.0", close=True).response()
        )
        self._farewell = Said(ProblemError(problem.UNAVAILABLE, STOPPING, close=True).response())
        self._healthy, self._healthy_once = _healthy(close=False), _healthy(close=True)
        self.crowd = service.crowd
        self.look = service.look
        self._pace = Pace(time.thread_time)
        self._held: deque[Callable[[], None]] = deque()

    def is_watched(self) -> bool:
        """Whether something may be answered here now; a drill's faults and a drain need requests to come in."""
        service = self._service
        is_busy = service.limit.is_full() or service.crowd.is_busy()
        return is_busy and not service.draining and not service.faults.await_requests

    def answer_to(self, request: "re.Match[bytes]") -> bytes | None:
        """The whole answer that refuses what is asked for, which is counted, or that tells of health; None if it may
        come in."""
        if request["target"] in HEALTH:
            path = health_check(request[0])
            return None if path is None else self._health(path, self._healthy)
        service = self._service
        crowded, full = service.crowd.is_full(), service.limit.is_full()
        if not (crowded or full):
            return None
        started = perf_counter()
        operation = self._asked(request)
        if operation is None or not (crowded or operation.sheds):
            return None
        traffic = "live" if _TAG.search(request["fields"]) is None else "shadow"
        self._count(traffic)
        service.metrics.request_seconds[operation.route, traffic].observe(perf_counter() - started)
        return self._refusal.now()

    def answer_to_first(self, data: bytes) -> bytes | None:
        """The whole answer to a health check that came with its connection, which is closed; None if it is none."""
        path = health_check(data)
        return None if path is None else self._health(path, self._healthy_once)

    def one_too_many(self) -> bytes:
        """What a connection is told that cannot be kept."""
        self._count("live")
        return self._last_refusal.now()

    def foreign(self) -> bytes:
        """What a connection is told that speaks another protocol."""
        self._rejected_foreign.add()
        return self._foreign.now()

    def farewell(self) -> bytes:
        """What a connection is told that has not said all it wants when there is no more time."""
        return self._farewell.now()

    def hold(self, say: Callable[[], None]) -> None:
        """Have a refusal said as soon as it is its turn, by which time it may have been said otherwise."""
        if not self._held:
            asyncio.get_running_loop().call_later(HOLD_S, self._say_held)
        self._held.append(say)

    def may_refuse_now(self) -> bool:
        """Whether a refusal may be said at once."""
        return not self._held and (not self.crowd.is_late() or self._pace.take())

    def _say_held(self) -> None:
        for _ in range(min(len(self._held), MOST_AT_ONCE)):
            if not (self._service.draining or not self.crowd.is_late() or self._pace.take()):
                break
            self._held.popleft()()
        if self._held:
            asyncio.get_running_loop().call_later(HOLD_S, self._say_held)

    def _count(self, traffic: str) -> None:
        self._rejected[traffic].add()
        self._service.metrics.shed.add()

    def _health(self, path: str, said: Mapping[str, Said]) -> bytes | None:
        """Readiness only if that is proved already: else the store is asked, which takes its time."""
        service = self._service
        if path == "/readyz" and (service.draining or not is_proved(service)):
            return None
        return said[path].now()

    def _asked(self, request: "re.Match[bytes]") -> Operation | None:
        method, target = request["method"], request["target"]
        for known, pattern, operation in self._known:
            if known == method and pattern.fullmatch(target):
                return operation
        return None


def _target_of(path: str) -> "re.Pattern[bytes]":
    """What a request for this path has as its target."""
    return re.compile(re.sub(r"\\\{\w+\\\}", "[0-9a-z-]+", re.escape(path)).encode())
