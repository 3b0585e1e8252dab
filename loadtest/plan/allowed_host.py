"""Hosts that may be loaded, as people write them: `[targets]` in a plan, `--allow-host`, LOADTEST_ALLOW_HOSTS.

A host stands for all of its ports; with a port, as in `web:8080` or `http://web:8080`, for that one alone.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from loadtest.plan.plan_error import PlanError

_EXPECTED = "expected a host such as shop.example.com, 10.0.0.7 or [fd00::7], with a port or without"
_NAME = re.compile(r"[\w-]+(\.[\w-]+)*\.?")
_MOST_CHARACTERS = 255  # RFC 1035, section 2.3.4


class AllowedHost(NamedTuple):
    """One entry of such a list."""

    host: str
    """As `host_key` has it."""
    port: int | None
    """The only port that may be loaded; None for every port."""

    def covers(self, host: str, port: int | None) -> bool:
        """Whether `host` at `port` may be loaded; a port of None asks for the host alone."""
        return self.host == host_key(host) and (port is None or self.port in {None, port})


def allowed_host(text: str, source: str = "allowed host") -> AllowedHost:
    """Read one entry: a host, a host with its port, or an http or https URL of both.

    Raises `PlanError`, beginning with `source`, for anything else: a wildcard or a network lists hosts that
    nobody has named, and a path would not be held to.
    """
    shown = " ".join(text.rpartition("@")[2].split())[:_MOST_CHARACTERS]  # without a password
    where = f'{source}: "{shown}"'
    try:
        host, port = _split(text.strip())
    except ValueError as error:
        raise PlanError(f"{where}: {error}") from None
    if port is not None and not 0 < port < 65536:
        raise PlanError(f"{where}: expected a port from 1 to 65535")
    return AllowedHost(host, port)


def allowed_rate(targets: Iterable[tuple[AllowedHost, float]], host: str, port: int | None) -> float | None:
    """The lowest rate listed for `host` at `port`; None if it is not listed."""
    return min((rate for entry, rate in targets if entry.covers(host, port)), default=None)


def host_key(host: str) -> str:
    """The same text for the same host: lower case, addresses in their shortest form."""
    try:
        return str(ip_address(host)).lower()
    except ValueError:
        return host.lower().removesuffix(".")


def _split(text: str) -> tuple[str, int | None]:
    if "*" in text:
        raise ValueError("a wildcard allows hosts that nobody has named; list each host")
    try:
        return str(ip_address(text)).lower(), None  # IPv6 without brackets would look like a port
    except ValueError:
        pass
    scheme, separator, rest = text.rpartition("://")
    if separator and scheme.lower() not in {"http", "https"}:
        raise ValueError(f"{_EXPECTED}, or an http or https URL")
    host, path = re.match(r"([^/?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr] # it always fits
    if not separator and re.fullmatch(r"/\d+", path):
        raise ValueError("a network allows hosts that nobody has named; list each host")
    if path not in {"", "/"}:
        raise ValueError("a host is allowed with all of its paths; write it without the path")
    if "@" in host:
        raise ValueError("write it without user and password")
    try:
        parts = urlsplit(f"//{host}")
    except ValueError:  # brackets that do not match
        raise ValueError(_EXPECTED) from None
    name = parts.hostname or ""
    if len(name) > _MOST_CHARACTERS or host.endswith(":") or not (":" in name or _NAME.fullmatch(name)):
        raise ValueError(_EXPECTED)
    try:
        return host_key(name), parts.port
    except ValueError:
        raise ValueError("expected a port from 1 to 65535") from None
