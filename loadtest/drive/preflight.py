"""Asks, before any traffic, whether the target may be loaded and whether anything is there."""

import socket
from collections.abc import Iterable

from loadtest.drive.targets import AllowedTargets
from loadtest.plan.target_address import target_address

CONNECT_TIMEOUT_S = 3.0
HTTP = {"http", "https"}


class UnreachableError(Exception):
    """Nothing accepts connections where the target should be, or its address makes no sense."""


def check_target(url: str | None, allowed: Iterable[str] = ()) -> None:
    """Connect once to a target of any protocol that has a port.

    Raises `UnreachableError`, or `HostNotAllowed` without connecting.
    """
    try:
        _, host, port = target_address(url or "")
    except ValueError as error:
        raise UnreachableError(f"{url!r}: {error}") from error
    AllowedTargets(dict.fromkeys(allowed, float("inf"))).check(host, port)
    try:
        socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise UnreachableError(f"{url}: nothing answers there ({error.strerror or error})") from error


def check_http(url: str) -> None:
    """Raise `UnreachableError` for an address that no HTTP client can use. No connection."""
    try:
        scheme = target_address(url).scheme
    except ValueError as error:
        raise UnreachableError(f"{url!r}: {error}") from error
    if scheme not in HTTP:
        raise UnreachableError(f"{url!r}: expected an address such as http://127.0.0.1:8080")
