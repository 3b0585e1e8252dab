"""One connection; a change on it may be refused from its raw bytes (`api.door`), before it is parsed.

For that it must know for certain where a request begins. It does as long as each one came whole and alone,
after the answer to the one before; a connection that ever did otherwise (two pieces, a pipeline) is the parser's
alone from then on. aiohttp does not see what is answered at the door and would in the end take a connection for
idle, so that from time to time it is shown one.

It also knows whether a request has begun, which a drain must finish, and whether an answer is being read.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any, cast

from aiohttp import web

from target_service.api.door import HEALTH, Door, whole_request
from target_service.problem import Kind
from target_service.protocol import ProblemProtocol

_FOREIGN = re.compile(rb" (?:RTSP|ICE)/[0-9]\.[0-9]\r?\n")


class Connection(ProblemProtocol):
    """The server's side of one connection; refuses at the door what the door will not let in."""

    __slots__ = (
        "_begun",
        "_door",
        "_door_until_s",
        "_ended",
        "_held",
        "_is_answered",
        "_is_counted",
        "_is_plain",
        "_line_end",
        "_unread",
        "_wire",
    )

    def __init__(
        self,
        server: web.Server,
        refused: Callable[[Kind], None],
        door: Door,
        ended: Callable[[], None] = lambda: None,
        **settings: Any,
    ) -> None:
        """`door` is shared by all connections; `ended` hears of the end; the rest as for `ProblemProtocol`."""
        super().__init__(server, refused, **settings)
        self._door = door
        self._ended = ended
        self._is_plain = True
        """Whether every request so far came whole and alone."""
        self._is_answered = True
        self._line_end = b""
        """The last bytes of a connection that is the parser's."""
        self._held = b""
        """A refusal that waits to be said."""
        self._is_counted = False
        self._begun = False
        """Whether bytes of a request have come that has no answer yet."""
        self._wire: asyncio.Transport | None = None
        """Its transport until the very end; aiohttp lets go of it when it begins to close."""
        self._unread = (0, 0.0)
        """Bytes of answers not taken yet, and since when it is that many."""
        self._note_use()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._door.look()
        self._wire = cast("asyncio.Transport", transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone."""
        self._door.look()
        if self._wire is not None:
            self._wire = None
            self._count(is_waiting=False)
            self._ended()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come: something that may be answered at once, or something for the parser."""
        if data:
            self._door.look()
            if self._held:
                self._say_held()
            if self._is_plain:
                request = whole_request(data) if self._is_answered else None
                if request is not None and self._door.is_watched() and self._turns_away(request):
                    return
                self._is_plain = request is not None
                self._is_answered = False
                self._count(is_waiting=self._is_plain)
            self._begun = True
            if not self._is_plain and self._is_foreign(data):
                return
        super().data_received(data)

    def _is_foreign(self, data: bytes) -> bool:
        """Whether a request line names another protocol, which llhttp would read as HTTP; the end, then."""
        seen = self._line_end + data
        self._line_end = seen[-len(b" RTSP/1.0\r") :]
        if _FOREIGN.search(seen) is None or self.transport is None:
            return False
        self.transport.write(self._door.foreign())
        self.force_close()
        return True

    def _count(self, *, is_waiting: bool) -> None:
        """Count a request that came whole among those that wait, or no longer."""
        if is_waiting != self._is_counted:
            self._is_counted = is_waiting
            if is_waiting:
                self._door.crowd.joined()
            else:
                self._door.crowd.left()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; the next request may come."""
        self._count(is_waiting=False)
        self._door.look()
        sent = await super().finish_response(request, resp, start_time)
        self._is_answered = bool(resp.keep_alive)
        self._begun = bool(self._messages)
        self._note_use()
        return sent

    def end_if_idle(self) -> None:
        """Close the connection unless a request has begun."""
        if not self._begun and not self._held:
            self.force_close()

    def give_up(self) -> None:
        """There is no more time: have a request that is being answered told so, or one that is still arriving."""
        if self._current_request is not None and self._current_request.task is not None:
            self._current_request.task.cancel()
        elif self.transport is not None:
            self.transport.write(self._door.farewell())
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

    def _turns_away(self, request: "re.Match[bytes]") -> bool:
        transport = self.transport
        if transport is None or transport.is_closing() or self.writing_paused:
            return False
        if asyncio.get_running_loop().time() > self._door_until_s:
            return False
        answer = self._door.answer_to(request)
        if answer is None:
            return False
        if request["target"] not in HEALTH and not self._door.may_refuse_now():
            self._held = answer
            self._door.hold(self._say_held)
        else:
            transport.write(answer)
        return True

    def _say_held(self) -> None:
        """Say the refusal that had to wait, unless that has been done, or nobody is there any more."""
        answer, self._held = self._held, b""
        if answer and self._wire is not None and not self._wire.is_closing():
            self._wire.write(answer)

    def _note_use(self) -> None:
        self._door_until_s = asyncio.get_running_loop().time() + self.keepalive_timeout / 2
