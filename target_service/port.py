"""One port: connections are accepted many in one turn of the event loop, and health is told without waiting for one.

uvloop accepts one connection a turn. With thousands of busy connections a turn takes a second, and the last of those
that wait, health checks too, would wait for minutes. So all are accepted at once, and each is read before it
is given to the loop. A health check that came with its connection is answered there and then, from its raw bytes; a
connection without a request yet is read once more. Requests call `accept_waiting` on their way, which does all that
also in the middle of a long turn, every `LOOK_EVERY_S`.

No more than `most` connections are kept: one above that is told 503 and closed, unless it asks for health.

Draining: connections that wait are accepted, the listening socket is closed, every answer from then on closes its
connection, and connections without a request are given a moment (`IDLE_LINGER_S`) for one that is on its way. What
has begun is finished, or told 503 shortly before the time is over.
"""

import asyncio
import contextlib
import socket
from time import perf_counter

from target_service.connection import Connection
from target_service.routes import Api

AT_ONCE = 256
"""Connections accepted at one look: about 5 ms of work."""
LOOK_EVERY_S = 0.025
"""Each look lets go of the interpreter lock once; health is told within a tenth of a second all the same."""
LONGEST_CHECK_BYTES = 2048
"""What a health check's request takes at most."""
PATIENCE_S = 1.0
"""How long a connection beyond the most may be silent: it may be about to ask for health."""
QUIET_S = 0.1
"""How long to wait where no descriptor is left."""
IDLE_LINGER_S = 0.5
SWEEP_S = 1.0
DRAIN_LOOK_S = 0.02
ANSWER_S = 0.5
"""The part of a drain that is kept for refusing what is left, and for the store's last commit."""


class Port:
    """A listening socket, and the connections that came by it."""

    def __init__(self, listener: socket.socket, api: Api, most: int, idle_s: float) -> None:
        """Keep at most `most` connections, each unused one for `idle_s`; `api` answers them, and those beyond."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._api = api
        self._service = api.service
        self._most = most
        self._idle_s = idle_s
        self._silent: list[tuple[socket.socket, float]] = []
        """Accepted connections that had sent nothing at the last look, and since when."""
        self._next_look = 0.0
        self._will_look = False
        self.connections: set[Connection] = set()
        """Connections that the loop has, or is about to have."""
        self._service.accept_waiting = self.accept_waiting
        listener.setblocking(False)
        self._loop.add_reader(listener.fileno(), self._take)

    async def end_unused(self) -> None:
        """End, now and then, the connections whose clients say nothing, or do not read."""
        while True:
            await asyncio.sleep(min(SWEEP_S, self._idle_s / 2))
            for connection in list(self.connections):
                connection.look(self._loop.time(), self._idle_s)

    async def drain(self, drain_s: float) -> None:
        """Listen no more, finish what has begun, and give up on the rest when the time is over."""
        end_s = self._loop.time() + drain_s - min(ANSWER_S, drain_s / 2)
        idle_until_s = self._loop.time() + IDLE_LINGER_S
        self._service.draining = True
        self.close()
        while self.connections and self._loop.time() < end_s:
            if self._loop.time() >= idle_until_s:
                for connection in list(self.connections):
                    connection.end_if_idle()
            await asyncio.sleep(DRAIN_LOOK_S)
        self._service.has_given_up = True
        for connection in list(self.connections):
            connection.give_up()
        until_s = self._loop.time() + ANSWER_S / 2
        while self.connections and self._loop.time() < until_s:
            await asyncio.sleep(DRAIN_LOOK_S)
        self.cut()  # these do not read

    def accept_waiting(self) -> None:
        """Accept connections that wait, if that is due again; cheap, and meant to be called often."""
        if perf_counter() >= self._next_look:
            self._take()

    def close(self) -> None:
        """Accept connections that wait already, then listen no more."""
        if self._listener.fileno() < 0:
            return
        self._loop.remove_reader(self._listener.fileno())
        while self._accept_some() == AT_ONCE:
            pass
        self._listener.close()
        self._take()

    def cut(self) -> None:
        """Listen no more, and end all connections at once."""
        self.close()
        for connection in list(self.connections):
            connection.abort()

    def _take(self) -> None:
        """Look again at connections that were silent, and accept those that have come since."""
        silent, self._silent = self._silent, []
        for client, since_s in silent:
            self._look_at(client, since_s)
        if self._listener.fileno() >= 0:
            self._accept_some()
        self._next_look = perf_counter() + LOOK_EVERY_S
        if self._silent and not self._will_look:
            self._will_look = True
            is_calm = not self._is_full() and not self._service.crowd.is_busy()
            self._loop.call_later(0 if is_calm else LOOK_EVERY_S, self._look_again)

    def _look_again(self) -> None:
        self._will_look = False
        self._take()

    def _accept_some(self) -> int:
        """Accept at most `AT_ONCE`; how many it were."""
        for taken in range(AT_ONCE):
            try:
                client, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return taken
            except OSError:  # no descriptor or no memory is left: wait for some, without spinning
                self._loop.remove_reader(self._listener.fileno())
                self._loop.call_later(QUIET_S, self._listen_again)
                return taken
            client.setblocking(False)
            self._look_at(client)
        return AT_ONCE

    def _listen_again(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener.fileno(), self._take)

    def _look_at(self, client: socket.socket, silent_since_s: float | None = None) -> None:
        """Answer a connection that needs no protocol, or give it to the loop. One that has sent nothing at the first
        look gets another; one too many, a few."""
        now_s = perf_counter()
        answer: bytes | None = b""
        try:
            asked = client.recv(LONGEST_CHECK_BYTES, socket.MSG_PEEK)
            answer = self._api.answer_to_first(asked) if asked else b""
        except BlockingIOError:
            answer = None
            since_s = silent_since_s or now_s
            may_wait = self._is_full() and now_s - since_s < PATIENCE_S and self._listener.fileno() >= 0
            if silent_since_s is None or may_wait:
                self._silent.append((client, since_s))
                return
        except OSError:  # it is gone
            pass
        if answer is None and self._is_full():
            answer = self._api.one_too_many()
        if answer is not None:
            self._answer_and_close(client, answer)
            return
        connection = Connection(self._api, self.connections.discard)
        self.connections.add(connection)
        task = self._loop.create_task(self._connect(client, connection))
        _connecting.add(task)
        task.add_done_callback(_connecting.discard)

    def _is_full(self) -> bool:
        return len(self.connections) >= self._most

    async def _connect(self, client: socket.socket, connection: Connection) -> None:
        self.accept_waiting()
        try:
            await self._loop.connect_accepted_socket(lambda: connection, client)
        except OSError:
            self.connections.discard(connection)
            client.close()

    @staticmethod
    def _answer_and_close(client: socket.socket, answer: bytes) -> None:
        with contextlib.suppress(OSError), client:
            if answer:
                with contextlib.suppress(BlockingIOError):
                    client.recv(LONGEST_CHECK_BYTES)  # what is left unread would turn the end into a reset
                client.send(answer)
                client.shutdown(socket.SHUT_WR)


_connecting: set[asyncio.Task[None]] = set()
