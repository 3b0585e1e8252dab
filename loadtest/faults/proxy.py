"""A TCP proxy between generator and service, that hands bytes on as they come, or as a broken network would.

One for each address that is loaded. It is there from before the first request, so that what changes with a fault is
the fault alone. What it does to bytes is `Impairment`, which all proxies of a run share:

    latency     every chunk to the service waits so long; the order of chunks stays
    bandwidth   all chunks of a direction, of every connection, leave one after the other at this rate
    loss        a share of the connections, those that stand and those that come, is reset
    half-open   a share of the connections stays open and nothing passes any more, as behind a cable that was pulled;
                when it ends they are reset, as by a peer that has forgotten them
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import cast

MOST_BUFFERED_BYTES = 1 << 20


@dataclass(slots=True)
class Impairment:
    """What the network does to bytes now; all 0 is nothing."""

    latency_s: float = 0.0
    bytes_per_s: float = 0.0
    loss: float = 0.0
    half_open: float = 0.0
    links: set["Link"] = field(default_factory=set)
    met: Counter[str] = field(default_factory=Counter)
    """How many chunks or connections each kind of fault has hit, by its name in a plan."""
    _came: Counter[str] = field(default_factory=Counter)
    _free_s: dict[bool, float] = field(default_factory=lambda: {True: 0.0, False: 0.0})

    def hits(self, kind: str, share: float) -> bool:
        """Whether a fault hits the next connection: the first, and a share of all, evenly spread.

        Each kind counts for itself: of two with one count, the one could take all that the other should hit.
        """
        before = self._came[kind]
        self._came[kind] += 1
        is_hit = ceil(round((before + 1) * share, 9)) > ceil(round(before * share, 9))
        self.met[kind] += is_hit
        return is_hit

    def leaves_s(self, now_s: float, size: int, *, to_service: bool) -> float:
        """When a chunk that came now leaves."""
        leaves_s = now_s
        if self.bytes_per_s:
            leaves_s = max(now_s, self._free_s[to_service]) + size / self.bytes_per_s
            self.met["bandwidth"] += 1
            self._free_s[to_service] = leaves_s
        if self.latency_s and to_service:
            self.met["latency"] += 1
            leaves_s += self.latency_s
        return leaves_s

    def reset_share(self, share: float) -> int:
        """Reset a share of the connections; how many."""
        hit = [link for link in self.links if self.hits("loss", share)]
        for link in hit:
            link.abort()
        return len(hit)

    def silence_share(self, share: float) -> int:
        """Let nothing pass any more on a share of the connections; how many."""
        hit = [link for link in self.links if self.hits("half-open", share)]
        for link in hit:
            link.silent = True
        return len(hit)

    def reset_silent(self) -> None:
        """Reset the connections on which nothing passed."""
        for link in [link for link in self.links if link.silent]:
            link.abort()


class Link:
    """One connection of the generator, and ours to the service."""

    def __init__(self, impairment: Impairment) -> None:
        self.impairment = impairment
        self.silent = False
        self.sides: list[Side] = []
        impairment.links.add(self)

    def abort(self) -> None:
        """Reset both."""
        self.impairment.links.discard(self)
        for side in self.sides:
            side.abort()


class Side(asyncio.Protocol):
    """One of a link's two connections: hands what it receives to the other."""

    def __init__(self, link: Link, *, to_service: bool) -> None:
        self._link = link
        self._to_service = to_service
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, bytes]] = deque()
        """(when it leaves, what) of what this side received; an empty chunk is the end."""
        self._last_s = 0.0
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        self.when_made: Callable[[], None] | None = None
        """Called as soon as it is connected: nobody can reset it before."""
        link.sides.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=MOST_BUFFERED_BYTES)
        if self.when_made is not None:
            self.when_made()

    def data_received(self, data: bytes) -> None:
        if not self._link.silent:
            self._carry(data)

    def eof_received(self) -> bool:
        if not self._link.silent:
            self._carry(b"")
        return True

    def connection_lost(self, _error: Exception | None) -> None:
        self._link.impairment.links.discard(self._link)
        if self.other is not None and not self._waiting:
            self.other.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def abort(self) -> None:
        """Reset it: what waits is lost."""
        self._waiting.clear()
        if self.transport is not None:
            self.transport.abort()

    def close(self) -> None:
        """Close it when all that is to be written has been."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    def hand_on(self) -> None:
        """Hand on what has waited long enough; what came before there was another side, too."""
        while self._waiting and self._waiting[0][0] <= self._loop.time() and self._is_open():
            self._write(self._waiting.popleft()[1])
        if self._waiting and self._is_open():
            self._loop.call_at(self._waiting[0][0], self.hand_on)

    def _carry(self, data: bytes) -> None:
        now_s = self._loop.time()
        impairment = self._link.impairment
        leaves_s = impairment.leaves_s(now_s, len(data), to_service=self._to_service)
        self._last_s = leaves_s = max(leaves_s, self._last_s)
        if leaves_s <= now_s and not self._waiting and self._is_open():
            self._write(data)
            return
        self._waiting.append((leaves_s, data))
        if len(self._waiting) == 1:
            self.hand_on()

    def _is_open(self) -> bool:
        return self.other is not None and self.other.transport is not None

    def _write(self, data: bytes) -> None:
        transport = self.other.transport if self.other is not None else None
        if transport is None or transport.is_closing():
            return
        if data:
            transport.write(data)
        else:
            transport.close()


async def start_proxy(host: str, port: int, impairment: Impairment) -> asyncio.Server:
    """Listen on a free port of loopback for connections to `host` and `port`."""
    connecting: set[asyncio.Task[None]] = set()

    def accepted() -> Side:
        link = Link(impairment)
        side = Side(link, to_service=True)

        def connect() -> None:
            task = asyncio.get_running_loop().create_task(_connect(link, side, host, port))
            connecting.add(task)
            task.add_done_callback(connecting.discard)

        side.when_made = connect
        return side

    return await asyncio.get_running_loop().create_server(accepted, "127.0.0.1", 0, backlog=4096)


async def _connect(link: Link, side: Side, host: str, port: int) -> None:
    """Decide what becomes of a new connection, and connect it on to the service."""
    impairment = link.impairment
    if impairment.loss and impairment.hits("loss", impairment.loss):
        link.abort()
        return
    if impairment.half_open and impairment.hits("half-open", impairment.half_open):
        link.silent = True
        return
    loop = asyncio.get_running_loop()
    try:
        _, other = await loop.create_connection(lambda: Side(link, to_service=False), host, port)
    except OSError:
        link.abort()
        return
    side.other, other.other = other, side
    side.hand_on()
    other.hand_on()
