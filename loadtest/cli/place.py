"""`HOST:PORT` as the command line has it: where a master listens."""

from typing import NamedTuple

from loadtest.configuration.config_error import ConfigError

CONTROL_PORT = 5557
"""Where none is given: Locust's."""


class Place(NamedTuple):
    """An address and a port, as `HOST:PORT` names them."""

    host: str
    port: int


def place_of(text: str, flag: str, port: int = CONTROL_PORT) -> Place:
    """`HOST`, `HOST:PORT` or `[IPV6]:PORT`. Raises `ConfigError` naming the flag."""
    host, colon, given = text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", "")
    host = host.removeprefix("[").removesuffix("]")
    usable = not colon or (given.isascii() and given.isdigit() and 0 < int(given) < 1 << 16)
    if not host or not usable or any(letter in host for letter in "/ @"):
        raise ConfigError(flag, f"{flag} {text}: expected HOST:PORT, for example 10.0.0.1:{port}", value=text)
    return Place(host, int(given) if colon else port)
