"""Connections, and the pool a session keeps them in.

A `Connection` is a plain non-blocking socket (not gevent's) and one libev watcher that is started once and
stays: epoll hears of the socket when it opens and when it closes, never in between. What the watcher calls
changes instead. While a request waits, that is the waiting greenlet's `switch`, so the event loop resumes
the script with nothing in between; while the connection is idle, it is `_heard_while_idle`, which closes a
connection the server has closed before any request can trip over it.

Deadlines are watched in bulk (`deadlines`), so a request costs one `send`, one `recv` and its share of one
`epoll_wait`.
"""

import errno
import os
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

import gevent
from gevent.event import Event
from gevent.monkey import get_original
from greenlet import getcurrent

from loadtest.drive.deadlines import NEVER_NS, Deadlines, deadlines_of_hub
from loadtest.drive.errors import ConnectTimeoutError, ReadTimeoutError
from loadtest.drive.http1 import DEFAULT_LIMITS, Limits, ResponseReader
from loadtest.drive.targets import Address, allowed_targets

_READ, _WRITE = 1, 2  # libev's EV_READ and EV_WRITE
_RECV_BYTES = 64 * 1024
_plain_socket: Callable[..., socket.socket] = get_original("socket", "socket")


class PoolSettings(NamedTuple):
    """What all connections of a pool have in common."""

    connect_timeout_s: float
    read_timeout_s: float
    """The longest wait for the next byte, received or sent."""
    now_ns: Callable[[], int]
    size: int = 10
    """Requests beyond this many at a time wait for a connection."""
    limits: Limits = DEFAULT_LIMITS


class Connection:
    """One TCP connection, used by one request at a time."""

    __slots__ = (
        "_deadlines",
        "_hub_switch",
        "_loop",
        "_now_ns",
        "_read_timeout_ns",
        "_recv",
        "_send",
        "_sock",
        "_timeout_error",
        "_waiter",
        "_watcher",
        "closed",
        "deadline_ns",
        "found_dead",
        "on_lost",
        "reader",
        "reused",
        "sent_ns",
    )

    def __init__(
        self, settings: PoolSettings, deadlines: Deadlines, on_lost: Callable[["Connection"], None]
    ) -> None:
        hub = gevent.get_hub()
        self._loop = hub.loop
        self._hub_switch = hub.switch
        self._deadlines = deadlines
        self._now_ns = settings.now_ns
        self._read_timeout_ns = int(settings.read_timeout_s * 1e9)
        self._waiter: Any = None
        self.closed = False
        self._timeout_error: type[TimeoutError] = ConnectTimeoutError
        self.deadline_ns = NEVER_NS
        self.on_lost = on_lost
        """Called with this connection when the server ends it while it is idle."""
        self.reader = ResponseReader(settings.limits)
        self.reused = False
        """Whether a response has been received on it before."""
        self.found_dead = False
        """Whether the server had closed it, kept alive here, when the last request came."""
        self.sent_ns = 0
        """The instant just before the first byte of the latest request was sent; 0 if none was."""

    def open(self, address: Address, timeout_ns: int) -> None:
        """Connect to `address`. Raises `ConnectTimeoutError` or another `OSError`."""
        sock = self._sock = _plain_socket(address.family, socket.SOCK_STREAM)
        self._watcher: Any = None
        self._deadlines.add(self, min(timeout_ns, self._read_timeout_ns) / 1e9)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex(address.sockaddr)
            if code == errno.EINPROGRESS:
                self._await_writable(timeout_ns)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            self._begin_to_listen()
        except BaseException:
            self.close()
            raise

    def _begin_to_listen(self) -> None:
        sock = self._sock
        self._recv, self._send = sock.recv, sock.send
        self._timeout_error = ReadTimeoutError
        self._watcher = self._loop.io(sock.fileno(), _READ)
        self._watcher.start(self._heard_while_idle)

    def exchange(self, request: bytes, head_only: bool = False) -> None:
        """Send `request` and read until `reader` holds the complete response.

        Raises an `OSError`, of which `errors` has those of its own; the connection is then closed.
        """
        reader = self.reader
        reader.begin(head_only)
        waiter = self._waiter = getcurrent()
        self._watcher.callback = waiter.switch
        self.sent_ns = sent_ns = self._now_ns()
        self.deadline_ns = sent_ns + self._read_timeout_ns
        try:
            try:
                sent_bytes = self._send(request)
            except OSError:
                sent_bytes = 0
            if sent_bytes == len(request) or self._send_rest(request, sent_bytes):
                self._hub_switch()
                while not self._receive(reader):
                    self.deadline_ns = self._now_ns() + self._read_timeout_ns
                    self._hub_switch()
        except BaseException as error:
            self.found_dead = self.reused and not reader.raw and isinstance(error, ConnectionError)
            self.close()
            raise
        self.deadline_ns = NEVER_NS
        self._watcher.callback = self._heard_while_idle
        self._waiter = None
        self.reused = True

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
        writable = self._loop.io(self._sock.fileno(), _WRITE)
        writable.start(self._waiter.switch)
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
                self.deadline_ns = self._now_ns() + self._read_timeout_ns
        finally:
            writable.stop()
            writable.close()
        return True

    def _await_writable(self, timeout_ns: int) -> None:
        self._waiter = getcurrent()
        self.deadline_ns = self._now_ns() + timeout_ns
        writable = self._loop.io(self._sock.fileno(), _WRITE)
        writable.start(self._waiter.switch)
        try:
            self._hub_switch()
        finally:
            self._waiter = None
            self.deadline_ns = NEVER_NS
            writable.stop()
            writable.close()

    def expire(self) -> None:
        """End the wait that outlasted its deadline. Called by `Deadlines`, in the hub."""
        self.deadline_ns = NEVER_NS
        if self._waiter is not None:
            self._waiter.throw(self._timeout_error("timed out"))

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

    def close(self) -> None:
        """Close the connection, whatever its state. Closing twice is harmless."""
        if self.closed:
            return
        self.closed = True
        self.deadline_ns = NEVER_NS
        self._waiter = None
        self._deadlines.discard(self)
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        self._sock.close()
        self.reader.close()


class Pool:
    """The connections of one session to one host and port; the one used last is used first."""

    __slots__ = ("_deadlines", "_freed", "_idle", "_open_count", "host", "port", "settings")

    def __init__(self, host: str, port: int, settings: PoolSettings) -> None:
        self.host = host
        self.port = port
        self.settings = settings
        self._deadlines = deadlines_of_hub(settings.now_ns)
        self._idle: list[Connection] = []
        self._open_count = 0
        self._freed: Event | None = None

    def acquire(self) -> Connection:
        """An idle connection, or a new one. Raises `HostNotAllowed` or another `OSError`."""
        if self._idle:
            return self._idle.pop()
        while self._open_count >= self.settings.size:
            self._await_release()
            if self._idle:
                return self._idle.pop()
        self._open_count += 1
        try:
            return self._open()
        except BaseException:
            self._forget_one()
            raise

    def release(self, connection: Connection) -> None:
        """Give a connection back: for the next request if it can carry one, else to be closed."""
        if connection.closed or not connection.reader.keep_alive:
            connection.close()
            self._forget_one()
            return
        self._idle.append(connection)
        self._announce()

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they are given back."""
        for connection in self._idle:
            connection.close()
        self._open_count -= len(self._idle)
        self._idle.clear()

    def _open(self) -> Connection:
        """Connect to the first address that accepts, each new connection beginning with another one."""
        addresses = allowed_targets().next_addresses(self.host, self.port)
        give_up_ns = self.settings.now_ns() + int(self.settings.connect_timeout_s * 1e9)
        for tries_left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
            connection = Connection(self.settings, self._deadlines, self._lost)
            try:
                connection.open(address, give_up_ns - self.settings.now_ns())
            except OSError:
                if not tries_left:
                    raise
            else:
                return connection
        raise AssertionError("a name resolves to one address at least")

    def _lost(self, connection: Connection) -> None:
        self._idle.remove(connection)
        self._forget_one()

    def _forget_one(self) -> None:
        self._open_count -= 1
        self._announce()

    def _await_release(self) -> None:
        if self._freed is None:
            self._freed = Event()
        self._freed.wait()

    def _announce(self) -> None:
        if self._freed is not None:
            self._freed.set()
            self._freed = None
