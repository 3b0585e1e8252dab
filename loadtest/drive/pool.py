"""The pool a session keeps its connections in, one pool for each host and port.

The connection used last is used first, so that the others can fall idle. A pool holds at most `size`
connections; requests beyond that wait for one, as they do in FastHttpUser.
"""

from gevent.event import Event

from loadtest.drive.connection import Connection, ConnectionSettings
from loadtest.drive.deadlines import deadlines_of_hub
from loadtest.drive.targets import allowed_targets
from loadtest.drive.tls import TlsClient, TlsConnection
from loadtest.drive.urls import Origin


class Pool:
    """Connections to one origin; with `tls`, over TLS; with `proxy` (host and port), through that proxy."""

    __slots__ = (
        "_deadlines",
        "_open_count",
        "_origin",
        "_proxy",
        "_settings",
        "_size",
        "_tls",
        "idle",
        "waiting",
    )

    def __init__(
        self,
        origin: Origin,
        settings: ConnectionSettings,
        size: int,
        tls: TlsClient | None = None,
        proxy: tuple[str, int] | None = None,
    ) -> None:
        self._origin = origin
        self._proxy = proxy
        self._settings = settings
        self._size = size
        self._tls = tls
        self._deadlines = deadlines_of_hub(settings.now_ns)
        self.idle: list[Connection] = []
        """Connections to be used next, the last one first; the core takes from it and puts back."""
        self._open_count = 0
        self.waiting: list[Event] = []
        """Who waits for a connection, the first one first."""

    def acquire(self) -> Connection:
        """An idle connection, or a new one. Raises `HostNotAllowed` or another `OSError`."""
        if self.idle:
            return self.idle.pop()
        while self._open_count >= self._size:
            self._await_release()
            if self.idle:
                return self.idle.pop()
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
        self.idle.append(connection)
        if self.waiting:
            self.wake_one()

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they are given back."""
        for connection in self.idle:
            connection.close()
        self._open_count -= len(self.idle)
        self.idle.clear()

    def _open(self) -> Connection:
        """Connect to one of the addresses, each new connection beginning with another one."""
        targets = allowed_targets()
        if self._proxy is None:
            addresses = targets.next_addresses(self._origin.host, self._origin.port)
        else:
            targets.check(self._origin.host, self._origin.port)
            addresses = targets.next_addresses(*self._proxy)
        if self._tls is None:
            connection = Connection(self._settings, self._deadlines, self._lost)
        else:
            connection = secured = TlsConnection(self._settings, self._deadlines, self._lost)
            secured.secure(
                self._tls, self._origin.host, "" if self._proxy is None else self._origin.authority
            )
        connection.open(addresses, int(self._settings.connect_timeout_s * 1e9))
        return connection

    def _lost(self, connection: Connection) -> None:
        if connection in self.idle:  # else somebody still has it, and will give it back
            self.idle.remove(connection)
            self._forget_one()

    def _forget_one(self) -> None:
        self._open_count -= 1
        if self.waiting:
            self.wake_one()

    def _await_release(self) -> None:
        freed = Event()
        self.waiting.append(freed)
        try:
            freed.wait()
        except BaseException:  # killed: whatever was freed for this one is for the next
            if freed.is_set():
                self.wake_one()
            else:
                self.waiting.remove(freed)
            raise

    def wake_one(self) -> None:
        """Let the first of those that wait look for a connection again."""
        if self.waiting:
            self.waiting.pop(0).set()
