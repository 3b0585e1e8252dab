"""The entry of a worker process: `python -m target_service.worker`, which only the supervisor starts.

The configuration comes as one line of JSON on standard input, drills as further ones (so that no password
shows in a process list), the listening socket and the metrics' memory as inherited descriptors. On standard
output it says `ready` once. It dies with its supervisor, whatever kills that.
"""

import argparse
import asyncio
import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys

import msgspec
import uvloop

from target_service.app import Server
from target_service.config import Config
from target_service.faults import Drill
from target_service.metrics import SharedMetrics, WorkerMetrics
from target_service.secrets import log_masked, secrets_of
from target_service.store.base import StoreOpenError, StoreUnavailableError

EXIT_TEMPORARY = 75
EXIT_USAGE = 2
SWITCH_INTERVAL_S = 0.0005
"""How long the event loop may keep the interpreter lock from the store's thread (5 ms by default: as long as
several commits)."""
GARBAGE = (50_000, 3, 1000)
"""New objects before garbage is looked for among them, and how often before it is among older ones; (700, 10, 10) by
default. Thousands of requests under way are no garbage, but fewer objects than this: a crowded worker spent a quarter
of its time looking through them with the default, a tenth with 10,000."""

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; at once if that has happened already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def main() -> int:
    """Serve until SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(prog="target_service.worker")
    for name in ("--parent", "--slot", "--listen-fd", "--metrics-fd"):
        parser.add_argument(name, type=int, required=True)
    arguments = parser.parse_args()
    die_with_parent(arguments.parent)
    config = msgspec.json.decode(_first_line(), type=Config)
    formatter = log_masked(secrets_of(config.store, config.admin_token), logging.WARNING)
    block = SharedMetrics(arguments.metrics_fd, config.workers).blocks[arguments.slot]
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    listener = socket.socket(fileno=arguments.listen_fd)
    try:
        uvloop.run(_serve(Server(config, WorkerMetrics(block), arguments.slot), listener))
    except StoreOpenError as error:
        sys.stderr.write(formatter.mask(f"target_service: error: argument --store: {error}\n"))
        return EXIT_USAGE
    except StoreUnavailableError as error:
        sys.stderr.write(formatter.mask(f"target_service: {error}\n"))
        return EXIT_TEMPORARY
    return 0


def _first_line() -> bytes:
    """The configuration's line, read without taking more from the pipe than that."""
    line = bytearray()
    while not line.endswith(b"\n"):
        line += os.read(sys.stdin.fileno(), 1) or b"\n"
    return bytes(line)


async def _serve(server: Server, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, server.stop)
    _obeying = await _obey(server)
    await server.start(listener)
    # What is there by now lives as long as the process: keep it out of every collection.
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.run()
    # The loop would give the signal back its default, and another one would spoil a clean end.
    loop.remove_signal_handler(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


async def _obey(server: Server) -> asyncio.Task[None]:
    """Set the drills that come as further lines on standard input; keep the task, or it is collected."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def read() -> None:
        while line := await lines.readline():
            server.set_drill(msgspec.json.decode(line, type=Drill))

    return asyncio.create_task(read())


if __name__ == "__main__":
    sys.exit(main())
