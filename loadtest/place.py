"""Where somebody listens: a host and a port, and which hosts nobody else can reach."""

import ipaddress
from typing import NamedTuple

EVERYWHERE = frozenset({"0.0.0.0", "::", "*"})  # noqa: S104 - compared, not bound
"""Hosts that stand for every address of a machine."""


class Place(NamedTuple):
    """A host, by name or by number, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """`HOST:PORT`, as it is typed: `[::1]:5557`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether `host` is `localhost` or an address that can be reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
