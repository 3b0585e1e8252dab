"""A target whose latencies are known: each answer is held for a seeded draw, and once it stalls altogether.

`python -m benchmarks.truth.target --seed 1 --stall-at 5 --stall 1.5` prints its port, serves any request until
SIGTERM, and then prints the holds it really kept, in ms, in the order of the requests. Holds are log-normal with
a median of 20 ms and a sigma of 0.4 (99 % under 51 ms). In the stall, from `stall-at` seconds after the first
request, the process sleeps: it reads nothing, answers nothing, and its timers go off when it wakes.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import time

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
MEDIAN_MS = 20.0
SIGMA = 0.4


class Holder:
    """Draws a hold for each request and notes how long it really was."""

    def __init__(self, seed: int, stall_at_s: float, stall_s: float) -> None:
        self.random = random.Random(seed)
        self.stall_at_s = stall_at_s
        self.stall_s = stall_s
        self.held_ms: list[float] = []
        self._first = True
        self._stalled_s = (0.0, 0.0)

    def hold(self, transport: asyncio.Transport) -> None:
        """Answer after a hold."""
        loop = asyncio.get_running_loop()
        if self._first:
            self._first = False
            if self.stall_s:
                loop.call_later(self.stall_at_s, self._stall)
        hold_s = self.random.lognormvariate(0.0, SIGMA) * MEDIAN_MS / 1000
        loop.call_later(hold_s, self._answer, transport, time.monotonic())

    def _answer(self, transport: asyncio.Transport, received_s: float) -> None:
        now_s = time.monotonic()
        began_s, woke_s = self._stalled_s
        if not began_s - 1 < received_s < woke_s:  # what the stall has touched is no hold
            self.held_ms.append((now_s - received_s) * 1000)
        if not transport.is_closing():
            transport.write(ANSWER)

    def _stall(self) -> None:
        began_s = time.monotonic()
        time.sleep(self.stall_s)
        self._stalled_s = (began_s, time.monotonic())


class Connection(asyncio.Protocol):
    """One connection; requests have no body."""

    def __init__(self, holder: Holder) -> None:
        self.holder = holder
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Hold each complete request."""
        *requests, self.received = (self.received + data).split(b"\r\n\r\n")
        for _ in requests:
            self.holder.hold(self.transport)


async def serve(holder: Holder) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(lambda: Connection(holder), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await stop.wait()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stall-at", type=float, default=0.0)
    parser.add_argument("--stall", type=float, default=0.0)
    options = parser.parse_args()
    holder = Holder(options.seed, options.stall_at, options.stall)
    uvloop.run(serve(holder))
    sys.stdout.write(json.dumps(holder.held_ms) + "\n")


if __name__ == "__main__":
    main()
