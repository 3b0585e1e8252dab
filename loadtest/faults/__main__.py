"""The process that plays a run's faults; started by the run's leader (`loadtest.plugin.fault_play`) and nobody else.

It reads from its standard input until that ends, and then undoes whatever still goes on: at Ctrl-C, at an abort, and
when its leader dies without a word. A signal to end does the same.
"""

import asyncio
import signal
import sys

import msgspec
import uvloop

from loadtest.faults.messages import Order
from loadtest.faults.player import Player


def main() -> None:
    """Play what the first line of standard input asks for."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # of the terminal: the leader decides in which order things end
    uvloop.run(_play())


async def _play() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    line = await reader.readline()
    if not line:
        return
    player = Player(msgspec.json.decode(line, type=Order), _say)
    listening = asyncio.ensure_future(player.listen(reader))
    loop.add_signal_handler(signal.SIGTERM, listening.cancel)
    try:
        await listening
    except asyncio.CancelledError:
        pass
    finally:
        await player.close()


def _say(message: msgspec.Struct) -> None:
    try:
        sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
        sys.stdout.buffer.flush()
    except OSError:
        pass  # the leader is gone; what is going on has to be undone all the same


if __name__ == "__main__":
    main()
