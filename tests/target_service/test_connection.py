"""A connection: requests in pieces, in pipelines and under overload are answered in turn, never out of step."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from http.client import HTTPResponse
from io import BytesIO
from typing import Any, NamedTuple, cast

import pytest

from target_service import problem
from target_service.api.operation import Service, Shop
from target_service.connection import Connection
from target_service.faults import Drill, Fault, Faults
from target_service.inventory import Catalogue
from target_service.metrics import REJECTED, REQUEST_SECONDS, SHED, SharedMetrics, WorkerMetrics
from target_service.orders import OrderIds
from target_service.problem import Kind
from target_service.protocol import MOST_IN_VAIN
from target_service.response import ApiResponse
from target_service.routes import Api, operations
from target_service.shedding import LEAST_LIMIT, AdaptiveLimit
from target_service.store.store import Store

BODY = b'{"buyer_id": 7, "lines": []}'
HEAD = b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
ORDER = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
QUESTION = b'{"prompt": "where?", "max_tokens": 1}'
ASKED = HEAD.replace(b"/orders", b"/assistant/messages") + b"Content-Length: %d\r\n\r\n" % len(QUESTION)


class Heard(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes


async def never() -> None:
    """Nobody asks."""


class Full:
    """A service without a free place, and one connection to it."""

    def __init__(self) -> None:
        shared = SharedMetrics.create(1)
        limit = AdaptiveLimit(LEAST_LIMIT, time.monotonic_ns)
        for _ in range(LEAST_LIMIT):
            limit.admit()
        metrics = WorkerMetrics(shared.blocks[0])
        self.shop = Shop(cast("Store", None), Catalogue(10), OrderIds(1), metrics)  # nobody comes so far
        faults = Faults(0, time.monotonic_ns, lambda _kind: None)
        self.service = Service(metrics, limit, faults, never, lambda: True)

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

    async def serve(self, scene: Callable[["Full"], Awaitable[None]]) -> None:
        """Play a scene."""
        loop = asyncio.get_running_loop()
        api = self.api = Api(self.service, operations(self.shop, self.service), 5.0)
        self.bytes_seen = 0

        def make() -> Connection:
            self.connection = _Watched(self, api)
            return self.connection

        listening = await loop.create_server(make, "127.0.0.1", 0)
        async with listening, asyncio.timeout(60):
            self.reader, self.writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            await scene(self)
            self.writer.close()
            self.connection.abort()
            await asyncio.sleep(0.01)  # until both ends have heard of it


class _Watched(Connection):
    __slots__ = ("_full",)

    def __init__(self, full: Full, api: Api) -> None:
        super().__init__(api)
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


def play(scene: Callable[[Full], Awaitable[None]], prepare: Callable[[Full], None] = lambda _: None) -> None:
    """Play a scene on one connection."""
    full = Full()
    prepare(full)
    asyncio.run(full.serve(scene))


def test_changes_are_refused_and_all_else_is_answered_in_turn() -> None:
    async def scene(full: Full) -> None:
        asked = [
            ORDER,
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
            ORDER,
            ORDER.replace(b"/orders", b"/orders/0000000000000001/payment"),
            ALIVE,
        ]
        assert [(await full.ask(each)).status for each in asked] == [503, 404, 503, 503, 200]

    play(scene)


def test_a_refusal_is_the_same_however_its_request_came() -> None:
    async def scene(full: Full) -> None:
        whole = await full.ask(ORDER)
        in_pieces = await full.ask(ORDER[:50], ORDER[50:])
        dates = [heard.headers.pop("Date") for heard in (whole, in_pieces)]
        assert all(date.endswith(" GMT") for date in dates)
        assert whole == in_pieces
        assert whole.headers["Retry-After"] == "1"

    play(scene)


def test_a_refusal_does_not_wait_for_the_body_and_the_connection_goes_on_after_it() -> None:
    async def scene(full: Full) -> None:
        assert (await full.ask(ORDER[:-3])).status == 503
        full.writer.write(ORDER[-3:])
        assert [(await full.ask(each)).status for each in (ALIVE, ORDER, ALIVE)] == [200, 503, 200]

    play(scene)


def test_a_body_that_looks_like_a_request_is_a_body() -> None:
    async def scene(full: Full) -> None:
        head = b"POST /assistant/messages HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(ORDER)
        assert (await full.ask(head, ORDER)).status == 415
        assert (await full.ask(ALIVE)).status == 200

    play(scene)


def test_a_request_that_overtakes_an_answer_waits_for_it() -> None:
    async def scene(full: Full) -> None:
        full.writer.write(ASKED + QUESTION)
        assert (await full.reader.readline()).startswith(b"HTTP/1.1 200")
        full.writer.write(ORDER)
        await full.reader.readuntil(b"\r\n0\r\n\r\n")
        assert (await full.ask()).status == 503

    play(scene)


def test_a_stream_to_a_client_of_http_1_0_comes_whole() -> None:
    async def scene(full: Full) -> None:
        heard = await full.ask(ASKED.replace(b"HTTP/1.1", b"HTTP/1.0") + QUESTION)
        assert (heard.status, heard.headers["Connection"]) == (200, "close")
        assert heard.body.endswith(b"event: done\ndata: {}\n\n")

    play(scene)


CLOSING = ASKED.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n") + QUESTION


def stop(full: Full) -> None:
    full.service.draining = True


@pytest.mark.parametrize(
    ("asked", "prepare"),
    [(CLOSING, lambda _: None), (ASKED + QUESTION, stop)],
    ids=["who asks to close", "while draining"],
)
def test_a_stream_comes_whole_before_its_connection_is_closed(
    asked: bytes, prepare: Callable[[Full], None]
) -> None:
    async def scene(full: Full) -> None:
        full.writer.write(asked)
        told = await full.reader.read(-1)
        assert b"\r\nConnection: close\r\n" in told
        assert told.count(b'\r\ndata: {"index":0,') == 1
        assert told.endswith(b"event: done\ndata: {}\n\n\r\n0\r\n\r\n")

    play(scene, prepare)


def test_a_stream_to_a_client_that_sends_no_more_is_nothing_but_its_parts() -> None:
    async def scene(full: Full) -> None:
        full.writer.write(ASKED + QUESTION)
        head = await full.reader.readuntil(b"\r\n\r\n")
        full.writer.write_eof()
        told = await full.reader.read(-1)
        assert head.startswith(b"HTTP/1.1 200")
        assert b"HTTP/1.1" not in told
        assert told.endswith(b"event: done\ndata: {}\n\n\r\n0\r\n\r\n")

    play(scene)


def test_a_pipeline_is_answered_in_turn_and_may_end_in_pieces() -> None:
    async def scene(full: Full) -> None:
        head = b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(ORDER)
        # Two whole requests and the head of a third, whose body comes later.
        assert (await full.ask(ALIVE + ALIVE + head)).status == 200
        assert [(await full.ask()).status for _ in range(2)] == [200, 405]
        full.writer.write(ORDER)
        assert (await full.ask(ALIVE)).status == 200

    play(scene)


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01", b"GET / HTTP/9.9\r\n\r\n", b"GET / RTSP/1.0\r\n\r\n", b"GET /\n\n"]
)
def test_requests_before_garbage_in_one_piece_are_answered_and_then_it(garbage: bytes) -> None:
    async def scene(full: Full) -> None:
        full.writer.write(ALIVE + ORDER + ALIVE + garbage)
        told = await full.reader.read(-1)
        assert re.findall(rb"HTTP/1\.1 (\d{3}) ", told) == [b"200", b"503", b"200", b"400"]

    play(scene)


def test_thousands_of_requests_in_one_piece_are_answered_each() -> None:
    async def scene(full: Full) -> None:
        full.writer.write(ALIVE * 3000)
        full.writer.write_eof()
        told = await full.reader.read(-1)
        assert told.count(b"HTTP/1.1 200") == 3000

    play(scene)


@pytest.mark.parametrize("before", [ALIVE, ORDER], ids=["answered", "refused"])
def test_a_head_that_has_begun_behind_another_request_keeps_the_connection(before: bytes) -> None:
    async def scene(full: Full) -> None:
        assert (await full.ask(before + ALIVE[:20])).status in (200, 503)
        full.connection.end_if_idle()
        assert (await full.ask(ALIVE[20:])).status == 200
        full.connection.end_if_idle()
        assert await full.reader.read() == b""

    play(scene)


def test_a_connection_is_idle_once_the_body_of_a_refused_request_has_come() -> None:
    async def scene(full: Full) -> None:
        assert (await full.ask(HEAD + b"Content-Length: 4\r\n\r\n")).status == 503
        full.connection.data_received(b"ab")
        full.connection.data_received(b"cd")
        full.connection.end_if_idle()
        assert await full.reader.read() == b""

    play(scene)


def test_a_head_whose_end_came_in_two_pieces_is_whole() -> None:
    async def scene(full: Full) -> None:
        for at in (1, 2, 3):
            assert (await full.ask(ALIVE + ALIVE[:-at])).status == 200
            assert (await full.ask(ALIVE[-at:])).status == 200
        full.connection.end_if_idle()
        assert await full.reader.read() == b""

    play(scene)


def test_another_protocol_in_two_pieces_is_refused_behind_a_request_too() -> None:
    async def scene(full: Full) -> None:
        assert (await full.ask(ALIVE + b"GET /healthz RT")).status == 200
        assert (await full.ask(b"SP/1.0\r\nHost: x\r\n\r\n")).status == 400

    play(scene)


def test_a_body_of_line_ends_costs_no_more_than_others() -> None:
    async def scene(full: Full) -> None:
        body = b"\r\n" * 30_000
        fed = 0

        class Counting:
            def __init__(self, parser: Any) -> None:
                self.parser = parser

            def __getattr__(self, name: str) -> Any:
                return getattr(self.parser, name)

            def feed_data(self, data: bytes) -> Any:
                nonlocal fed
                fed += 1
                return self.parser.feed_data(data)

        assert (await full.ask(ALIVE)).status == 200
        full.connection._parser = cast("Any", Counting(full.connection._parser))
        full.connection.data_received(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        pieces = [body[at : at + 1460] for at in range(0, len(body), 1460)]
        for piece in pieces:
            full.connection.data_received(piece)
        assert fed <= 1 + (MOST_IN_VAIN + 1) * len(pieces)

    play(scene)


def test_a_connection_is_of_use_while_it_is_answered_and_not_for_ever_afterwards() -> None:
    async def scene(full: Full) -> None:
        await full.ask(ORDER)
        full.connection.look(full.connection._used_s + 0.9, 1.0)
        await full.ask(ORDER)
        full.connection.look(asyncio.get_running_loop().time() + 1.1, 1.0)
        assert await full.reader.read() == b""

    play(scene)


def test_a_head_is_answered_as_its_get_but_without_the_body() -> None:
    async def scene(full: Full) -> None:
        full.writer.write(ALIVE.replace(b"GET", b"HEAD") + ALIVE)
        head = await full.reader.readuntil(b"\r\n\r\n")
        assert (head[:12], b"Content-Length: 18" in head) == (b"HTTP/1.1 200", True)
        assert (await full.ask()).body == b'{"status":"alive"}'

    play(scene)


def test_a_check_by_head_is_answered_however_many_connections_there_are() -> None:
    async def scene(full: Full) -> None:
        whole = full.api.answer_to_first(ALIVE)
        head = full.api.answer_to_first(ALIVE.replace(b"GET", b"HEAD"))
        assert whole is not None
        assert head is not None
        assert whole.startswith(head)
        assert head.endswith(b"\r\n\r\n")

    play(scene)


def test_a_method_that_is_not_allowed_is_told_which_are() -> None:
    async def scene(full: Full) -> None:
        assert (await full.ask(ALIVE.replace(b"GET", b"DELETE"))).headers["Allow"] == "GET, HEAD"

    play(scene)


def test_a_drain_closes_connections_with_their_next_answer() -> None:
    def drain(full: Full) -> None:
        full.service.draining = True

    async def scene(full: Full) -> None:
        assert (await full.ask(ORDER)).headers["Connection"] == "close"

    play(scene, drain)


class Hanging:
    """A store that takes a change, and never says what became of it."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()

    async def write(self, *_: object) -> None:
        self.has_begun.set()
        await asyncio.Event().wait()


BOUGHT = b'{"buyer_id": 7, "lines": [{"sku": "sku-000001", "quantity": 1}]}'
BUYING = HEAD + b"Content-Length: %d\r\n\r\n" % len(BOUGHT) + BOUGHT


@pytest.mark.parametrize(
    ("asked", "kind"), [(BUYING, problem.FATE_UNKNOWN), (BUYING[:-3], problem.UNAVAILABLE)]
)
def test_an_order_that_a_stop_overtakes_may_be_stored_once_the_store_has_it(asked: bytes, kind: Kind) -> None:
    def prepare(full: Full) -> None:
        full.shop = full.shop._replace(store=cast("Store", Hanging()))
        full.service.limit = AdaptiveLimit(LEAST_LIMIT, time.monotonic_ns)

    async def scene(full: Full) -> None:
        full.writer.write(asked)
        while full.service.metrics.in_flight.value == 0:
            await asyncio.sleep(0)
        if asked is BUYING:
            await cast("Hanging", full.shop.store).has_begun.wait()
        full.service.draining = full.service.has_given_up = True
        full.connection.give_up()
        heard = await full.ask()
        assert (heard.status, heard.headers["Connection"], heard.headers["Retry-After"]) == (
            503,
            "close",
            "1",
        )
        assert json.loads(heard.body)["type"] == f"/problems/{kind.slug}"

    play(scene, prepare)


def test_a_drill_meets_its_requests_whatever_is_under_way() -> None:
    def spoil(full: Full) -> None:
        full.service.faults.set(Drill((Fault("error"),)))

    async def scene(full: Full) -> None:
        assert (await full.ask(ORDER)).status == 500

    play(scene, spoil)


def test_what_is_refused_is_counted_as_its_traffic() -> None:
    full = Full()

    async def scene(full: Full) -> None:
        for tag in (b"", b"X-Load-Test: r\r\n", b"x-load-test: r\r\n", b"A: X-Load-Test:\r\n"):
            await full.ask(ORDER.replace(b"Host: x\r\n", b"Host: x\r\n" + tag))

    shared = SharedMetrics.create(1)
    full.service.metrics = WorkerMetrics(shared.blocks[0])
    asyncio.run(full.serve(scene))

    block = shared.blocks[0]
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


def test_those_who_wait_are_accepted_between_two_answers_of_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []

    async def work() -> ApiResponse:
        looks.clear()
        return ApiResponse(200, b"done")

    async def scene(full: Full) -> None:
        monkeypatch.setattr(full.service, "accept_waiting", lambda: looks.append("look"))
        monkeypatch.setattr(full.api, "take", lambda _incoming: work)
        assert (await full.ask(ALIVE)).body == b"done"
        assert looks == ["look"]

    play(scene)
