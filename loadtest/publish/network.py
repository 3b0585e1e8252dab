"""What crossed the network for each endpoint, in words: bytes, first byte, connections and TLS handshakes."""

from typing import NamedTuple

from loadtest.measure.run_result import Endpoint, Quantiles, RunResult
from loadtest.publish import wording

HEADINGS = (
    "sent",
    "per request",
    "received",
    "per response",
    "first byte p50",
    "first byte p99",
    "connections",
    "connect p50",
    "connect p99",
    "TLS p50",
    "TLS p99",
)

_NONE = "\N{EN DASH}"


class NetworkRow(NamedTuple):
    """One endpoint: its name, and a cell for each of `HEADINGS`."""

    name: str
    cells: list[str]


def network(result: RunResult) -> list[NetworkRow]:
    """A row for each endpoint whose requests our own client made."""
    return [
        NetworkRow(name, _cells(endpoint))
        for name, endpoint in result.endpoints.items()
        if endpoint.sent_bytes
    ]


def _cells(endpoint: Endpoint) -> list[str]:
    answered = max(1, endpoint.requests)
    return [
        wording.size(endpoint.sent_bytes),
        wording.size(endpoint.sent_bytes / answered),
        wording.size(endpoint.received_bytes),
        wording.size(endpoint.received_bytes / answered),
        *_two(endpoint.first_byte_ms),
        f"{endpoint.connect_ms.count:,}" if endpoint.connect_ms else _NONE,
        *_two(endpoint.connect_ms),
        *_two(endpoint.tls_ms),
    ]


def _two(quantiles: Quantiles | None) -> tuple[str, str]:
    if quantiles is None or not quantiles.count:
        return _NONE, _NONE
    return wording.latency(quantiles.p50), wording.latency(quantiles.p99)
