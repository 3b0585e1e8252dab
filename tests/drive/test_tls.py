"""TLS against a real server with a certificate of its own: verified by default, resumed, named errors."""

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.drive.session import Session
from loadtest.drive.tls import tls_client
from loadtest.records import Outcome
from loadtest.testing import ScriptedServer, ServedConnection, response_bytes

MakeSession = Callable[..., Session]

BIG = bytes(range(256)) * 4000  # a megabyte: many records each way


class TlsServer:
    """Echoes bodies over TLS, in blocking threads; notes what each handshake agreed on."""

    def __init__(self, folder: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        self._context.set_alpn_protocols(["h2", "http/1.1"])
        self._context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.names: list[str | None] = []
        self.protocols: list[str | None] = []
        self.resumed: list[bool] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: Any) -> None:
        try:
            with self._context.wrap_socket(plain, server_side=True) as sock:
                self.protocols.append(sock.selected_alpn_protocol())
                self.resumed.append(bool(sock.session_reused))
                stream = sock.makefile("rb")
                while line := stream.readline():
                    length = 0
                    while (header := stream.readline()) != b"\r\n":
                        if header.lower().startswith(b"content-length:"):
                            length = int(header.split(b":")[1])
                    closing = ["Connection: close"] if b"close" in line else []
                    sock.sendall(response_bytes(stream.read(length) or b"hello", headers=closing))
                    if closing:
                        return
        except OSError:
            plain.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(made / "key.pem"), "-out", str(made / "certificate.pem")]
    command = ["openssl", "req", "-x509", "-days", "2", *key, *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.fixture
def server(folder: Path) -> Iterator[TlsServer]:
    made = TlsServer(folder)
    yield made
    made.close()


@pytest.fixture
def trusting(folder: Path) -> Callable[[], ssl.SSLContext]:
    """Makes contexts that trust the test's certificate, verifying as the default does."""

    def make() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
        context.set_alpn_protocols(["http/1.1"])
        return context

    return make


def test_a_certificate_nobody_vouches_for_is_refused(
    session_to: MakeSession, outcomes: list[Outcome], server: TlsServer
) -> None:
    response = session_to(f"https://localhost:{server.port}").get("/")
    assert isinstance(response.error, ssl.SSLCertVerificationError)
    assert outcomes[0].error == "tls"
    assert outcomes[0].sent_ns == outcomes[0].intended_ns


def test_a_certificate_for_another_name_is_refused(
    session_to: MakeSession, server: TlsServer, trusting: Callable[[], ssl.SSLContext]
) -> None:
    response = session_to(f"https://127.0.0.1:{server.port}", ssl_context_factory=trusting).get("/")
    assert "IP address mismatch" in str(response.error)


def test_insecure_accepts_any_certificate(session_to: MakeSession, server: TlsServer) -> None:
    assert session_to(f"https://localhost:{server.port}", insecure=True).get("/").text == "hello"


def test_a_trusted_server_hears_the_name_and_the_protocol(
    session_to: MakeSession, server: TlsServer, trusting: Callable[[], ssl.SSLContext]
) -> None:
    session = session_to(f"https://localhost:{server.port}", ssl_context_factory=trusting)
    for _ in range(3):
        assert session.get("/").text == "hello"
    assert (server.names, server.protocols) == (["localhost"], ["http/1.1"])


def test_bodies_of_many_records_pass_both_ways(session_to: MakeSession, server: TlsServer) -> None:
    session = session_to(f"https://localhost:{server.port}", insecure=True)
    for _ in range(2):
        assert session.post("/", data=BIG).content == BIG


def test_the_next_connection_resumes_the_session(
    session_to: MakeSession, server: TlsServer, trusting: Callable[[], ssl.SSLContext]
) -> None:
    session = session_to(f"https://localhost:{server.port}", ssl_context_factory=trusting)
    for _ in range(3):
        assert session.get("/close").ok
    assert server.resumed == [False, True, True]


def tunnel(connection: ServedConnection) -> None:
    """A proxy that does what CONNECT asks for."""
    authority = connection.read_request().split(b" ")[1].decode()
    host, _, port = authority.rpartition(":")
    client: Any = connection._sock
    with socket.create_connection((host, int(port))) as upstream:
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=pass_on, args=(upstream, client), daemon=True).start()
        pass_on(client, upstream)


def pass_on(source: socket.socket, sink: socket.socket) -> None:
    """Bytes from one socket to the other until either ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def test_a_tunnel_through_a_proxy_is_verified_and_kept_open(
    session_to: MakeSession, server: TlsServer, trusting: Callable[[], ssl.SSLContext]
) -> None:
    with ScriptedServer(tunnel) as proxy:
        session = session_to(
            f"https://localhost:{server.port}",
            ssl_context_factory=trusting,
            proxy=("127.0.0.1", proxy.port),
        )
        assert session.post("/echo", data=BIG).content == BIG
        assert session.post("/echo", data=b"again").content == b"again"
        assert proxy.connections == 1
    assert proxy.requests == [
        f"CONNECT localhost:{server.port} HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode()
    ]
    assert server.names == ["localhost"]
    assert server.protocols == ["http/1.1"]


def test_a_server_without_tls_is_a_tls_error(session_to: MakeSession, outcomes: list[Outcome]) -> None:

    def speak_plainly(connection: ServedConnection) -> None:
        connection.send(b"220 mail.example ESMTP\r\n")
        connection.wait_for_close()

    with ScriptedServer(speak_plainly) as plain:
        session_to(plain.url.replace("http:", "https:")).get("/")
    assert outcomes[0].error == "tls"


def test_a_handshake_that_hangs_is_a_connect_timeout(
    session_to: MakeSession, outcomes: list[Outcome]
) -> None:

    with ScriptedServer(ServedConnection.wait_for_close) as silent:
        session_to(silent.url.replace("http:", "https:"), connection_timeout=0.1).get("/")
    assert outcomes[0].error == "timeout-connect"


def test_sessions_share_the_usual_context() -> None:
    assert tls_client(insecure=False) is tls_client(insecure=False)
    assert tls_client(insecure=False).context.verify_mode is ssl.CERT_REQUIRED
    assert tls_client(insecure=False).context.check_hostname
