"""TLS against a real server with a certificate of its own: verified by default, resumed, named errors."""

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from locust import FastHttpUser as LocustFastHttpUser
from locust.env import Environment

from loadtest import FastHttpUser
from loadtest.drive.recorder import recorder_for
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

    def demand_a_certificate(self, authority: Path) -> None:
        """Serve only clients with a certificate that `authority` vouches for."""
        self._context.load_verify_locations(authority)
        self._context.verify_mode = ssl.CERT_REQUIRED

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
                    if b"end-of-tls" in line:
                        sock.unwrap()  # says that it ends, and waits for the client to say so
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


def test_the_handshake_is_timed_apart_from_connecting(
    session_to: MakeSession,
    outcomes: list[Outcome],
    server: TlsServer,
    trusting: Callable[[], ssl.SSLContext],
) -> None:
    session = session_to(f"https://localhost:{server.port}", ssl_context_factory=trusting)
    session.get("/")
    session.get("/")
    opened, kept = (outcome.exchange for outcome in outcomes)
    assert opened is not None
    assert kept is not None
    assert min(opened.connect_ns, opened.tls_ns) > 0
    assert (kept.connect_ns, kept.tls_ns) == (0, 0)


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


class HeldTls:
    """A server's end of TLS that holds its records until it sends them: all in one segment."""

    def __init__(self, folder: Path, connection: ServedConnection) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        context.num_tickets = 0
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._until_done(self._tls.do_handshake)

    def read(self) -> bytes:
        """A small request; raises `OSError` when the client has gone."""
        request: bytes = self._until_done(lambda: self._tls.read(65536))
        return request

    def hold(self, answer: bytes) -> None:
        """Make a record of it."""
        self._tls.write(answer)

    def hold_the_end(self) -> None:
        """Make a record that says that TLS ends."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()

    def send(self) -> None:
        """Send what is held."""
        self._connection.send(self._outgoing.read())

    def _until_done(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.send()
                data = self._connection._sock.recv(65536)
                self._incoming.write(data) if data else self._incoming.write_eof()


def test_what_nobody_asked_for_is_nobodys_answer_though_it_is_in_a_record_of_its_own(
    session_to: MakeSession, folder: Path
) -> None:
    def serve(connection: ServedConnection) -> None:
        tls = HeldTls(folder, connection)
        while request := tls.read():
            tls.hold(response_bytes(b"hello"))
            if b"unasked" in request:
                tls.hold(response_bytes(b"unasked"))
            tls.send()

    with ScriptedServer(serve) as server:
        session = session_to(server.url.replace("http:", "https:"), insecure=True)
        session.get("/")
        for _ in range(3):
            assert session.get("/unasked").text == "hello"
            assert session.get("/").text == "hello"


def answer_and_end(folder: Path, answers: list[bytes]) -> Callable[[ServedConnection], None]:
    """A script that sends an answer and the end of TLS in one segment, and leaves TCP open, as asyncio does."""

    def serve(connection: ServedConnection) -> None:
        tls = HeldTls(folder, connection)
        tls.read()
        tls.hold(answers[min(connection.number, len(answers) - 1)])
        tls.hold_the_end()
        tls.send()
        connection.wait_for_close()

    return serve


def test_a_connection_whose_tls_ended_with_the_answer_is_replaced_before_the_next_request(
    session_to: MakeSession, outcomes: list[Outcome], folder: Path
) -> None:
    with ScriptedServer(answer_and_end(folder, [response_bytes(b"ok")])) as server:
        session = session_to(server.url.replace("http:", "https:"), insecure=True)
        for _ in range(3):
            assert session.post("/", data=b"order").text == "ok"
        assert server.connections == 3
    assert [outcome.error for outcome in outcomes] == [None] * 3


@pytest.mark.parametrize("stream", [False, True])
def test_the_end_of_tls_ends_a_body_that_runs_until_the_end(
    session_to: MakeSession, folder: Path, stream: bool
) -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with ScriptedServer(answer_and_end(folder, [head + b"to the end", head])) as server:
        session = session_to(server.url.replace("http:", "https:"), insecure=True)
        assert session.get("/", stream=stream).content == b"to the end"
        assert session.get("/", stream=stream).content == b""


def test_the_end_of_tls_inside_a_body_is_a_closed_connection(
    session_to: MakeSession, outcomes: list[Outcome], folder: Path
) -> None:
    with ScriptedServer(
        answer_and_end(folder, [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
    ) as server:
        session_to(server.url.replace("http:", "https:"), insecure=True).post("/")
    assert outcomes[0].error == "closed"


def test_an_idle_connection_whose_tls_ends_is_replaced_before_the_next_request(
    session_to: MakeSession, outcomes: list[Outcome], server: TlsServer
) -> None:
    session = session_to(f"https://localhost:{server.port}", insecure=True)
    for _ in range(3):
        assert session.post("/end-of-tls", data=b"order").content == b"order"
        pool = next(iter(session._pools.values()))
        with gevent.Timeout(60):
            while pool.idle:
                gevent.sleep(0.001)
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert len(server.names) == 3


ContextFactory = Callable[..., ssl.SSLContext]
CONTEXTS = ["verifying", "unverified", "any keyword", "a cafile wanted"]


def client_contexts(folder: Path) -> dict[str, ContextFactory]:
    """Factories as scripts write them, for a server that wants a certificate of its clients."""
    certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")

    def presenting(context: ssl.SSLContext) -> ssl.SSLContext:
        context.load_cert_chain(certificate, key)
        return context

    def with_a_default(cafile: str = certificate) -> ssl.SSLContext:
        return presenting(ssl.create_default_context(cafile=cafile))

    def with_any(**named: Any) -> ssl.SSLContext:
        context = presenting(ssl.create_default_context(**named))
        context.load_verify_locations(certificate)
        return context

    def wanting(cafile: str) -> ssl.SSLContext:
        context = presenting(ssl.create_default_context(cafile=cafile))
        context.load_verify_locations(certificate)
        return context

    def unverified() -> ssl.SSLContext:
        return presenting(ssl._create_unverified_context())  # noqa: S323 - as scripts have it

    return {
        "verifying": lambda: presenting(ssl.create_default_context(cafile=certificate)),
        "unverified": unverified,
        "cafile with a default": with_a_default,
        "any keyword": with_any,
        "a cafile wanted": wanting,
    }


@pytest.mark.parametrize(
    ("base", "kind"),
    [
        *((base, kind) for base in (LocustFastHttpUser, FastHttpUser) for kind in CONTEXTS),
        (FastHttpUser, "cafile with a default"),  # which Locust's class overrules
    ],
)
def test_a_context_with_a_client_certificate_works_together_with_insecure(
    base: type[Any], kind: str, folder: Path
) -> None:
    server = TlsServer(folder)
    server.demand_a_certificate(folder / "certificate.pem")
    factory = staticmethod(client_contexts(folder)[kind])
    host = f"https://127.0.0.1:{server.port}"  # which is not what the certificate names
    made = type("Partner", (base,), {"host": host, "insecure": True, "ssl_context_factory": factory})
    user = made(Environment())
    try:
        assert user.client.post("/", data=b"order").content == b"order"
    finally:
        user.client.client.clientpool.close()
        recorder_for(user.environment).close()
        server.close()


def test_a_context_without_authorities_gets_the_systems() -> None:
    context = tls_client(False, lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)).context
    assert context.cert_store_stats()["x509_ca"] == ssl.create_default_context().cert_store_stats()["x509_ca"]
    assert context.check_hostname


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
