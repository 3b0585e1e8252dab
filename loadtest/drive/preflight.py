"""Asks, before any traffic, whether the target may be loaded and whether anything is there."""

import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from loadtest.drive.targets import AllowedTargets

CONNECT_TIMEOUT_S = 3.0
DEFAULT_PORTS = {"http": 80, "https": 443}


class UnreachableError(Exception):
    """Nothing accepts connections where the target should be, or its address makes no sense."""


def check_target(url: str | None, allowed: Iterable[str] = ()) -> None:
    """Connect once to the target. Raises `UnreachableError`, or `HostNotAllowed` without connecting."""
    parts = urlsplit(url or "")
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise UnreachableError(f"target {url!r}: expected an address such as http://127.0.0.1:8080")
    try:
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except ValueError as error:
        raise UnreachableError(f"target {url!r}: {error}") from error
    AllowedTargets(dict.fromkeys(allowed, float("inf"))).check(parts.hostname, port)
    try:
        socket.create_connection((parts.hostname, port), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise UnreachableError(f"target {url}: nothing answers there ({error})") from error
