"""One connection to either port: requests are read, and answered one after another.

aiohttp's own request, response and router would cost an order more than its store does, so only its parser and its
streams are used here: `routes.Api` says at once what becomes of a request, and an answer goes over the wire in one
piece. A request that came whole and alone in the plainest form of HTTP is read without the parser, at half the cost;
a connection that ever did otherwise (two pieces, a pipeline) is the parser's alone from then on. What has begun is
known here, which a drain must finish, and whether an answer is being read.
"""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import EMPTY_PAYLOAD, HttpVersion10, StreamReader, hdrs
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError

from target_service.api.body import Incoming, length_of
from target_service.problem import ProblemError
from target_service.protocol import (
    CONTINUE,
    END_OF_HEAD,
    LONGEST_FOREIGN,
    MAX_BODY_BYTES,
    MOST_IN_VAIN,
    Head,
    MalformedBodyError,
    end_of_head,
    is_foreign,
    malformed,
    new_parser,
    plain_request,
    reason_of,
)
from target_service.response import ApiResponse
from target_service.routes import Api

if TYPE_CHECKING:
    from aiohttp.http_parser import HttpParser

LINGER_S = 1.0
"""How long the rest of what is refused is read, so that the refusal is not lost to a reset."""
RESET_COMES_S = 0.02
"""How long after the client's end its connection is checked for a reset. A client that hangs up buys nothing, unless
its order has begun."""

Body = bytes | StreamReader


class Connection(BaseProtocol):
    """The server's side of one connection."""

    def __init__(self, api: Api, on_end: "Callable[[Connection], None]" = lambda _: None) -> None:
        """`api` answers what comes on all connections; `on_end` hears of the end."""
        loop = asyncio.get_running_loop()
        super().__init__(loop)
        self._parser = new_parser(self)
        self._api = api
        self._service = api.service
        self._on_end = on_end
        self._messages: deque[tuple[Head, Body] | ProblemError] = deque()
        """Requests that wait for their turn; an error, where bytes came that are none, is the last."""
        self._payload: StreamReader = EMPTY_PAYLOAD
        """The body of the newest request."""
        self._task: asyncio.Task[None] | None = None
        """A request that is being answered."""
        self._is_telling = False
        """Whether an answer in parts has begun and not ended."""
        self._is_plain = True
        """Whether each request so far came whole and alone, so that the parser has seen nothing."""
        self._is_midway = False
        """Whether the newest bytes are the beginning of a head."""
        self._line_end = b""
        """The last bytes that came."""
        self._held_back = b""
        """A refusal that waits to be sent."""
        self._is_counted = False
        self._has_ended = False
        """Whether the client sends no more."""
        self._is_deaf = False
        """Whether what comes is no request any more: it was malformed, or the last answer has been given."""
        self._is_held = False
        """Whether nothing is read while requests wait."""
        self._used_s = loop.time()
        """When it was last of use: made, or answered."""
        self._unread = (0, 0.0)
        """Bytes of answers not taken yet, and since when it is that many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._service.accept_waiting()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone, and with it the caller of a request that is being answered."""
        self._service.accept_waiting()
        if self._task is not None:
            self._task.cancel()
        self._count(is_waiting=False)
        self._messages.clear()
        # They know this connection: leave no circle to collect.
        self._parser, self._payload = None, EMPTY_PAYLOAD
        super().connection_lost(exc)
        self._on_end(self)

    def eof_received(self) -> bool:
        """The client sends no more, but may wait for the answer to a whole request; a drill's may take for ever."""
        self._has_ended = True
        self._send_held_back()
        if self._task is not None and not self._is_telling:
            # A client that waits ignores it (RFC 9110, section 15.2); the system of one that is gone answers with a
            # reset.
            self.say(CONTINUE)
            self._loop.call_later(RESET_COMES_S, self._end_if_reset)
        is_asking = self._task is not None or bool(self._messages)
        return is_asking and self._payload.is_eof() and not self._service.faults.await_requests

    def _end_if_reset(self) -> None:
        transport = self.transport
        if transport is not None and transport.get_extra_info("socket").getsockopt(
            socket.SOL_SOCKET, socket.SO_ERROR
        ):
            self.abort()

    def resume_writing(self) -> None:
        """The client has read what was sent: go on sending."""
        super().resume_writing()
        self._answer_waiting()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """A body has been read: the parser may go on if it had to wait for that."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """Bytes have come: heads, bodies, or parts of them; none, where the parser is to go on."""
        self._service.accept_waiting()
        self._send_held_back()
        if self._is_deaf or self._parser is None:
            return
        if self._is_plain and self._task is None and not self._paused:
            request = plain_request(data)
            if request is not None:
                self._take(*request)
                return
        self._is_plain = False
        try:
            self._feed(data, self._parser)
        except HttpProcessingError as error:
            self._fail(reason_of(error.message))
        self._answer_waiting()

    def _feed(self, data: bytes, parser: "HttpParser[Any]") -> None:
        """Have the parser read these bytes, up to the end of one head at a time, or what looks like one.

        It forgets the requests before an error in the same piece. So they are answered, and the error last. Where
        several pieces brought no request, in a body that looks like heads, the rest is one piece.
        """
        at, in_vain = 0, 0
        while not self._is_deaf:
            end = end_of_head(data, at) if in_vain < MOST_IN_VAIN else len(data)
            piece, at = data[at:end], end
            if self._is_foreign(piece):
                raise BadHttpMessage("expected HTTP/1.1 or HTTP/1.0")
            body = self._payload
            of_body = -1 if body.is_eof() else body.total_bytes
            messages, self._is_deaf, _ = parser.feed_data(piece)
            for message, self._payload in messages:
                self._messages.append((_head_of(message), self._payload))
            if of_body >= 0:
                of_body = body.total_bytes - of_body if body.is_eof() else len(piece)
            # What a body in chunks has besides its bytes ends as a head does, and so the piece with it.
            is_more = len(piece) > max(of_body, 0) and not piece.endswith(END_OF_HEAD)
            self._is_midway = is_more and not messages
            in_vain = 0 if messages else in_vain + 1
            if at == len(data):
                break

    @property
    def _has_begun(self) -> bool:
        """Whether bytes of a request have come that has no answer yet."""
        return self._is_midway or self._task is not None or bool(self._messages)

    def _is_foreign(self, data: bytes) -> bool:
        seen = self._line_end + data if self._has_begun else data
        self._line_end = seen[-LONGEST_FOREIGN:]
        return is_foreign(seen)

    def _fail(self, reason: str) -> None:
        """Refuse bytes that are neither a request nor its body."""
        self._is_deaf = True
        if self._payload.is_eof() or (self._task is None and not self._messages):
            self._messages.append(malformed(f"the request is malformed: {reason}"))
        else:
            self._payload.set_exception(MalformedBodyError(reason))

    def _answer_waiting(self) -> None:
        """Answer requests in turn, until one takes its time, or the client does not read."""
        while self._messages and self._task is None and not self._paused and not self._held_back:
            message = self._messages.popleft()
            if isinstance(message, ProblemError):
                self._write(self._api.refuse(message))
            else:
                self._take(*message)
        if self._is_held != bool(self._messages) and self.transport is not None:
            self._is_held = not self._is_held
            (self.transport.pause_reading if self._is_held else self.transport.resume_reading)()

    def _take(self, head: Head, body: Body) -> None:
        answer = self._api.take(Incoming(head, body, self))
        if isinstance(answer, ApiResponse):
            self._write(answer, head, body)
        else:
            self._count(is_waiting=isinstance(body, bytes) or body.is_eof())
            self._task = self._loop.create_task(self._answer(answer, head, body))

    async def _answer(self, work: Callable[[], Awaitable[ApiResponse]], head: Head, body: Body) -> None:
        """Answer one request that takes its time, then those that came meanwhile."""
        try:
            response = await work()
            self._service.accept_waiting()  # a commit has answers for thousands at once
            if response.parts is not None and head.version == HttpVersion10:
                whole = b"".join([part async for part in response.parts])
                response = response._replace(body=whole, parts=None)
            closes = self._write(response, head, body)
            if response.parts is not None:
                await self._send_parts(response.parts)
                if closes or self._is_last:
                    self._close()
        except BaseException:
            self.abort()
            raise
        finally:
            self._task = None
            self._count(is_waiting=False)
        if self.transport is not None:
            self._answer_waiting()

    async def _send_parts(self, parts: AsyncGenerator[bytes, None]) -> None:
        self._is_telling = True
        async with contextlib.aclosing(parts):
            async for part in parts:
                if part:  # an empty chunk is the end
                    self.say(b"%x\r\n%b\r\n" % (len(part), part))
                    await self._drain_helper()
        self.say(b"0\r\n\r\n")
        self._is_telling = False

    @property
    def _is_last(self) -> bool:
        """Whether nothing is left to answer, nor will be."""
        return (self._has_ended or self._is_deaf) and not self._messages

    def _write(
        self,
        response: ApiResponse,
        head: Head | None = None,
        body: Body = b"",
    ) -> bool:
        """Give the answer to the request with this head, or to what is none; of one in parts, the head.

        Whether it is the connection's last: then that is closed, but of an answer in parts these come before.
        """
        closes = (
            response.closes
            or self._service.draining
            or head is None
            or head.closes
            or self._is_last
            or not _comes_to_an_end(head, body)
        )
        goes_on = "keep-alive" if head is not None and head.version == HttpVersion10 else ""
        said = response.to_bytes("close" if closes else goes_on, to="" if head is None else head.method)
        self._used_s = self._loop.time()
        if response is self._api.refusal and not closes and not self._api.pace.may_tell():
            self._held_back = said
            self._api.pace.hold_back(self._send_held_back)
            return False
        self.say(said)
        if closes and response.parts is None:
            self._close()
        return closes

    def say(self, said: bytes) -> None:
        """Send these bytes, unless the client is gone."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(said)

    def _send_held_back(self) -> None:
        """Send the refusal that had to wait, unless that has been done."""
        if self._held_back:
            said, self._held_back = self._held_back, b""
            self.say(said)
            self._answer_waiting()

    def _close(self) -> None:
        """End the connection once all is sent. Where the client has more to say, that is read for a moment."""
        lingers = self._is_deaf or not self._payload.is_eof() or bool(self._messages)
        self._is_deaf = True
        self._messages.clear()
        if self.transport is None or self.transport.is_closing():
            return
        if lingers and not self._has_ended:
            self.transport.write_eof()
            self.transport.resume_reading()
            self._loop.call_later(LINGER_S, self.transport.close)
        else:
            self.transport.close()

    def _count(self, *, is_waiting: bool) -> None:
        """Count a request that came whole as waiting, or as waiting no longer."""
        if is_waiting != self._is_counted:
            self._is_counted = is_waiting
            if is_waiting:
                self._service.crowd.joined()
            else:
                self._service.crowd.left()

    def end_if_idle(self) -> None:
        """Close the connection unless a request has begun."""
        if not self._has_begun and not self._held_back and self.transport is not None:
            self.transport.close()

    def give_up(self) -> None:
        """The time to stop is over: end a request that is under way or still arriving with an answer that says so."""
        if self._task is not None:
            self._task.cancel()
        elif not self._is_deaf:
            self._write(self._api.farewell)

    def abort(self) -> None:
        """End the connection, whatever is still to be sent."""
        if self.transport is not None:
            self.transport.abort()

    def look(self, now_s: float, longest_s: float) -> None:
        """End the connection if it was idle, a head has been coming, or an answer was not read, for so long."""
        if self.transport is None:
            return
        size = self.transport.get_write_buffer_size()
        if size != self._unread[0]:
            self._unread = (size, now_s)
        elif size and now_s - self._unread[1] >= longest_s:
            self.abort()
        elif not size and self._task is None and now_s - self._used_s >= longest_s:
            self.transport.close()


def _head_of(message: RawRequestMessage) -> Head:
    closes = message.should_close or message.upgrade or message.method == "CONNECT"
    url = message.url
    return Head(message.method, url.path, url.query, message.headers, message.version, closes)


def _comes_to_an_end(head: Head, body: Body) -> bool:
    """Whether the next request may follow: the rest of the body will come, and is not too much to wait for."""
    if isinstance(body, bytes) or body.is_eof():
        return True
    return hdrs.EXPECT not in head.headers and 0 < (length_of(head.headers) or 0) <= MAX_BODY_BYTES
