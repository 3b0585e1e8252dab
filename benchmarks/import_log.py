"""How many lines of an access log `singlesday import log` reads with a second of CPU, beside what bounds it.

    python -m benchmarks.import_log

Two logs of one kind, the second three times as long: what the longer one takes besides is the cost of a line; the
rest is spent once (keys, queries, steps). All threads' CPU is counted. The floors do a part of the work and nothing
else: unpacking alone, polars' reader alone (which cuts lines at their quotes), msgspec alone.
"""

import gzip
import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
import polars as pl
import zstandard
from rich.console import Console
from rich.table import Table

from loadtest.importing.log_files import pieces_of
from loadtest.importing.log_reader import read_logs

LINES = 400_000
LONGER = 3
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0"
DAY = "10/Nov/2025:23"


def request(random: Random) -> str:
    """One request of a shop: half are for products, with a skew."""
    kind = random.random()
    if kind < 0.5:
        return f"GET /products/sku-{int(random.paretovariate(1.1)) % 100_000:06d}"
    if kind < 0.6:
        return "POST /orders"
    return (
        f"GET /search?q={random.randrange(500)}"
        if kind < 0.8
        else f"GET /orders/{random.getrandbits(64):016x}"
    )


def combined(number: int, random: Random) -> str:
    """A line of nginx' `combined`."""
    client = f"10.{random.randrange(4)}.{random.randrange(256)}.{random.randrange(256)}"
    at = f"{DAY}:{number // 120_000 % 60:02d}:{number // 2_000 % 60:02d} +0000"
    return f'{client} - - [{at}] "{request(random)} HTTP/1.1" 200 153 "https://shop.example.com/" "{AGENT}"'


def nginx_json(number: int, random: Random) -> str:
    """A line of a usual `log_format … escape=json`."""
    client = f"10.{random.randrange(4)}.{random.randrange(256)}.{random.randrange(256)}"
    at = f"2025-11-10T23:{number // 120_000 % 60:02d}:{number // 2_000 % 60:02d}+00:00"
    return (
        f'{{"time_iso8601":"{at}","remote_addr":"{client}","request":"{request(random)} HTTP/1.1",'
        f'"status":"200","body_bytes_sent":"153","request_time":"0.004","http_user_agent":"{AGENT}"}}'
    )


def cpu_s(work: Callable[[], object]) -> float:
    """What a piece of work costs, in all threads."""
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def packed(data: bytes, ending: str) -> bytes:
    """As a file of that ending holds it."""
    if ending == ".gz":
        return gzip.compress(data, 6)
    return zstandard.ZstdCompressor().compress(data) if ending == ".zst" else data


def read_by_polars(data: bytes) -> object:
    """Lines cut at their quotes, and nothing done with them."""
    return pl.read_csv(
        io.BytesIO(b'head"request"tail\n' + data),
        separator='"',
        quote_char=None,
        infer_schema=False,
        truncate_ragged_lines=True,
        encoding="utf8-lossy",
    )


def measure(name: str, line: Callable[[int, Random], str], folder: Path, table: Table) -> None:
    """Add the rows of one format."""
    random = Random(1)
    data = "".join(f"{line(number, random)}\n" for number in range(LINES)).encode()
    for ending in ("", ".gz", ".zst"):
        once, often = folder / f"once.log{ending}", folder / f"often.log{ending}"
        once.write_bytes(packed(data, ending))
        often.write_bytes(packed(data * LONGER, ending))
        once_s = cpu_s(lambda path=once: read_logs([path]))  # type: ignore[misc]
        often_s = cpu_s(lambda path=often: read_logs([path]))  # type: ignore[misc]
        unpacked_s = cpu_s(lambda path=often: sum(map(len, pieces_of(path))))  # type: ignore[misc]
        a_second = LINES * (LONGER - 1) / max(often_s - once_s, 1e-9)
        whole = LINES * LONGER / often_s
        floor = LINES * LONGER / unpacked_s
        table.add_row(f"{name}{ending}", f"{a_second:,.0f}", f"{whole:,.0f}", f"{floor:,.0f}")
    alone_s = (
        cpu_s(lambda: read_by_polars(data))
        if line is combined
        else cpu_s(lambda: msgspec.json.Decoder(dict[str, str]).decode_lines(data))
    )
    reader = "polars' reader" if line is combined else "msgspec"
    table.add_row(f"{reader} alone, {name}", f"{LINES / alone_s:,.0f}", "", "")


def main() -> None:
    """Print the table."""
    table = Table(
        "format", "lines/CPU-s", "with what is spent once", "unpacking and cutting into lines alone"
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "warm.log").write_text(combined(0, Random(1)) + "\n")
        read_logs([Path(folder) / "warm.log"])
        for name, line in (("combined", combined), ("nginx-json", nginx_json)):
            measure(name, line, Path(folder), table)
    Console(file=sys.stdout).print(table)


if __name__ == "__main__":
    main()
