"""One connection: a plain non-blocking socket, and the exchanges on it.

The socket is the system's, not gevent's, and epoll hears of it when it opens and when it closes, never in
between (`_core.Line`). What arrives resumes the greenlet that waits with nothing in between; while the connection
is idle, `heard` closes one that the server has closed before any request can trip over it.

The native core does the exchange of a plain request by itself; whatever is not plain comes here, also from its
middle (`go_on`).

Deadlines are watched in bulk (`deadlines`), so a request costs one `send`, one `recv` and its share of one
`epoll_wait`.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import gevent
from greenlet import getcurrent

from loadtest.drive._core import Line
from loadtest.drive.deadlines import NEVER_NS, Deadlines
from loadtest.drive.dialing import Dialing
from loadtest.drive.errors import ConnectTimeoutError, ReadTimeoutError
from loadtest.drive.http1 import DEFAULT_LIMITS, Limits, ResponseReader
from loadtest.drive.targets import Address

_WRITE_EVENT = 2  # libev's EV_WRITE
_RECV_BYTES = 64 * 1024


class ConnectionSettings(NamedTuple):
    """What all connections of a session have in common."""

    connect_timeout_s: float
    """The longest that connecting may take, TLS included."""
    read_timeout_s: float
    """The longest wait for the next byte, received or sent."""
    total_timeout_s: float
    """The longest time from the first byte sent to the last byte received."""
    now_ns: Callable[[], int]
    limits: Limits = DEFAULT_LIMITS


class Connection(Line):
    """A TCP connection, used by one request at a time."""

    __slots__ = ("_deadlines", "_now_ns", "_sock", "_timeout_error", "on_lost", "reader", "tls_ns")

    def __init__(
        self, settings: ConnectionSettings, deadlines: Deadlines, on_lost: Callable[["Connection"], None]
    ) -> None:
        super().__init__()
        self._deadlines = deadlines
        self._now_ns = settings.now_ns
        self._sock: Any = None
        read_timeout_ns = int(settings.read_timeout_s * 1e9)
        self.time_out_after(read_timeout_ns, int(min(settings.total_timeout_s * 1e9, NEVER_NS)))
        self._timeout_error: type[TimeoutError] = ConnectTimeoutError
        self.on_lost = on_lost
        """Called with this connection when the server ends it while it is idle."""
        self.reader = ResponseReader(settings.limits)
        self.deadline_ns = NEVER_NS
        self.closed = False
        self.reused = False
        """Whether a response has been received on it before."""
        self.paused = False
        """Whether a streamed body is waiting to be read with `read_more`."""
        self.found_dead = False
        """Whether the server had closed it, kept alive here, when the last request came."""
        self.sent_ns = 0
        """The instant just before the first byte of the latest request was sent; 0 if none was."""
        self.first_ns = 0
        """The instant at which the first byte of its response was read, if more came later; else 0."""
        self.tls_ns = 0
        """How long the TLS handshake took."""
        self.opening: tuple[int, int] | None = None
        """How long connecting and the TLS handshake took, until the request that waited for them takes it."""

    def open(self, addresses: Iterable[Address], timeout_ns: int) -> None:
        """Connect to one of `addresses`. Raises `ConnectTimeoutError` or another `OSError`."""
        self.waiter = getcurrent()
        began_ns = self._now_ns()
        self.deadline_ns = began_ns + timeout_ns
        self._deadlines.add(self, min(timeout_ns, self.first_timeout_ns) / 1e9)
        try:
            dialing = Dialing(gevent.get_hub().loop, getcurrent().switch, self.wait)
            self._sock = dialing.connect(addresses)
            self.listen(self._sock.fileno())
            self._begin()
        except BaseException:
            self.close()
            raise
        self.opening = (self._now_ns() - began_ns - self.tls_ns, self.tls_ns)
        self._timeout_error = ReadTimeoutError
        self._rest()

    def _begin(self) -> None:
        """Say what sends and receives from now on."""
        self.speak_with(self._sock.send, self._sock.recv, None)

    def exchange(self, request: bytes, head_only: bool = False, until_head: bool = False) -> None:
        """Send `request` and read until `reader` has the response, or with `until_head` at least its head.

        Raises an `OSError`, of which `errors` has those of its own; the connection is then closed.
        """
        reader = self.reader
        reader.begin(head_only)
        self.waiter = getcurrent()
        self.first_ns = 0
        self.sent_ns = sent_ns = self._now_ns()
        self.deadline_ns = sent_ns + self.first_timeout_ns
        try:
            try:
                sent_bytes = self.send(request)
            except OSError:
                sent_bytes = 0
            if sent_bytes == len(request) or self._send_rest(request, sent_bytes):
                self.wait()
                if not self._receive(reader):
                    self._receive_rest(until_head)
        except BaseException as error:
            self._fail(error)
            raise
        if not self.paused:
            self.deadline_ns = NEVER_NS
            self.waiter = None
            self.reused = True

    def go_on(self, request: bytes, raised: BaseException | None) -> None:
        """Finish an exchange that the core began and could not: its answer is not plain, or something was raised."""
        reader = self.reader
        reader.begin()
        try:
            if raised is not None:
                raise raised
            sent_bytes, received, end = self.begun()
            self.waiter = getcurrent()
            complete = bool(received) and self._take(reader, received)
            if complete:
                self.first_ns = 0
            if not complete and isinstance(end, EOFError):
                complete = self._take(reader, b"")
            elif not complete and end is not None:
                raise end
            if not complete and (sent_bytes == len(request) or self._send_rest(request, sent_bytes)):
                complete = self._receive(reader) or self._receive_rest(until_head=False)
        except BaseException as error:
            self._fail(error)
            raise
        self.deadline_ns = NEVER_NS
        self.waiter = None
        self.reused = True

    def _receive_rest(self, until_head: bool) -> bool:
        """Wait and receive until the response is complete, or with `until_head` pause once its head is."""
        reader = self.reader
        complete = False
        while not complete:
            if not self.first_ns and reader.raw:
                self.first_ns = self._now_ns()
            if until_head and reader.head_complete:
                self._pause()
                break
            self._extend_deadline()
            self.wait()
            complete = self._receive(reader)
        return complete

    def _fail(self, error: BaseException) -> None:
        """Close after an exchange that ended in an error."""
        self.found_dead = self.reused and not self.reader.raw and isinstance(error, ConnectionError)
        self.close()

    def read_more(self) -> bytes:
        """The next piece of a body after `exchange(..., until_head=True)`; b"" at its end. May raise, too."""
        reader = self.reader
        piece = reader.take_body()
        if piece or not self.paused:
            return piece
        self.waiter = getcurrent()
        self.unmute()
        try:
            while not piece and not reader.complete:
                self._extend_deadline()
                self.wait()
                self._receive(reader)
                piece = reader.take_body()
        except BaseException:
            self.close()
            raise
        if reader.complete:
            self._rest()
            self.reused = True
        else:
            self._pause()
        return piece

    def _extend_deadline(self) -> None:
        """Something moved: wait again for as long as the read timeout says, within the total timeout."""
        give_up_ns = self.sent_ns + self.total_timeout_ns
        self.deadline_ns = min(self._now_ns() + self.read_timeout_ns, give_up_ns)

    def _receive(self, reader: ResponseReader) -> bool:
        """Feed what has arrived to the reader. True when the response is complete."""
        try:
            data = self.recv(_RECV_BYTES)
        except BlockingIOError:
            return False
        if data:  # `_take`, without the call
            return reader.feed(data)
        reader.feed_eof()
        return True

    def _take(self, reader: ResponseReader, data: bytes) -> bool:
        """Feed `data`, which is b"" at the end, to the reader. True when the response is complete."""
        if data:
            return reader.feed(data)
        reader.feed_eof()
        return True

    def _send_rest(self, request: bytes, sent_bytes: int) -> bool:
        """Send what the socket would not take at once. False if the whole response came before that was done.

        A server may answer early (413, say) and even reset the connection after it, so what it sends is read
        meanwhile, and a failure to send is left for reading to report, which may yet find a response.
        """
        rest = memoryview(request)[sent_bytes:]
        writable = self._watch_writable()
        try:
            while rest:
                self.wait()
                try:
                    rest = rest[self.send(rest) :]
                except BlockingIOError:
                    pass
                except OSError:
                    return True
                if rest and self._receive(self.reader):
                    self.reader.keep_alive = False
                    return False
                self._extend_deadline()
        finally:
            writable.close()
        return True

    def _watch_writable(self) -> Any:
        """A started watcher that resumes the waiter; `close` it."""
        writable = gevent.get_hub().loop.io(self._sock.fileno(), _WRITE_EVENT)
        writable.start(self.waiter.switch)
        return writable

    def _rest(self) -> None:
        """Nobody waits any more: what is heard now is unasked for."""
        self.paused = False
        self.deadline_ns = NEVER_NS
        self.waiter = None

    def _pause(self) -> None:
        """Nobody waits, but what is heard is meant for somebody: leave it in the socket."""
        self.deadline_ns = NEVER_NS
        self.mute()
        self.paused = True

    def heard(self) -> None:
        """The server closed the connection, or sent what nobody asked for: neither can be used again."""
        try:
            self.recv(1)
        except BlockingIOError:
            return
        except OSError:
            pass
        self.close()
        self.on_lost(self)

    def expire(self) -> None:
        """End the wait that outlasted its deadline. Called by `Deadlines`, in the hub."""
        self.deadline_ns = NEVER_NS
        if self.waiter is not None:
            self.waiter.throw(self._timeout_error("timed out"))

    def close(self) -> None:
        """Close the connection, whatever its state. Closing twice is harmless."""
        if self.closed:
            return
        self.closed = True
        self.paused = False
        self.deadline_ns = NEVER_NS
        self.fall_silent()
        self._deadlines.discard(self)
        if self._sock is not None:
            self._sock.close()
        self.reader.close()
