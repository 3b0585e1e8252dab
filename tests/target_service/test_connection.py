"""A connection to a service that takes no more changes: refused from raw bytes or by aiohttp, never out of step."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from http.client import HTTPResponse
from io import BytesIO
from typing import Any, NamedTuple, cast

import pytest
from aiohttp import web

from target_service.api.body import BODY_DEADLINE_S
from target_service.api.fast_path import FastPath
from target_service.api.operation import Service
from target_service.connection import Connection
from target_service.faults import Drill, Fault, Faults
from target_service.inventory import Catalogue
from target_service.metrics import REJECTED, REQUEST_SECONDS, SHED, SharedMetrics, WorkerMetrics
from target_service.orders import OrderIds
from target_service.routes import add_routes
from target_service.shedding import LEAST_LIMIT, AdaptiveLimit
from target_service.store.store import Store

BODY = b'{"buyer_id": 7, "lines": []}'
HEAD = b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
ORDER = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class Heard(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Full:
    """A service without a free place, and one connection to it."""

    def __init__(self) -> None:
        self.parsed = 0
        """Requests that came as far as aiohttp's handler."""
        shared = SharedMetrics.create(1)
        limit = AdaptiveLimit(LEAST_LIMIT, time.monotonic_ns)
        for _ in range(LEAST_LIMIT):
            limit.admit()
        self.service = Service(
            cast("Store", None),  # nobody comes so far
            Catalogue(10),
            OrderIds(1),
            WorkerMetrics(shared.blocks[0]),
            limit,
            Faults(0, time.monotonic_ns, lambda _kind: None),
        )

    async def ask(self, *pieces: bytes) -> Heard:
        """Send a request in pieces, each seen by the service before the next; its answer."""
        for piece in pieces:
            before = self.bytes_seen
            self.writer.write(piece)
            while self.bytes_seen == before:
                await asyncio.sleep(0)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return _heard(head + await self.reader.readexactly(length))

    async def serve(self, scene: Callable[["Full"], Awaitable[None]], idle_s: float) -> None:
        """Play a scene."""
        app = web.Application()
        app[BODY_DEADLINE_S] = 5.0
        frames = add_routes(app, self.service)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        server = runner.server
        assert server is not None
        fast_path = FastPath(self.service, frames)
        self.bytes_seen = 0
        listening = await asyncio.get_running_loop().create_server(
            lambda: _Watched(self, server, fast_path, idle_s), "127.0.0.1", 0
        )
        async with listening, asyncio.timeout(10):
            self.reader, self.writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            await scene(self)
            self.parsed = server.requests_count
            self.writer.close()
        await runner.cleanup()


class _Watched(Connection):
    __slots__ = ("_full",)

    def __init__(self, full: Full, server: Any, fast_path: FastPath, idle_s: float) -> None:
        super().__init__(server, lambda _kind: None, fast_path, keepalive_timeout=idle_s, access_log=None)
        self._full = full

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._full.bytes_seen += len(data)


def _heard(raw: bytes) -> Heard:
    class _Socket:
        def makefile(self, _mode: str) -> BytesIO:
            return BytesIO(raw)

    response = HTTPResponse(cast("Any", _Socket()))
    response.begin()
    return Heard(response.status, dict(response.getheaders()), response.read())


def play(
    scene: Callable[[Full], Awaitable[None]],
    prepare: Callable[[Full], None] | None = None,
    idle_s: float = 60,
) -> int:
    """Play a scene on one connection; how many requests aiohttp saw of it."""
    full = Full()
    if prepare is not None:
        prepare(full)
    asyncio.run(full.serve(scene, idle_s))
    return full.parsed


def test_a_change_is_refused_and_health_told_from_raw_bytes_and_all_else_is_left_to_aiohttp() -> None:
    async def scene(full: Full) -> None:
        asked = [
            ORDER,
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
            ORDER,
            ORDER,
            ORDER.replace(b"/orders", b"/orders/0000000000000001/payment"),
            ALIVE,
        ]
        assert [(await full.ask(each)).status for each in asked] == [503, 404, 503, 503, 503, 200]

    assert play(scene) == 1


def test_a_refusal_is_the_same_from_raw_bytes_and_from_aiohttp() -> None:
    async def scene(full: Full) -> None:
        from_raw_bytes = await full.ask(ORDER)
        from_aiohttp = await full.ask(ORDER[:50], ORDER[50:])
        dates = [heard.headers.pop("Date") for heard in (from_raw_bytes, from_aiohttp)]
        assert all(date.endswith(" GMT") for date in dates)
        assert from_raw_bytes == from_aiohttp
        assert from_raw_bytes.headers["Retry-After"] == "1"

    assert play(scene) == 1


def test_a_refusal_does_not_wait_for_the_body_and_the_connection_goes_on_after_it() -> None:
    async def scene(full: Full) -> None:
        assert (await full.ask(ORDER[:-3])).status == 503
        full.writer.write(ORDER[-3:])
        assert [(await full.ask(each)).status for each in (ALIVE, ORDER, ALIVE)] == [200, 503, 200]

    assert play(scene) == 4


def test_a_body_that_looks_like_a_request_is_a_body() -> None:
    async def scene(full: Full) -> None:
        head = b"POST /assistant/messages HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(ORDER)
        assert (await full.ask(head, ORDER)).status == 415
        assert (await full.ask(ALIVE)).status == 200

    assert play(scene) == 2


def test_a_request_that_overtakes_an_answer_waits_for_it() -> None:
    async def scene(full: Full) -> None:
        question = b'{"prompt": "where?", "max_tokens": 1}'
        head = HEAD.replace(b"/orders", b"/assistant/messages") + b"Content-Length: %d\r\n\r\n" % len(
            question
        )
        full.writer.write(head + question)
        assert (await full.reader.readline()).startswith(b"HTTP/1.1 200")
        full.writer.write(ORDER)
        await full.reader.readuntil(b"\r\n0\r\n\r\n")
        assert (await full.ask()).status == 503

    assert play(scene) == 2


def test_the_tail_of_a_pipeline_is_the_parsers() -> None:
    async def scene(full: Full) -> None:
        head = b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(ORDER)
        # Two whole requests and the head of a third, whose body comes later.
        assert (await full.ask(ALIVE + ALIVE + head)).status == 200
        assert [(await full.ask()).status for _ in range(2)] == [200, 405]
        full.writer.write(ORDER)
        assert (await full.ask(ALIVE)).status == 200

    assert play(scene) == 4


def test_a_connection_that_is_only_refused_is_not_taken_for_idle() -> None:
    async def scene(full: Full) -> None:
        # Until aiohttp, which sees none of it, would have closed it twice over.
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            assert (await full.ask(ORDER)).status == 503

    assert play(scene, idle_s=0.3) == 0


def test_a_drain_closes_connections_and_so_lets_requests_in() -> None:
    def drain(full: Full) -> None:
        full.service.draining = True

    async def scene(full: Full) -> None:
        assert (await full.ask(ORDER)).headers["Connection"] == "close"

    assert play(scene, drain) == 1


def test_a_drill_meets_its_requests_whatever_is_under_way() -> None:
    def spoil(full: Full) -> None:
        full.service.faults.set(Drill((Fault("error"),)))

    async def scene(full: Full) -> None:
        assert (await full.ask(ORDER)).status == 500

    assert play(scene, spoil) == 1


def test_what_is_refused_from_raw_bytes_is_counted_as_its_traffic() -> None:
    full = Full()

    async def scene(full: Full) -> None:
        for tag in (b"", b"X-Load-Test: r\r\n", b"x-load-test: r\r\n", b"A: X-Load-Test:\r\n"):
            await full.ask(ORDER.replace(b"Host: x\r\n", b"Host: x\r\n" + tag))

    shared = SharedMetrics.create(1)
    full.service.metrics = WorkerMetrics(shared.blocks[0])
    asyncio.run(full.serve(scene, 60))

    block = shared.blocks[0]
    assert full.parsed == 0
    assert [block.series(REJECTED, "overloaded", traffic) for traffic in ("live", "shadow")] == [[2.0], [2.0]]
    assert block.series(SHED) == [4.0]
    assert sum(block.series(REQUEST_SECONDS, "create_order", "shadow")[:-1]) == 2


@pytest.mark.parametrize(("asked", "expected"), [(ORDER, 503), (ALIVE, 200)])
def test_who_asks_to_close_is_answered_and_closed_whatever_is_asked(asked: bytes, expected: int) -> None:
    async def scene(full: Full) -> None:
        heard = await full.ask(asked.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n"))
        assert (heard.status, heard.headers["Connection"]) == (expected, "close")
        assert await full.reader.read() == b""

    play(scene)
