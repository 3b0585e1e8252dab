"""Asks, before any traffic, whether the target may be loaded and whether anything is there."""

import socket
from collections.abc import Iterable

from loadtest.address import check_clear, without_password
from loadtest.drive.targets import AllowedTargets
from loadtest.plan.target_address import TargetAddress, target_address

CONNECT_TIMEOUT_S = 3.0
HTTP = {"http", "https"}
NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
"""How OpenSSL calls an answer that is no TLS record."""


class UnreachableError(Exception):
    """Nothing accepts connections where the target should be, or its address makes no sense."""


def check_target(url: str | None, allowed: Iterable[str] = ()) -> None:
    """Connect once to a target of any protocol that has a port.

    Raises `UnreachableError`, or `HostNotAllowed` without connecting.
    """
    shown, (scheme, host, port) = without_password(url or ""), _read(url or "")
    AllowedTargets(dict.fromkeys(allowed, float("inf"))).check(host, port)
    try:
        with socket.create_connection((host, port), CONNECT_TIMEOUT_S) as connection:
            speaks_it = scheme != "https" or _speaks_tls(connection, host)
    except OSError as error:
        raise UnreachableError(f"{shown}: nothing answers there ({error.strerror or error})") from error
    if not speaks_it:
        raise UnreachableError(
            f"{shown}: what answers there does not speak TLS; expected an address that begins with http://"
        )


def _speaks_tls(connection: socket.socket, host: str) -> bool:
    """Whether what answers speaks TLS; False only if its answer is none.

    Whom to trust, and who the client is, is the script's business: a handshake that fails over that is none of ours.
    """
    import ssl  # noqa: PLC0415 - most targets speak plain HTTP

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        context.wrap_socket(connection, server_hostname=host).close()
    except ssl.SSLError as error:
        return error.reason not in NO_TLS
    except OSError:
        pass  # such as a server that hangs up on clients without a certificate
    return True


def check_http(url: str) -> None:
    """Raise `UnreachableError` for an address that no HTTP client can use. No connection."""
    if _read(url).scheme not in HTTP:
        raise UnreachableError(
            f"{without_password(url)!r}: expected an address such as http://127.0.0.1:8080"
        )


def _read(url: str) -> TargetAddress:
    """Where an address leads. Raises `UnreachableError` for one that names no host, or shows no end of a password."""
    try:
        check_clear(url)
        return target_address(url)
    except ValueError as error:
        raise UnreachableError(f"{without_password(url)!r}: {error}") from None
