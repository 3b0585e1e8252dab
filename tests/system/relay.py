"""A link that can be cut and healed: connections to one port are passed on to another, or held back meanwhile."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

BLOCK_BYTES = 1 << 16


class Relay:
    """Passes connections on from `port` to another of this machine."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._serve(),), daemon=True
        )
        self._started = threading.Event()
        self._thread.start()
        assert self._started.wait(10)

    def cut(self) -> None:
        """Hold everything back, both ways, as a broken cable does: nobody is told."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def heal(self) -> None:
        """Pass on what was held back, and what comes."""
        self._loop.call_soon_threadsafe(self._whole.set)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self) -> None:
        self._whole, self._over, self._tasks = asyncio.Event(), asyncio.Event(), set[asyncio.Task[None]]()
        self._whole.set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._over.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.close()
            return
        for source, sink in ((reader, there[1]), (there[0], writer)):
            task = asyncio.ensure_future(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(sink):
            while data := await source.read(BLOCK_BYTES):
                await self._whole.wait()
                sink.write(data)
                await sink.drain()


@contextlib.contextmanager
def relay(to_port: int) -> Iterator[Relay]:
    """A link to a port of this machine."""
    link = Relay(to_port)
    try:
        yield link
    finally:
        link.close()
