"""Connecting to a name with several addresses, some of which may lead nowhere (RFC 8305, "Happy Eyeballs").

A container without IPv6 still resolves AAAA records, and one of the machines behind a name may be gone. The
addresses are tried in order: the next one as soon as one has failed, in whatever way, or beside those before
it once they have taken a quarter of a second. The first connection that stands is used, the others are closed.
"""

import errno
import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

from gevent.monkey import get_original

from loadtest.drive.errors import ConnectTimeoutError
from loadtest.drive.targets import Address

ATTEMPT_DELAY_S = 0.25
"""How long one attempt is waited for before the next starts beside it (RFC 8305, section 5)."""
_WRITE = 2  # libev's EV_WRITE
_plain_socket: Callable[..., socket.socket] = get_original("socket", "socket")


class Dialing:
    """The attempts of one connection.

    `loop` is gevent's; `pause` lets others run until somebody calls `resume`, which may be once too often.
    """

    def __init__(self, loop: Any, resume: Callable[[], Any], pause: Callable[[], Any]) -> None:
        self._loop = loop
        self._resume = resume
        self._pause = pause
        self._attempts: dict[socket.socket, Any] = {}
        """The sockets that are connecting, each with the watcher that hears when it is done."""
        self._errors: list[OSError] = []

    def connect(self, addresses: Iterable[Address]) -> socket.socket:
        """A connected, non-blocking socket to one of `addresses`.

        Raises the `OSError` of a target that refused, else of the first address. What `pause` raises, such
        as a timeout, ends all attempts.
        """
        untried = list(addresses)
        connected: socket.socket | None = None
        try:
            while connected is None and (untried or self._attempts):
                if untried:
                    connected = self._start(untried.pop(0))
                if connected is None and self._attempts:
                    connected = self._await_one(ATTEMPT_DELAY_S if untried else None)
        finally:
            for sock, watcher in self._attempts.items():
                watcher.close()
                sock.close()
        if connected is None:
            raise max(self._errors, key=lambda error: isinstance(error, ConnectionRefusedError))
        return connected

    def _start(self, address: Address) -> socket.socket | None:
        """Begin to connect. Returns the socket if it was connected at once."""
        try:
            sock = _plain_socket(address.family, socket.SOCK_STREAM)
        except OSError as error:  # a family this machine does not have, or out of descriptors
            self._errors.append(error)
            return None
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address.sockaddr)
        if not code:
            return sock
        if code != errno.EINPROGRESS:
            self._fail(sock, code)
            return None
        watcher = self._attempts[sock] = self._loop.io(sock.fileno(), _WRITE)
        watcher.start(self._resume)
        return None

    def _await_one(self, most_s: float | None) -> socket.socket | None:
        """The socket that is connected next; None once an attempt has failed, or after `most_s`."""
        if most_s is None:
            self._pause()
            return self._settled()
        timer = self._loop.timer(most_s)
        try:
            timer.start(self._resume)
            self._pause()
            return self._settled()
        finally:
            timer.close()

    def _settled(self) -> socket.socket | None:
        """Take out what is connected or has failed; the connected one, if there is any."""
        for sock in list(self._attempts):
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code and not _is_connected(sock):
                continue
            self._attempts.pop(sock).close()
            if not code:
                return sock
            self._fail(sock, code)
        return None

    def _fail(self, sock: socket.socket, code: int) -> None:
        sock.close()
        error = OSError(code, os.strerror(code))
        self._errors.append(ConnectTimeoutError("timed out") if isinstance(error, TimeoutError) else error)


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True
