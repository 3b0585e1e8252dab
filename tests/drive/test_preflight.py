"""What is asked of a target before any traffic."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
import trustme

from loadtest.drive.preflight import UnreachableError, check_target


@contextlib.contextmanager
def answering(hello: bytes | ssl.SSLContext) -> Iterator[int]:
    """The port of a server that tells one client `hello`, or shakes hands with it."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(60)
            if isinstance(hello, ssl.SSLContext):
                with contextlib.suppress(OSError):  # a client without the certificate that it wants
                    hello.wrap_socket(connection, server_side=True).close()
            else:
                connection.recv(65_536)
                connection.sendall(hello)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        yield listener.getsockname()[1]
        server.join(60)


@pytest.mark.parametrize(
    "hello", [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"220 mail\r\n", b"-ERR unknown\r\n"]
)
def test_an_https_address_where_nobody_speaks_tls_is_refused(hello: bytes) -> None:
    with (
        answering(hello) as port,
        pytest.raises(UnreachableError, match="does not speak TLS; expected an address"),
    ):
        check_target(f"https://127.0.0.1:{port}")


@pytest.mark.parametrize("wants", [ssl.CERT_NONE, ssl.CERT_REQUIRED])
def test_whom_a_client_trusts_and_who_it_is_are_left_to_the_script(wants: ssl.VerifyMode) -> None:
    unknown = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    unknown.issue_cert("127.0.0.1").configure_cert(context)
    unknown.configure_trust(context)
    context.verify_mode = wants
    with answering(context) as port:
        check_target(f"https://127.0.0.1:{port}")


def test_a_server_that_hangs_up_may_want_something_else() -> None:
    with answering(b"") as port:
        check_target(f"https://127.0.0.1:{port}")
