"""A load of orders on keep-alive connections, from one process: as fast as answers come, or at a given rate.

At a rate, latency counts from the instant an order was meant to be sent, so a stall is felt by every order
that it delays. Each order has a key of its own; products follow a Pareto law, so that some are hot.
"""

import asyncio
import itertools
import os
import random
import time
from collections import deque
from typing import NamedTuple

TICK_S = 0.001
LAST_ANSWERS_S = 30.0
"""How long the last answers are waited for at most."""


class Load(NamedTuple):
    """What to send."""

    port: int
    connections: int
    seconds: float
    rate_per_s: float = 0.0
    """Orders a second; 0 sends the next as soon as an answer is there."""
    sku_no: int = 0
    """The one product everybody wants; 0 spreads the orders over many."""
    key: str = ""
    """The one idempotency key everybody sends; empty gives each order its own."""


class Measured(NamedTuple):
    """What came back."""

    created: int
    refused: int
    seconds: float
    """How long it was offered: longer than asked where connections or the generator's core were short."""
    latencies_s: list[float]
    """Of created orders, sorted."""
    refusal_latencies_s: list[float]

    def quantile_ms(self, quantile: float) -> float:
        """A quantile of the latency of created orders, in milliseconds."""
        return _quantile_ms(self.latencies_s, quantile)

    def refusal_quantile_ms(self, quantile: float) -> float:
        """A quantile of the latency of refusals, in milliseconds."""
        return _quantile_ms(self.refusal_latencies_s, quantile)


def _quantile_ms(latencies_s: list[float], quantile: float) -> float:
    if not latencies_s:
        return 0.0
    return latencies_s[min(len(latencies_s) - 1, int(len(latencies_s) * quantile))] * 1e3


_keys = itertools.count()


def order_request(load: Load, dice: random.Random) -> bytes:
    """One order as it goes over the wire."""
    sku_no = load.sku_no or min(999_999, int(dice.paretovariate(0.9)))
    buyer = 7 if load.key else dice.randrange(1, 1 << 30)
    key = load.key or f"{os.getpid()}-{next(_keys)}"
    body = b'{"buyer_id":%d,"lines":[{"sku":"sku-%06d","quantity":1}]}' % (buyer, sku_no)
    return (
        b"POST /orders HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nX-Load-Test: bench\r\n"
        b"Idempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s"
    ) % (key.encode(), len(body), body)


class _Run:
    def __init__(self, load: Load) -> None:
        self.load = load
        self.dice = random.Random(1)
        self.idle: deque[_Connection] = deque()
        self.ends = time.perf_counter() + load.seconds
        self.created: list[float] = []
        self.refused: list[float] = []
        self.under_way = 0


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._intended = 0.0
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop has its own class
        self._next()

    def _next(self) -> None:
        if self._run.load.rate_per_s:
            self._run.idle.append(self)
        elif time.perf_counter() < self._run.ends:
            self.send(time.perf_counter())

    def send(self, intended: float) -> None:
        self._intended, self._waits = intended, True
        self._run.under_way += 1
        self._transport.write(order_request(self._run.load, self._run.dice))

    def data_received(self, data: bytes) -> None:
        latencies = self._run.created if data.startswith(b"HTTP/1.1 201") else self._run.refused
        latencies.append(time.perf_counter() - self._intended)
        self._answered()
        self._next()

    def connection_lost(self, _: Exception | None) -> None:
        self._answered()

    def _answered(self) -> None:
        self._run.under_way -= self._waits
        self._waits = False


async def measure(load: Load) -> Measured:
    """Send the load and wait for the last answers."""
    run = _Run(load)
    loop = asyncio.get_running_loop()
    transports = [
        (await loop.create_connection(lambda: _Connection(run), "127.0.0.1", load.port))[0]
        for _ in range(load.connections)
    ]
    began = time.perf_counter()
    run.ends = began + load.seconds
    if load.rate_per_s:
        await _pace(run, began)
    offered_s = max(load.seconds, time.perf_counter() - began)
    while time.perf_counter() < run.ends or (
        run.under_way and time.perf_counter() < run.ends + LAST_ANSWERS_S
    ):
        await asyncio.sleep(0.02)
    for transport in transports:
        transport.close()
    return Measured(len(run.created), len(run.refused), offered_s, sorted(run.created), sorted(run.refused))


async def _pace(run: _Run, began: float) -> None:
    interval = 1 / run.load.rate_per_s
    due = began
    while due < run.ends:
        await asyncio.sleep(TICK_S)
        now = time.perf_counter()
        while due <= now and run.idle:
            run.idle.pop().send(due)
            due += interval
