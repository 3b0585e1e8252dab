"""Fakes that are worth shipping, for the tests of this package and of scripts built on it.

`ScriptedServer` speaks whatever bytes a test dictates, on a real socket: the way to meet a target that
resets, hangs, dribbles or lies.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

_END_OF_HEAD = b"\r\n\r\n"


class ServedConnection:
    """One accepted connection, as a server's script sees it."""

    def __init__(self, sock: socket.socket, requests: list[bytes], number: int) -> None:
        self._sock = sock
        self._requests = requests
        self._received = b""
        self.number = number
        """How many connections were accepted before this one."""

    def read_request(self) -> bytes:
        """The next request, head and body (by Content-Length). Raises `EOFError` when the client has gone."""
        while _END_OF_HEAD not in self._received:
            self._receive()
        head, _, _ = self._received.partition(_END_OF_HEAD)
        end = len(head) + len(_END_OF_HEAD) + _content_length(head)
        while len(self._received) < end:
            self._receive()
        request, self._received = self._received[:end], self._received[end:]
        self._requests.append(request)
        return request

    def send(self, *pieces: bytes) -> None:
        """Send each piece in a segment of its own, as far as the kernel lets one decide that."""
        for piece in pieces:
            self._sock.sendall(piece)

    def wait_for_close(self) -> None:
        """Wait until the client closes its side, reading whatever it still sends."""
        with contextlib.suppress(OSError):
            while self._sock.recv(65536):
                pass

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close in good order."""
        self._sock.close()

    def reset(self) -> None:
        """Close with a TCP reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def _receive(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            raise EOFError("the client closed the connection")
        self._received += data


Script = Callable[[ServedConnection], None]


class ScriptedServer:
    """A server on a free loopback port that runs `script` in a thread for each connection it accepts.

    Use it in a with-block. A script that returns has its connection closed. One that raises `EOFError` or
    `OSError` has been left by its client, which is no error.
    """

    def __init__(self, script: Script, host: str = "127.0.0.1") -> None:
        self._script = script
        self._listener = socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
        self._accepted: list[socket.socket] = []
        self.requests: list[bytes] = []
        """Every request read by a script, in the order they were complete."""
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections have been accepted."""
        return len(self._accepted)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(
                socket.SHUT_RDWR
            )  # wakes the accepting thread, which close() alone does not
        self._listener.close()
        for sock in self._accepted:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                served = ServedConnection(sock, self.requests, len(self._accepted))
                self._accepted.append(sock)
                threading.Thread(target=self._serve, args=(served,), daemon=True).start()

    def _serve(self, served: ServedConnection) -> None:
        with contextlib.closing(served), contextlib.suppress(EOFError, OSError):
            self._script(served)


def response_bytes(body: bytes = b"", status: str = "200 OK", headers: Sequence[str] = ()) -> bytes:
    """A response with a Content-Length, and `headers` as complete lines without line ends."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + _END_OF_HEAD + body


def always(response: bytes) -> Script:
    """A script that answers every request of a connection with the same bytes."""

    def answer(connection: ServedConnection) -> None:
        while True:
            connection.read_request()
            connection.send(response)

    return answer


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0
