"""A target whose latencies are known: each answer is held for a seeded draw, and once it stalls altogether.

`python -m benchmarks.truth.target --holds holds.json --seed 1 --stall-at 5 --stall 1.5` prints its port, serves
any request until SIGTERM, and then writes the holds it really kept to the file, in ms, in the order of the
requests. Holds are log-normal with a median of 20 ms and a sigma of 0.4 (99 % under 51 ms). In the stall, from
`stall-at` seconds after the first request, nobody is answered: as behind a lock, everybody waits for its end and
then for his hold.

The process itself does not sleep in the stall but goes on to read. One that slept had a queue to digest when it
woke, 20 to 80 ms of it here, the longer the more connections there were to accept; every generator measures that,
rightly, but it is in no truth that can be worked out beforehand.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
MEDIAN_MS = 20.0
SIGMA = 0.4


class Holder:
    """Draws a hold for each request, keeps it, and notes how long it really was."""

    def __init__(self, seed: int, stall_at_s: float, stall_s: float) -> None:
        self.random = random.Random(seed)
        self.stall_at_s = stall_at_s
        self.stall_s = stall_s
        self.held_ms: list[float] = []
        self._stall: tuple[float, float] | None = None
        """When it begins and ends; known once the first request is there."""

    def hold(self, transport: asyncio.Transport) -> None:
        """Answer after a hold, and not in the stall."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        if self._stall is None:
            begin_s = now_s + self.stall_at_s
            self._stall = (begin_s, begin_s + self.stall_s)
        begin_s, end_s = self._stall
        due_s = now_s + self.random.lognormvariate(0.0, SIGMA) * MEDIAN_MS / 1000
        if begin_s <= now_s < end_s:
            loop.call_at(due_s - now_s + end_s, self._answer, transport)
        elif now_s < begin_s < due_s:
            loop.call_at(max(due_s, end_s), self._answer, transport)
        else:  # what the stall has touched is no hold
            loop.call_at(due_s, self._answer_and_note, transport, time.monotonic())

    def _answer_and_note(self, transport: asyncio.Transport, received_s: float) -> None:
        self.held_ms.append((time.monotonic() - received_s) * 1000)
        self._answer(transport)

    def _answer(self, transport: asyncio.Transport) -> None:
        if not transport.is_closing():
            transport.write(ANSWER)


class Connection(asyncio.Protocol):
    """One connection; requests have no body."""

    def __init__(self, holder: Holder) -> None:
        self.holder = holder
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

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
    parser.add_argument("--holds", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stall-at", type=float, default=0.0)
    parser.add_argument("--stall", type=float, default=0.0)
    options = parser.parse_args()
    holder = Holder(options.seed, options.stall_at, options.stall)
    uvloop.run(serve(holder))
    options.holds.write_text(json.dumps(holder.held_ms))


if __name__ == "__main__":
    main()
