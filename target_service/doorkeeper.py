"""One connection with a keeper at its door: a change may be refused from its raw bytes (`api.door`), unparsed.

For that the keeper must know for certain where a request begins. It does as long as each one came whole and alone,
after the answer to the one before; a connection that ever did otherwise (two pieces, a pipeline) is the parser's
alone from then on. aiohttp does not see what is answered at the door and would in the end take a connection for
idle, so that from time to time it is shown one.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

from target_service.api.door import Door, whole_request
from target_service.problem import Kind
from target_service.protocol import ProblemProtocol


class Doorkeeper(ProblemProtocol):
    """The server's side of one connection; refuses at the door what the door will not let in."""

    __slots__ = ("_door", "_door_until_s", "_is_answered", "_is_plain")

    def __init__(
        self, server: web.Server, refused: Callable[[Kind], None], door: Door, **settings: Any
    ) -> None:
        """`door` is shared by all connections; the rest as for `ProblemProtocol`."""
        super().__init__(server, refused, **settings)
        self._door = door
        self._is_plain = True
        """Whether every request so far came whole and alone."""
        self._is_answered = True
        self._note_use()

    def data_received(self, data: bytes) -> None:
        """Bytes have come: a change that may be refused at once, or something for the parser."""
        if data and self._is_plain:
            request = whole_request(data) if self._is_answered else None
            if request is not None and self._door.is_shut() and self._turns_away(request):
                return
            self._is_plain = request is not None
            self._is_answered = False
        super().data_received(data)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; the next request may come."""
        sent = await super().finish_response(request, resp, start_time)
        self._is_answered = bool(resp.keep_alive)
        self._note_use()
        return sent

    def _turns_away(self, request: "re.Match[bytes]") -> bool:
        transport = self.transport
        if transport is None or transport.is_closing() or self.writing_paused:
            return False
        if asyncio.get_running_loop().time() > self._door_until_s:
            return False
        refusal = self._door.refusal_of(request)
        if refusal is None:
            return False
        transport.write(refusal)
        return True

    def _note_use(self) -> None:
        self._door_until_s = asyncio.get_running_loop().time() + self.keepalive_timeout / 2
