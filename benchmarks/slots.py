"""A target whose capacity is fixed by its design: so many slots, each busy for a fixed time with every request.

    python -m benchmarks.slots [--slots 8] [--ms 40] [--waiting 100000]

It does slots / time at most, whatever the machine has to spare, since a slot's work is waiting; what takes CPU is
reading requests and answering them, so give it a small rate. A request takes the slot that is free first, and is
answered when its time there is over; when `--waiting` wait already, it is refused at once with a 503. A slot that
has work is busy from the instant at which it should have been free, so late timers cost no capacity.

Prints `ready http://127.0.0.1:PORT` when it answers. Any method and path will do: it stands where an order service
stood before.
"""

import argparse
import asyncio
from heapq import heapreplace
from typing import cast

import httptools
import uvloop

BODY = b'{"order_id": "0000000000000001", "status": "created"}'


def answer(status: str, body: bytes = BODY) -> bytes:
    """A response that keeps the connection."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


CREATED, REFUSED = answer("201 Created"), answer("503 Service Unavailable", b"{}")


class Slots:
    """When each slot is free, and how many wait for one."""

    def __init__(self, slots: int, service_s: float, most_waiting: int) -> None:
        self._free_s = [0.0] * slots
        self._service_s, self._room = service_s, slots + most_waiting
        self._under_way = 0

    def take(self, now_s: float) -> float | None:
        """When a request that comes now is done; None where it is refused."""
        if self._under_way >= self._room:
            return None
        self._under_way += 1
        done_s = max(self._free_s[0], now_s) + self._service_s
        heapreplace(self._free_s, done_s)
        return done_s

    def left(self) -> None:
        """A request has been answered."""
        self._under_way -= 1


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by birth

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """A request came whole."""
        done_s = self._slots.take(self._loop.time())
        if done_s is None:
            self._transport.write(REFUSED)
        else:
            self._loop.call_at(done_s, self._done)

    def _done(self) -> None:
        self._slots.left()
        if not self._transport.is_closing():
            self._transport.write(CREATED)


async def serve(slots: Slots) -> None:
    """Answer until the process ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(slots), "127.0.0.1", 0, backlog=4096)
    print(f"ready http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--ms", type=float, default=40.0)
    parser.add_argument("--waiting", type=int, default=100_000)
    asked = parser.parse_args()
    uvloop.run(serve(Slots(asked.slots, asked.ms / 1000, asked.waiting)))


if __name__ == "__main__":
    main()
