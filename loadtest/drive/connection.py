"""One connection: a plain non-blocking socket and one libev watcher that stays.

The socket is the system's, not gevent's, and epoll hears of it when it opens and when it closes, never in
between. What the watcher calls changes instead. While a request waits, that is the waiting greenlet's
`switch`, so the event loop resumes the script with nothing in between; while the connection is idle, it is
`_heard_while_idle`, which closes a connection that the server has closed before any request can trip over
it.

Deadlines are watched in bulk (`deadlines`), so a request costs one `send`, one `recv` and its share of one
`epoll_wait`.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import gevent
from greenlet import getcurrent, greenlet

from loadtest.drive.deadlines import NEVER_NS, Deadlines
from loadtest.drive.dialing import Dialing
from loadtest.drive.errors import ConnectTimeoutError, ReadTimeoutError
from loadtest.drive.http1 import DEFAULT_LIMITS, Limits, ResponseReader
from loadtest.drive.targets import Address

_READ, _WRITE = 1, 2  # libev's EV_READ and EV_WRITE
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


class Connection:
    """A TCP connection, used by one request at a time."""

    __slots__ = (
        "_deadlines",
        "_first_timeout_ns",
        "_hear_while_idle",
        "_hub_switch",
        "_loop",
        "_now_ns",
        "_read_timeout_ns",
        "_recv",
        "_send",
        "_sock",
        "_timeout_error",
        "_total_timeout_ns",
        "_waiter",
        "_watcher",
        "closed",
        "deadline_ns",
        "found_dead",
        "on_lost",
        "paused",
        "reader",
        "reused",
        "sent_ns",
    )

    def __init__(
        self, settings: ConnectionSettings, deadlines: Deadlines, on_lost: Callable[["Connection"], None]
    ) -> None:
        hub = gevent.get_hub()
        self._loop = hub.loop
        # Without gevent's wrapper, which looks for a `switch_out` hook that nobody here has.
        self._hub_switch = greenlet.switch.__get__(hub)
        self._deadlines = deadlines
        self._now_ns = settings.now_ns
        self._read_timeout_ns = int(settings.read_timeout_s * 1e9)
        self._total_timeout_ns = int(min(settings.total_timeout_s * 1e9, NEVER_NS))
        self._first_timeout_ns = min(self._read_timeout_ns, self._total_timeout_ns)
        self._hear_while_idle = self._heard_while_idle  # bound once, not once a request
        self._sock: Any = None
        self._waiter: Any = None
        self._watcher: Any = None
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

    def open(self, addresses: Iterable[Address], timeout_ns: int) -> None:
        """Connect to one of `addresses`. Raises `ConnectTimeoutError` or another `OSError`."""
        self._waiter = waiter = getcurrent()
        self.deadline_ns = self._now_ns() + timeout_ns
        self._deadlines.add(self, min(timeout_ns, self._first_timeout_ns) / 1e9)
        try:
            self._sock = Dialing(self._loop, waiter.switch, self._hub_switch).connect(addresses)
            self._watcher = self._loop.io(self._sock.fileno(), _READ)
            self._watcher.start(waiter.switch)
            self._begin()
        except BaseException:
            self.close()
            raise
        self._timeout_error = ReadTimeoutError
        self._rest()

    def _begin(self) -> None:
        """Say what sends and receives from now on."""
        self._recv: Callable[[int], bytes] = self._sock.recv
        self._send: Callable[[bytes | memoryview], int] = self._sock.send

    def exchange(self, request: bytes, head_only: bool = False, until_head: bool = False) -> None:
        """Send `request` and read until `reader` has the response, or with `until_head` at least its head.

        Raises an `OSError`, of which `errors` has those of its own; the connection is then closed.
        """
        reader = self.reader
        reader.begin(head_only)
        self._waiter = waiter = getcurrent()
        self._watcher.callback = waiter.switch
        self.sent_ns = sent_ns = self._now_ns()
        self.deadline_ns = sent_ns + self._first_timeout_ns
        try:
            try:
                sent_bytes = self._send(request)
            except OSError:
                sent_bytes = 0
            if sent_bytes == len(request) or self._send_rest(request, sent_bytes):
                self._hub_switch()
                while not self._receive(reader):
                    if until_head and reader.head_complete:
                        self._pause()
                        return
                    self._extend_deadline()
                    self._hub_switch()
        except BaseException as error:
            self.found_dead = self.reused and not reader.raw and isinstance(error, ConnectionError)
            self.close()
            raise
        self.deadline_ns = NEVER_NS
        self._waiter = None
        self._watcher.callback = self._hear_while_idle
        self.reused = True

    def read_more(self) -> bytes:
        """The next piece of a body after `exchange(..., until_head=True)`; b"" at its end. May raise, too."""
        reader = self.reader
        piece = reader.take_body()
        if piece or not self.paused:
            return piece
        self._waiter = getcurrent()
        self._watcher.start(self._waiter.switch)
        try:
            while not piece and not reader.complete:
                self._extend_deadline()
                self._hub_switch()
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
        give_up_ns = self.sent_ns + self._total_timeout_ns
        self.deadline_ns = min(self._now_ns() + self._read_timeout_ns, give_up_ns)

    def _receive(self, reader: ResponseReader) -> bool:
        """Feed what has arrived to the reader. True when the response is complete."""
        try:
            data = self._recv(_RECV_BYTES)
        except BlockingIOError:
            return False
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
                self._hub_switch()
                try:
                    rest = rest[self._send(rest) :]
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
        writable = self._loop.io(self._sock.fileno(), _WRITE)
        writable.start(self._waiter.switch)
        return writable

    def _rest(self) -> None:
        """Nobody waits any more: what is heard now is unasked for."""
        self.paused = False
        self.deadline_ns = NEVER_NS
        self._waiter = None
        self._watcher.start(self._hear_while_idle)

    def _pause(self) -> None:
        """Nobody waits, but what is heard is meant for somebody: leave it in the socket."""
        self.deadline_ns = NEVER_NS
        self._waiter = None
        self._watcher.stop()
        self.paused = True

    def _heard_while_idle(self) -> None:
        """The server closed the connection, or sent what nobody asked for: neither can be used again."""
        try:
            self._recv(1)
        except BlockingIOError:
            return
        except OSError:
            pass
        self.close()
        self.on_lost(self)

    def expire(self) -> None:
        """End the wait that outlasted its deadline. Called by `Deadlines`, in the hub."""
        self.deadline_ns = NEVER_NS
        if self._waiter is not None:
            self._waiter.throw(self._timeout_error("timed out"))

    def close(self) -> None:
        """Close the connection, whatever its state. Closing twice is harmless."""
        if self.closed:
            return
        self.closed = True
        self.paused = False
        self.deadline_ns = NEVER_NS
        self._waiter = None
        self._deadlines.discard(self)
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if self._sock is not None:
            self._sock.close()
        self.reader.close()
        del self._hear_while_idle  # a reference to itself
