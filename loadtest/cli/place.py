"""`HOST:PORT` as the command line has it: where a master listens, and whether it can."""

import errno
import ipaddress
import socket

from loadtest.configuration.config_error import ConfigError
from loadtest.place import EVERYWHERE, Place

CONTROL_PORT = 5557
"""Where none is given: Locust's."""
Addresses = list[tuple[int, tuple[str, int]]]
"""(family, address) of sockets."""


def place_of(text: str, flag: str) -> Place:
    """`HOST`, `HOST:PORT` or `[IPV6]:PORT`. Raises `ConfigError` naming the flag."""
    host, colon, given = text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", "")
    host = host.removeprefix("[").removesuffix("]")
    usable = not colon or (given.isascii() and given.isdigit() and int(given) < 1 << 16)
    if not host or not usable or any(letter in host for letter in "/ @[]") or not _is_a_host(host):
        raise ConfigError(
            flag, f"{flag} {text}: expected HOST:PORT, for example 10.0.0.1:{CONTROL_PORT}", value=text
        )
    if colon and not int(given):
        raise ConfigError(
            flag,
            f"{flag} {text}: expected a port from 1 to 65535, the same for master and workers",
            value=text,
        )
    return Place(host, int(given) if colon else CONTROL_PORT)


def _is_a_host(host: str) -> bool:
    """False for what has colons and is no IPv6 address."""
    if ":" not in host:
        return True
    address, _, zone = host.partition("%")
    try:
        return bool(ipaddress.IPv6Address(address)) and ":" not in zone
    except ValueError:
        return False


def listening_place(place: Place, flag: str) -> Place:
    """The same place by number. Raises `ConfigError` unless it is one of this machine, and free."""
    if place.host in EVERYWHERE:
        families: Addresses = [(socket.AF_INET6 if place.host == "::" else socket.AF_INET, ("", place.port))]
    else:
        families = _addresses(place, flag)
    for family, address in families:
        error = _why_not(family, address)
        if error is None:
            return Place(place.host if place.host in EVERYWHERE else str(address[0]), place.port)
    raise ConfigError(flag, f"{flag} {place}: {error}", value=str(place))


def _addresses(place: Place, flag: str) -> Addresses:
    try:
        found = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(
            flag,
            f"{flag} {place}: {place.host} is not known on this machine ({error.strerror})",
            value=str(place),
        ) from error
    return [(family, (str(address[0]), place.port)) for family, _, _, _, address in found]


def _why_not(family: int, address: tuple[str, int]) -> str | None:
    """Why this process cannot listen at an address; None if it can."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "the port is in use, perhaps by another run: end that, or choose another port"
            if error.errno == errno.EADDRNOTAVAIL:
                return "is not an address of this machine"
            return f"cannot listen there ({error.strerror})"
    return None
