"""New connections: all of them a turn, health told before they are the loop's, and no more kept than may be."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import cast

import pytest

from target_service import port
from target_service.port import Port
from target_service.routes import Api
from target_service.shedding import Crowd

BACKLOG = 512


class Answers:
    """Answers `health`, and refuses."""

    def __init__(self) -> None:
        self.service = SimpleNamespace(crowd=Crowd())

    def answer_to_first(self, data: bytes) -> bytes | None:
        """`well`, if health is asked for."""
        return b"well" if data == b"health" else None

    def one_too_many(self) -> bytes:
        """A refusal."""
        return b"full"


class Echo(asyncio.Protocol):
    """Says what it hears."""

    def __init__(self, *_: object) -> None:
        pass

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)
        self.transport.close()


def play(
    scene: Callable[[Port, Callable[[bytes], socket.socket]], Awaitable[None]], most: int = 1000
) -> None:
    """Play a scene with an reached, and a way to connect and say something, without the loop having turned."""

    async def act() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
            reached = Port(listener, cast("Api", Answers()), most, 75.0)
            address = listener.getsockname()

            def connect(said: bytes) -> socket.socket:
                client = socket.create_connection(address, timeout=60)
                client.sendall(said)
                return client

            async with asyncio.timeout(60):
                await scene(reached, connect)
            reached.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(port, "Connection", Echo)
        asyncio.run(act())


async def heard(client: socket.socket) -> bytes:
    with client:
        return await asyncio.to_thread(client.recv, 100)


def test_health_is_told_in_the_midst_of_a_turn() -> None:
    async def scene(reached: Port, connect: Callable[[bytes], socket.socket]) -> None:
        with connect(b"health") as client:
            reached.accept_waiting()  # the loop has not turned since
            assert client.recv(100) == b"well"
            assert client.recv(100) == b""

    play(scene)


def test_whoever_waits_is_accepted_and_served_by_the_loop() -> None:
    async def scene(reached: Port, connect: Callable[[bytes], socket.socket]) -> None:
        clients = [connect(b"%d" % number) for number in range(300)]
        assert [await heard(client) for client in clients] == [b"%d" % number for number in range(300)]
        assert len(reached.connections) == 300  # nobody has said that they ended

    play(scene)


def test_one_too_many_is_refused_unless_it_asks_for_health(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "PATIENCE_S", 60.0)

    async def scene(reached: Port, connect: Callable[[bytes], socket.socket]) -> None:
        with connect(b"") as first, connect(b"") as second:
            while len(reached.connections) < 2:
                await asyncio.sleep(0.001)
            assert await heard(connect(b"x")) == b"full"
            assert await heard(connect(b"health")) == b"well"
            with connect(b"") as slow:
                await asyncio.sleep(0.05)  # the loop looks at it more than once
                slow.sendall(b"health")
                assert await heard(slow) == b"well"
            monkeypatch.setattr(port, "PATIENCE_S", 0.1)
            assert await heard(connect(b"")) == b"full"
            assert (first.fileno(), second.fileno()) != (-1, -1)

    play(scene, most=2)


def test_who_waits_when_it_closes_is_accepted_still() -> None:
    async def scene(reached: Port, connect: Callable[[bytes], socket.socket]) -> None:
        clients = [connect(b"%d" % number) for number in range(100)]
        reached.close()
        assert [await heard(client) for client in clients] == [b"%d" % number for number in range(100)]

    play(scene)
