"""The door: under overload a change is refused from its raw bytes, before anything is read, parsed or queued.

A refusal that costs as much as an order is no relief. Through aiohttp's request, task and response it costs about
60 us; from here about ten, most of them the kernel's. Who came in one piece of bytes, in the plainest form of HTTP
(`whole_request`), is answered here; anybody else is refused a little later, by `api.frame`, with the same words.

What may be answered from raw bytes is narrower than what aiohttp's parser accepts, on purpose: where the two could
disagree about where a request ends, one connection's answers could reach another's requests behind a proxy. So
there is one Content-Length at most, it names exactly the bytes that are there, and headers that change the framing
or the connection are left to the parser.
"""

import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from time import perf_counter

from aiohttp.http import SERVER_SOFTWARE

from target_service import problem
from target_service.api.operation import Operation, Service
from target_service.problem import ProblemError
from target_service.shadow import HEADER
from target_service.shedding import TOO_MUCH

_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_FRAMING = rb"content-length|transfer-encoding|connection|proxy-connection|expect|upgrade"
_FIELD = rb"(?!(?i:%b):)%b:[\t\x20-\x7e\x80-\xff]*+|(?i:connection): ?(?i:keep-alive)" % (_FRAMING, _NAME)
_FIELDS = rb"(?:(?:%b)\r\n)*+" % _FIELD
_LENGTH = rb"(?i:content-length): ?(?P<length>[0-9]{1,6}+)\r\n"
_WHOLE = re.compile(
    rb"(?P<method>GET|POST) (?P<target>/[!-~]*+) HTTP/1\.1\r\n"
    rb"(?P<fields>%b(?:%b%b)?+)\r\n" % (_FIELDS, _LENGTH, _FIELDS)
)
_TAG = re.compile(rb"(?:^|\n)" + re.escape(HEADER.encode()) + rb":", re.IGNORECASE)


def whole_request(data: bytes) -> "re.Match[bytes] | None":
    """`data` as method, target, headers and length, if it is one plain request and nothing else."""
    request = _WHOLE.match(data)
    if request is None or len(data) - request.end() != int(request["length"] or 0):
        return None
    return request


class Door:
    """Refuses changes while no more are taken on; one for all connections of a worker."""

    def __init__(self, service: Service, operations: Iterable[Operation]) -> None:
        self._service = service
        self._changes = [(_target_of(each.path), each.route) for each in operations if each.sheds]
        self._rejected = {
            traffic: service.metrics.rejected[problem.OVERLOADED.slug, traffic]
            for traffic in ("live", "shadow")
        }
        refusal = ProblemError(problem.OVERLOADED, TOO_MUCH).response()
        assert isinstance(refusal.body, bytes)  # noqa: S101 - of our own making
        fields = {**refusal.headers, "Content-Length": str(len(refusal.body)), "Server": SERVER_SOFTWARE}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._before_date = f"HTTP/1.1 {refusal.status} {refusal.reason}\r\n{head}Date: ".encode()
        self._after_date = b"\r\n\r\n" + refusal.body
        self._answer = b""
        self._answer_s = 0

    def is_shut(self) -> bool:
        """Whether changes are refused here now; a drill's faults and a drain need requests to come in."""
        service = self._service
        return service.limit.is_full() and not service.draining and not service.faults.await_requests

    def refusal_of(self, request: "re.Match[bytes]") -> bytes | None:
        """The whole answer that refuses a change, which is counted; None if it is none."""
        service = self._service
        started = perf_counter()
        route = self._change(request)
        if route is None:
            return None
        traffic = "live" if _TAG.search(request["fields"]) is None else "shadow"
        self._rejected[traffic].add()
        service.metrics.shed.add()
        service.metrics.request_seconds[route, traffic].observe(perf_counter() - started)
        return self._answer_now()

    def _change(self, request: "re.Match[bytes]") -> str | None:
        """The route of the change that is asked for."""
        if request["method"] != b"POST":
            return None
        target = request["target"]
        return next((route for pattern, route in self._changes if pattern.fullmatch(target)), None)

    def _answer_now(self) -> bytes:
        now_s = int(time.time())
        if now_s != self._answer_s:
            self._answer_s = now_s
            self._answer = self._before_date + formatdate(now_s, usegmt=True).encode() + self._after_date
        return self._answer


def _target_of(path: str) -> "re.Pattern[bytes]":
    """What a request for this path has as its target."""
    return re.compile(re.sub(r"\\\{\w+\\\}", "[0-9a-z]+", re.escape(path)).encode())
