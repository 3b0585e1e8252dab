"""The proxy between generator and service: without a fault nothing changes, with one what it says."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest

from loadtest.faults.messages import Token
from loadtest.faults.network_faults import Network, NetworkFault
from loadtest.faults.proxy import Impairment
from loadtest.plan.fault import Fault

ANSWERS_WITHIN_S = 60.0
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def network() -> AsyncIterator[tuple[Network, Callable[[], Coroutine[None, None, Stream]]]]:
    """A network of one proxy before a server that echoes, and a way to connect through it."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    made = Network([f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"])
    (address,) = await made.start()
    opened: list[asyncio.StreamWriter] = []

    async def connect() -> Stream:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        opened.append(writer)
        return reader, writer

    try:
        yield made, connect
    finally:
        for writer in opened:
            writer.transport.abort()
        made.close()
        server.close()
        await until_told()


async def until_told() -> None:
    """Let the loop tell both ends of each connection that it was reset: then nobody serves it any more."""
    async with asyncio.timeout(ANSWERS_WITHIN_S):
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)


async def said_back(stream: Stream, data: bytes) -> bytes:
    """What comes back; empty where the connection is reset."""
    reader, writer = stream
    writer.write(data)
    async with asyncio.timeout(ANSWERS_WITHIN_S):
        try:
            return await reader.readexactly(len(data))
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""


def fault(kind: str, **more: float) -> Fault:
    return Fault(name=kind, kind=kind, at_s=3, for_s=1, **more)  # type: ignore[arg-type]  # as its kind needs it


def test_bytes_pass_whole_and_in_order_also_when_latency_begins_and_ends() -> None:
    async def scene() -> None:
        async with network() as (made, connect):
            stream, slow = await connect(), fault("latency", delay_s=0.05)
            sent = [bytes([number]) * 30_000 for number in range(60)]
            loop = asyncio.get_running_loop()
            loop.call_later(0.02, made.begin, slow)
            loop.call_later(0.2, made.undo, slow)
            for data in sent:
                stream[1].write(data)
                await asyncio.sleep(0.005)
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                assert await stream[0].readexactly(sum(map(len, sent))) == b"".join(sent)

    asyncio.run(scene())


def test_latency_makes_an_answer_wait_at_least_so_long() -> None:
    async def scene() -> float:
        async with network() as (made, connect):
            stream, loop = await connect(), asyncio.get_running_loop()
            made.begin(fault("latency", delay_s=0.08))
            began = loop.time()
            assert await said_back(stream, b"a") == b"a"
            return loop.time() - began

    assert asyncio.run(scene()) >= 0.08


def test_bandwidth_makes_bytes_wait_for_those_before_them() -> None:
    async def scene() -> float:
        async with network() as (made, connect):
            streams, loop = [await connect() for _ in range(4)], asyncio.get_running_loop()
            made.begin(fault("bandwidth", bytes_per_s=100_000))
            began = loop.time()
            await asyncio.gather(*(said_back(stream, bytes(5_000)) for stream in streams))
            return loop.time() - began

    assert asyncio.run(scene()) >= 0.2  # 20,000 bytes in each direction


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_loss_resets_its_share_of_the_connections_that_stand_and_of_those_that_come(share: float) -> None:
    async def scene() -> tuple[int, int, int]:
        async with network() as (made, connect):
            standing = [await connect() for _ in range(20)]
            for stream in standing:
                assert await said_back(stream, b"a") == b"a"
            lost = fault("loss", share=share)
            made.begin(lost)
            left = sum([await said_back(stream, b"b") == b"b" for stream in standing])
            come = sum([await said_back(await connect(), b"c") == b"c" for _ in range(20)])
            made.undo(lost)
            after = sum([await said_back(await connect(), b"d") == b"d" for _ in range(5)])
            return left, come, after

    kept = round(20 * (1 - share))
    assert asyncio.run(scene()) == (kept, kept, 5)


def test_half_open_connections_say_nothing_and_are_reset_at_the_end() -> None:
    async def scene() -> bytes:
        async with network() as (made, connect):
            stream, silent = await connect(), fault("half-open")
            assert await said_back(stream, b"a") == b"a"
            made.begin(silent)
            answer = asyncio.create_task(said_back(stream, b"b"))
            done, _ = await asyncio.wait({answer}, timeout=0.1)
            assert not done
            made.undo(silent)
            return await answer

    assert asyncio.run(scene()) == b""


def test_faults_of_the_network_say_what_they_did() -> None:
    async def scene() -> tuple[str, Token]:
        async with network() as (made, connect):
            assert await said_back(await connect(), b"a") == b"a"
            return await NetworkFault(fault("loss"), made).begin()

    assert asyncio.run(scene()) == ("1 of 1 connections were reset", {})


@pytest.mark.parametrize(
    ("kind", "more"),
    [("latency", {"delay_s": 0.01}), ("bandwidth", {"bytes_per_s": 1e5}), ("loss", {}), ("half-open", {})],
)
def test_a_fault_was_met_once_a_connection_felt_it(kind: str, more: dict[str, float]) -> None:
    async def felt(stream: Stream, maker: NetworkFault) -> bool:
        answer = asyncio.create_task(said_back(stream, bytes(100)))
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            while not await maker.was_met():
                await asyncio.sleep(0.001)
        await maker.undo({})
        await answer
        return await maker.was_met()

    async def scene() -> tuple[bool, bool]:
        async with network() as (made, connect):
            for _ in range(2):  # the first of a kind must not count for the second
                maker = NetworkFault(fault(kind, **more), made)
                await maker.begin()
                before = await maker.was_met()
                after = await felt(await connect(), maker)
            return before, after

    assert asyncio.run(scene()) == (False, True)


def test_two_faults_that_each_hit_a_share_both_hit_theirs() -> None:
    impairment = Impairment()
    hit = Counter[str]()
    for _ in range(100):
        if impairment.hits("loss", 0.2):
            hit["loss"] += 1
        elif impairment.hits("half-open", 0.2):
            hit["half-open"] += 1
    assert hit == {"loss": 20, "half-open": 16}


@pytest.mark.parametrize("share", [0.001, 0.3, 0.7, 1.0])
def test_the_first_connection_is_hit_and_of_a_thousand_exactly_the_share(share: float) -> None:
    impairment = Impairment()
    hit = [impairment.hits("loss", share) for _ in range(1000)]
    assert hit[0]
    assert sum(hit) == round(1000 * share)
