"""Who scrapes: asks every page of metrics it is told of, every 100 ms, as Prometheus asks.

    python -m benchmarks.service.scraper HOST:PORT ...

It stands for a Prometheus on another machine (see `benchmarks.service.elsewhere`), one connection a page. Ends when
its standard input is closed.
"""

import contextlib
import re
import select
import socket
import sys
import time
from collections.abc import Sequence
from math import ceil

from benchmarks.service.elsewhere import elsewhere, give_way, say_ready

SCRAPE_EVERY_S = 0.1
PROMETHEUS_ASKS = (
    b"GET /metrics HTTP/1.1\r\nHost: bench\r\nUser-Agent: Prometheus/2.42.0\r\nAccept-Encoding: gzip\r\n"
    b"Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    b"text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\nX-Prometheus-Scrape-Timeout-Seconds: 1\r\n\r\n"
)
"""As Debian's Prometheus writes it (scrape/scrape.go)."""


def read_answer(connection: socket.socket) -> bytes:
    """One whole answer. Raises OSError if it is not 200, or the connection is closed."""
    data = connection.recv(1 << 20)
    while (begins := data.find(b"\r\n\r\n")) < 0:
        data += more(connection)
    length = re.search(rb"\r\ncontent-length: *(\d+)", data[: begins + 2], re.IGNORECASE)
    if not data.startswith(b"HTTP/1.1 200") or length is None:
        raise OSError(f"a scrape was answered with {data[:200]!r}")
    while len(data) < begins + 4 + int(length[1]):
        data += more(connection)
    return data


def more(connection: socket.socket) -> bytes:
    """Further bytes of an answer. Raises OSError if there are none."""
    data = connection.recv(1 << 20)
    if not data:
        raise OSError("a scrape's connection was closed")
    return data


def scrape(addresses: Sequence[tuple[str, int]]) -> None:
    """Ask all of them in turn until standard input ends."""
    with contextlib.ExitStack() as stack:
        asked = [stack.enter_context(socket.create_connection(address, 5)) for address in addresses]
        say_ready()
        due_s = ceil(time.time() / SCRAPE_EVERY_S) * SCRAPE_EVERY_S
        while not select.select([sys.stdin], [], [], max(0.0, due_s - time.time()))[0]:
            for connection in asked:
                connection.sendall(PROMETHEUS_ASKS)
                read_answer(connection)
            due_s += SCRAPE_EVERY_S


def scraping(addresses: Sequence[tuple[str, int]]) -> contextlib.AbstractContextManager[None]:
    """Have pages scraped, from a process of their own."""
    return elsewhere("benchmarks.service.scraper", *(f"{host}:{port}" for host, port in addresses))


if __name__ == "__main__":
    give_way()
    scrape([(host, int(port)) for host, _, port in (argument.rpartition(":") for argument in sys.argv[1:])])
