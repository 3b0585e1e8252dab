"""The address of a target of any protocol: `http://shop:8080`, `wss://shop/chat`, `redis://cache`, `shop:50051`."""

from typing import NamedTuple
from urllib.parse import urlsplit

_PORTS = {
    "amqp": 5672,
    "amqps": 5671,
    "http": 80,
    "https": 443,
    "mongodb": 27017,
    "mqtt": 1883,
    "mqtts": 8883,
    "mysql": 3306,
    "nats": 4222,
    "postgres": 5432,
    "postgresql": 5432,
    "redis": 6379,
    "rediss": 6379,
    "ws": 80,
    "wss": 443,
}
"""The port of a scheme whose address has none: IANA's registered ones, and what the projects' clients take."""


class TargetAddress(NamedTuple):
    """Where a target's connections go."""

    scheme: str
    """In lower case; empty where the address is a host and its port alone, as gRPC's are."""
    host: str
    port: int


def target_address(written: str) -> TargetAddress:
    """Read the address of a target. Raises `ValueError` for what names no host or no port."""
    parts = urlsplit(written if "://" in written else f"//{written}")
    port = parts.port or _PORTS.get(parts.scheme)
    if not parts.hostname or port is None:
        raise ValueError("expected an address such as http://127.0.0.1:8080, or 127.0.0.1:50051")
    return TargetAddress(parts.scheme, parts.hostname, port)
