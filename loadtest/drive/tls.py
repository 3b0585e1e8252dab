"""TLS over a plain non-blocking socket, with the interface of that socket.

`TlsStream` encrypts and decrypts between memory and the socket, so a connection watches and waits in the
same way with and without TLS. Certificates are verified, SNI and ALPN (`http/1.1`) are sent, and a session
is resumed on the next connection to the same host; `insecure` leaves out the verification and nothing else.
"""

import inspect
import socket
import ssl
from collections.abc import Callable
from functools import lru_cache

from loadtest.drive._core import Secured
from loadtest.drive.connection import Connection
from loadtest.drive.errors import ProtocolError
from loadtest.drive.http1 import ResponseReader

_RECORD_BYTES = 16 * 1024  # the most that goes into one TLS record
_RECV_BYTES = 64 * 1024

ContextFactory = Callable[..., ssl.SSLContext]


class TlsClient:
    """How to speak TLS, shared by all sessions that do it in the same way. Get it with `tls_client`."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.sessions: dict[str, ssl.SSLSession] = {}
        """The latest session with each host, to be resumed by the next connection."""


def tls_client(insecure: bool, context_factory: ContextFactory | None = None) -> TlsClient:
    """The client for these settings; `context_factory` makes its context, if there is one.

    What of the server's certificate such a context verifies is the factory's business, except that `insecure`
    accepts one for another name, as in FastHttpUser.
    """
    if context_factory is None:
        return _usual_client(insecure)
    context = _made_by(context_factory)
    if insecure:
        context.check_hostname = False
    return TlsClient(context)


def _made_by(factory: ContextFactory) -> ssl.SSLContext:
    """The factory's context. One that wants a `cafile` gets the system's, as in FastHttpUser.

    A context that verifies and knows no authority gets the system's; one with its own keeps to them.
    """
    cafile = ssl.get_default_verify_paths().cafile
    context = factory(cafile=cafile) if _wants_cafile(factory) else factory()
    if context.verify_mode is not ssl.CERT_NONE and not context.cert_store_stats()["x509_ca"]:
        context.load_default_certs()
    return context


def _wants_cafile(factory: ContextFactory) -> bool:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # written in C
        return False
    return any(
        one.kind is one.VAR_KEYWORD or (one.name == "cafile" and one.default is one.empty)
        for one in parameters
    )


@lru_cache
def _usual_client(insecure: bool) -> TlsClient:
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return TlsClient(context)


class TlsStream(Secured):
    """The client's end of a TLS connection. `send` and `recv` behave like a non-blocking socket's."""

    def __init__(self, sock: socket.socket, client: TlsClient, host: str) -> None:
        self._sock = sock
        self._client = client
        self._host = host
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = client.context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=host, session=client.sessions.get(host)
        )
        super().__init__(self._tls, self._incoming, self._outgoing)

    def shake_hands(self) -> None:
        """Go on with the handshake. Raises `BlockingIOError` as long as it has to wait for the server."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._push()
                self._pull()
            except ssl.SSLError:
                self._push()  # the alert that tells the server why
                raise
            else:
                self._push()
                return

    def send(self, data: bytes | memoryview) -> int:
        """Send at most one record and return the number of bytes it holds.

        Raises `BlockingIOError` when the socket is full; then call it again with the same data.
        """
        if not self.accepted_bytes:
            self.accepted_bytes = self._tls.write(data[:_RECORD_BYTES])
        self._push()
        accepted_bytes, self.accepted_bytes = self.accepted_bytes, 0
        return accepted_bytes

    def recv(self, _most_bytes: int) -> bytes:
        """All that can be decrypted now; b"" at the end. Raises `BlockingIOError` if there is nothing yet.

        The end is the close_notify, or that of the socket: asyncio's servers leave TCP open for half a minute
        after a close_notify.
        """
        pieces = self._decrypted() if self._holds_more() else []
        if not pieces and not self.ended:
            if not self._pull():
                return b""
            pieces = self._decrypted()
        return self._whole(pieces)

    def go_on(self, first: bytes) -> bytes:
        """As `recv`, after what the core has decrypted, which may be nothing; it has fed what was received."""
        return self._whole([first, *self._decrypted()] if first else self._decrypted())

    def _whole(self, pieces: list[bytes]) -> bytes:
        if not pieces:
            if self.ended:
                return b""
            raise BlockingIOError
        if not self.session_kept:
            self._keep_session()
        return b"".join(pieces) if len(pieces) > 1 else pieces[0]

    def _decrypted(self) -> list[bytes]:
        """Every record that is there: what stayed behind would wake nobody."""
        pieces: list[bytes] = []
        try:
            while piece := self._tls.read(_RECV_BYTES):
                pieces.append(piece)
                if not self._holds_more():  # asking once too often costs an exception
                    break
            else:
                self.ended = True
        except ssl.SSLWantReadError:
            if self._outgoing.pending:
                self._push()  # the answer to a key update
        return pieces

    def _holds_more(self) -> bool:
        return bool(self._incoming.pending or self._tls.pending())

    def _pull(self) -> bool:
        """Read from the socket. False at its end, which counts as one whether TLS announced it or not."""
        data = self._sock.recv(_RECV_BYTES)
        if data:
            self._incoming.write(data)
            return True
        self._incoming.write_eof()
        return False

    def _push(self) -> None:
        """Send what has been encrypted. Raises `BlockingIOError` if the socket does not take all of it."""
        self.unsent += self._outgoing.read()
        while self.unsent:
            self.unsent = self.unsent[self._sock.send(self.unsent) :]

    def _keep_session(self) -> None:
        """Keep the session for the next connection: with TLS 1.3 the server sends it after the handshake."""
        self.session_kept = True
        if self._tls.session is not None:
            self._client.sessions[self._host] = self._tls.session


class TlsConnection(Connection):
    """A connection that speaks TLS."""

    __slots__ = ("_client", "_host", "_tunnel_to", "stream")

    def secure(self, client: TlsClient, host: str, tunnel_to: str = "") -> None:
        """Say, before `open`, how to speak TLS and whose certificate to expect.

        With `tunnel_to` (host:port) the connection is to a proxy that is asked for a tunnel to there.
        """
        self._client = client
        self._host = host
        self._tunnel_to = tunnel_to

    def _begin(self) -> None:
        if self._tunnel_to:
            self._dig_tunnel()
        began_ns = self._now_ns()
        self.stream = TlsStream(self._sock, self._client, self._host)
        while True:
            try:
                self.stream.shake_hands()
                break
            except BlockingIOError:
                self.wait()
        self.tls_ns = self._now_ns() - began_ns
        self.speak_with(self.stream.send, self.stream.recv, self.stream)

    def _receive(self, reader: ResponseReader) -> bool:
        try:
            data = self.recv(_RECV_BYTES)
        except BlockingIOError:
            return False
        return self._take(reader, data)

    def _take(self, reader: ResponseReader, data: bytes) -> bool:
        """As without TLS. An end that came together with data is heeded at once: it would wake nobody later."""
        complete = super()._take(reader, data)
        if not self.stream.ended:
            return complete
        reader.feed_eof()
        reader.keep_alive = False
        return True

    def _dig_tunnel(self) -> None:
        """Have the proxy connect (RFC 9110, section 9.3.6). Raises `ProtocolError` if it does not."""
        super()._begin()
        self.send(f"CONNECT {self._tunnel_to} HTTP/1.1\r\nHost: {self._tunnel_to}\r\n\r\n".encode("ascii"))
        answer = ResponseReader()
        answer.begin(head_only=True)
        complete = False
        while not complete:
            self.wait()
            complete = super()._take(answer, self.recv(_RECV_BYTES))
        if answer.status != 200:
            raise ProtocolError(f"the proxy answered {answer.status} to CONNECT")
