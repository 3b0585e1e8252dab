"""One connection: a plain request on it takes the fast path (`api.fast_path`), all others are aiohttp's.

For that it must know for certain where a request begins. It does as long as each one came whole and alone,
after the answer to the one before; a connection that ever did otherwise (two pieces, a pipeline) is the parser's
alone from then on.

It also knows whether a request has begun, which a drain must finish, and whether an answer is being read. A client
that ends its side after a whole request still gets the answer.
"""

import asyncio
import re
import socket
from collections.abc import Callable
from typing import Any, cast

from aiohttp import EMPTY_PAYLOAD, StreamReader, web

from target_service.api.fast_path import HEALTH, FastPath, whole_request
from target_service.api.frame import Frame, Incoming
from target_service.problem import Kind
from target_service.protocol import ProblemProtocol

RESET_COMES_S = 0.02
"""How long after the client's end its connection is checked for a reset. A client that hangs up buys nothing, unless
its order has begun."""
_FOREIGN = re.compile(rb" (?:RTSP|ICE)/[0-9]\.[0-9]\r?\n")


class Connection(ProblemProtocol):
    """The server's side of one connection."""

    __slots__ = (
        "_begun",
        "_fast_path",
        "_has_ended",
        "_held_back",
        "_is_answered",
        "_is_counted",
        "_is_plain",
        "_last_body",
        "_later",
        "_line_end",
        "_on_end",
        "_task",
        "_unread",
        "_wire",
    )

    def __init__(
        self,
        server: web.Server,
        refused: Callable[[Kind], None],
        fast_path: FastPath,
        on_end: Callable[[], None] = lambda: None,
        **settings: Any,
    ) -> None:
        """`fast_path` is shared by all connections; `on_end` hears of the end; the rest as for `ProblemProtocol`."""
        super().__init__(server, refused, **settings)
        self._fast_path = fast_path
        self._on_end = on_end
        self._is_plain = True
        """Whether every request so far came whole and alone."""
        self._is_answered = True
        self._task: asyncio.Task[None] | None = None
        """A request on the fast path that is being answered."""
        self._later = b""
        """What came before its answer."""
        self._line_end = b""
        """The last bytes of a connection that is the parser's."""
        self._held_back = b""
        """A refusal that waits to be sent."""
        self._is_counted = False
        self._begun = False
        """Whether bytes of a request have come that has no answer yet."""
        self._last_body: StreamReader = EMPTY_PAYLOAD
        """The body of the newest request that the parser has seen."""
        self._has_ended = False
        """Whether the client sends no more."""
        self._wire: asyncio.Transport | None = None
        """Its transport until the very end; aiohttp lets go of it when it begins to close."""
        self._unread = (0, 0.0)
        """Bytes of answers not taken yet, and since when it is that many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._fast_path.accept_waiting()
        self._wire = cast("asyncio.Transport", transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone."""
        self._fast_path.accept_waiting()
        if self._task is not None:
            self._task.cancel()
        if self._wire is not None:
            self._wire = None
            self._count(is_waiting=False)
            self._on_end()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # aiohttp's never keeps the connection
        """The client sends no more, but may wait for the answer to a whole request; a drill's may take for ever."""
        self._has_ended = True
        if self._task is not None and self.transport is not None:
            # A client that waits ignores it (RFC 9110, section 15.2); the system of one that is gone answers with a
            # reset.
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._loop.call_later(RESET_COMES_S, self._end_if_reset)
        is_whole = self._task is not None or self._last_body.is_eof()
        return self._begun and is_whole and not self._fast_path.has_faults

    def _end_if_reset(self) -> None:
        wire = self._wire
        if wire is not None and wire.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes have come: a request that takes the fast path, or something for the parser."""
        if data:
            self._fast_path.accept_waiting()
            if self._held_back:
                self._send_held_back()
            if self._task is not None:
                self._keep_for_later(data)
                return
            if self._is_plain:
                request = whole_request(data) if self._is_answered else None
                if request is not None and self._takes_fast_path(request):
                    return
                self._is_plain = request is not None
                self._is_answered = False
                self._count(is_waiting=self._is_plain)
            self._begun = True
            if not self._is_plain and self._is_foreign(data):
                return
        super().data_received(data)
        if self._messages:
            self._last_body = self._messages[-1][1]

    def _keep_for_later(self, data: bytes) -> None:
        self._later += data
        if self._wire is not None:
            self._wire.pause_reading()

    def _is_foreign(self, data: bytes) -> bool:
        """Whether a request line names another protocol, which llhttp would read as HTTP; the end, then."""
        seen = self._line_end + data
        self._line_end = seen[-len(b" RTSP/1.0\r") :]
        if _FOREIGN.search(seen) is None or self.transport is None:
            return False
        self.transport.write(self._fast_path.foreign())
        self.force_close()
        return True

    def _count(self, *, is_waiting: bool) -> None:
        """Count a request that came whole among those that wait, or no longer."""
        if is_waiting != self._is_counted:
            self._is_counted = is_waiting
            if is_waiting:
                self._fast_path.crowd.joined()
            else:
                self._fast_path.crowd.left()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer of aiohttp's; the next request may come."""
        self._count(is_waiting=False)
        self._fast_path.accept_waiting()
        if self._has_ended and not self._messages:
            resp.force_close()
        sent = await super().finish_response(request, resp, start_time)
        self._is_answered = bool(resp.keep_alive)
        self._begun = bool(self._messages)
        return sent

    def end_if_idle(self) -> None:
        """Close the connection unless a request has begun."""
        if not self._begun and not self._held_back:
            self.force_close()

    def give_up(self) -> None:
        """There is no more time: have a request that is being answered told so, or one that is still arriving."""
        if self._task is not None:
            self._task.cancel()
        elif self._current_request is not None and self._current_request.task is not None:
            self._current_request.task.cancel()
        elif self.transport is not None:
            self.transport.write(self._fast_path.farewell())
            self.force_close()

    def abort(self) -> None:
        """End the connection, whatever is still to be sent."""
        if self._wire is not None:
            self._wire.abort()

    def end_if_unread(self, now_s: float, longest_s: float) -> None:
        """Abort the connection if its client has taken nothing of an answer for so long."""
        size = self._wire.get_write_buffer_size() if self._wire is not None else 0
        if size != self._unread[0]:
            self._unread = (size, now_s)
        elif size and now_s - self._unread[1] >= longest_s:
            self.abort()

    def _takes_fast_path(self, request: "re.Match[bytes]") -> bool:
        transport = self.transport
        if transport is None or transport.is_closing() or self.writing_paused:
            return False
        answer = self._fast_path.answer_to(request)
        if answer is None:
            return False
        self._note_use()
        if isinstance(answer, bytes):
            self._send(answer, is_refusal=request["target"] not in HEALTH)
        else:
            self._begun = True
            self._count(is_waiting=True)
            self._task = self._loop.create_task(self._answer(*answer))
        return True

    def _send(self, answer: bytes, *, is_refusal: bool) -> None:
        if is_refusal and not self._fast_path.may_refuse_now():
            self._held_back = answer
            self._fast_path.hold_back(self._send_held_back)
        elif self.transport is not None:
            self.transport.write(answer)

    async def _answer(self, frame: Frame, incoming: Incoming) -> None:
        """Answer a request on the fast path, then take up what came meanwhile."""
        try:
            response = await frame.answer(incoming)
        finally:
            self._task = None
            self._begun = False
            self._count(is_waiting=False)
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self._fast_path.accept_waiting()
        self._note_use()
        is_last = incoming.closes or (self._has_ended and not self._later)
        closes = is_last or response.closes or self._fast_path.is_draining
        transport.write(response.to_bytes(closes=closes))
        if closes:
            self.force_close()
        elif self._later:
            self._take_up_later()

    def _take_up_later(self) -> None:
        data, self._later = self._later, b""
        if self._wire is not None and not self._wire.is_closing():
            self._wire.resume_reading()
            self.data_received(data)

    def _send_held_back(self) -> None:
        """Send the refusal that had to wait, unless that has been done, or the client is gone."""
        answer, self._held_back = self._held_back, b""
        if answer and self._wire is not None and not self._wire.is_closing():
            self._wire.write(answer)

    def _note_use(self) -> None:
        """Count the time to be idle from now: aiohttp does not see what takes the fast path."""
        self._next_keepalive_close_time = self._loop.time() + self.keepalive_timeout

    def _process_keepalive(self) -> None:
        if self._task is not None:
            self._note_use()
        super()._process_keepalive()
