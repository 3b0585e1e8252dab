"""A target that does what it is told and keeps its own books: when each request came, and how it was treated.

Run as a program: it prints its port, a line at the first request, and on SIGTERM what it saw, as JSON. Instants are
CLOCK_MONOTONIC, which all processes of a machine share. Any request is answered 200, but for the faults asked
for, drawn in the order of arrival: `--error` and `--reset` are shares of the requests answered 503 and with a
TCP reset. `--stall-at 5 --stall 2` does nothing at all for two seconds, five seconds after the first request.
"""

import argparse
import asyncio
import json
import random
import signal
import socket
import struct
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def say(line: str) -> None:
    """Tell the parent."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Script:
    """What to do with each request, and what was done."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.random = random.Random(options.seed)
        self.received_ns: list[int] = []
        self.answered = self.refused = self.reset = 0

    def note_request(self) -> None:
        self.received_ns.append(time.monotonic_ns())
        if len(self.received_ns) > 1:
            return
        say("first request")
        if self.options.stall:
            asyncio.get_running_loop().call_later(self.options.stall_at, time.sleep, self.options.stall)

    def summary(self) -> str:
        return json.dumps(
            {
                "received_ns": self.received_ns,
                "answered": self.answered,
                "refused": self.refused,
                "reset": self.reset,
            }
        )


class Connection(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self._end_of_request()) is not None:
            self.received = self.received[end:]
            self.script.note_request()
            delay_s = self.script.options.delay_ms / 1000
            if delay_s:
                asyncio.get_running_loop().call_later(delay_s, self._answer)
            else:
                self._answer()

    def _end_of_request(self) -> int | None:
        head, found, _ = self.received.partition(b"\r\n\r\n")
        if not found:
            return None
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        end = len(head) + 4 + length
        return end if len(self.received) >= end else None

    def _answer(self) -> None:
        if self.transport.is_closing():
            return
        script = self.script
        drawn = script.random.random()
        if drawn < script.options.error:
            script.refused += 1
            self.transport.write(REFUSAL)
        elif drawn < script.options.error + script.options.reset:
            script.reset += 1
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            script.answered += 1
            self.transport.write(ANSWER)


async def serve(script: Script) -> None:
    """Serve until SIGTERM."""
    options = script.options
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(lambda: Connection(script), options.host, options.port, backlog=1024)
    say(str(server.sockets[0].getsockname()[1]))
    await stop.wait()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser()
    for flag in ("--delay-ms", "--stall-at", "--stall", "--error", "--reset"):
        parser.add_argument(flag, type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    script = Script(parser.parse_args())
    asyncio.run(serve(script))
    say(script.summary())


if __name__ == "__main__":
    main()
