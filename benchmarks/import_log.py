"""How many lines of an access log `singlesday import log` reads with a second of CPU, and the memory it takes.

    python -m benchmarks.import_log [LINES]

The whole command is measured, from its start to the files that it writes, in all threads, for each format and
packing. What is spent once (start, keys, queries, steps) weighs the less the longer a log is; two million lines are a
busy shop's quarter of an hour. The floors do a part of the work and nothing else: unpacking, and cutting lines at
their quotes by polars. CPU on a busy machine is dearer: compare with the floors beside it.
"""

import gzip
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import zstandard
from rich.console import Console
from rich.table import Table

from loadtest.importing.log_files import pieces_of

LINES = 2_000_000
BATCH = 100_000
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0"
RATE = 2_000
COMBINED = '{} - - [{}] "{} HTTP/1.1" 200 153 "https://shop.example.com/" "' + AGENT + '"'
NGINX_JSON = (
    '["time_iso8601":"{}","remote_addr":"{}","request":"{} HTTP/1.1","status":"200","body_bytes_sent":"153",'
    f'"request_time":"0.004","http_user_agent":"{AGENT}"]'
)

ENVOY_JSON = (
    '["start_time":"{}.310Z","method":"{}","path":"{}","protocol":"HTTP/1.1","response_code":200,'
    '"x-forwarded-for":"{}","duration":4]'
)
CLOUDFLARE = (
    '["ClientIP":"{}","ClientRequestHost":"shop.example.com","ClientRequestMethod":"{}","ClientRequestURI":"{}",'
    '"EdgeResponseBytes":153,"EdgeResponseStatus":200,"EdgeStartTimestamp":{},"RayID":"3a6050bcbe121a87"]'
)


def requests(first: int, lines: int) -> pl.DataFrame:
    """Instants, clients and requests of a shop: half are for products, with a skew; orders are never the same."""
    number = pl.int_range(first, first + lines, eager=True).alias("number")
    draw = number.hash(seed=1).cast(pl.Float64) / 2**64
    rank = ((number.hash(seed=2).cast(pl.Float64) + 1) / 2**64).pow(-1 / 1.1).clip(1, 1e9).cast(pl.Int64)
    frame = pl.DataFrame({"number": number, "draw": draw, "sku": rank % 100_000, "id": number.hash(seed=3)})
    of = pl.col("draw")
    asked = (
        pl.when(of < 0.5)
        .then(pl.format("GET /products/sku-{}", pl.col("sku").cast(pl.String).str.zfill(6)))
        .when(of < 0.6)
        .then(pl.lit("POST /orders"))
        .when(of < 0.8)
        .then(pl.format("GET /search?q={}", pl.col("id") % 500))
        .otherwise(pl.format("GET /orders/{}", pl.col("id")))
    )
    at = pl.from_epoch(1_762_815_600 + pl.col("number") // RATE)
    client = pl.format("10.{}.{}.9", pl.col("id") // 256 % 4, pl.col("id") % 256)
    return frame.select(asked=asked, at=at, client=client)


def combined(frame: pl.DataFrame) -> pl.Series:
    """Lines of nginx' `combined`."""
    at = pl.col("at").dt.strftime("%d/%b/%Y:%H:%M:%S +0000")
    return frame.select(line=pl.format(COMBINED, "client", at, "asked"))["line"]


def nginx_json(frame: pl.DataFrame) -> pl.Series:
    """Lines of a usual `log_format … escape=json`."""
    at = pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    return _objects(frame, pl.format(NGINX_JSON, at, "client", "asked"))


def envoy_json(frame: pl.DataFrame) -> pl.Series:
    """Lines of Envoy's default JSON, with milliseconds."""
    at = pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S")
    return _objects(frame, pl.format(ENVOY_JSON, at, *_METHOD_AND_PATH, "client"))


def cloudflare(frame: pl.DataFrame) -> pl.Series:
    """Lines of Cloudflare's Logpush, whose instants are nanoseconds, no two of them the same."""
    at_ns = pl.col("at").dt.epoch("ns") + pl.int_range(pl.len()) % RATE * 1_000_003 // 2_003
    return _objects(frame, pl.format(CLOUDFLARE, "client", *_METHOD_AND_PATH, at_ns))


_METHOD_AND_PATH = [pl.col("asked").str.splitn(" ", 2).struct.field(f"field_{part}") for part in range(2)]


def _objects(frame: pl.DataFrame, line: pl.Expr) -> pl.Series:
    """Lines whose brackets are braces, which `pl.format` takes for its own."""
    return frame.select(line="{" + line.str.slice(1).str.head(-1) + "}")["line"]


def text_of(lines: int, written: Callable[[pl.DataFrame], pl.Series]) -> Iterator[bytes]:
    """A log, some lines at a time."""
    for first in range(0, lines, BATCH):
        some = written(requests(first, min(BATCH, lines - first)))
        yield ("\n".join(some) + "\n").encode()


def write(path: Path, text: Iterator[bytes]) -> None:
    """Pack a log as its name says."""
    with path.open("wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6) as packed:
                packed.writelines(text)
        elif path.suffix == ".zst":
            with zstandard.ZstdCompressor().stream_writer(raw, closefd=False) as stream:
                for some in text:
                    stream.write(some)
        else:
            raw.writelines(text)


def command(log: Path, out: Path) -> tuple[float, float]:
    """CPU seconds and megabytes of the whole command."""
    singlesday = str(Path(sys.executable).with_name("singlesday"))
    arguments = [singlesday, "import", "log", str(log), "--out", str(out)]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, code, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def cpu_s(work: Callable[[], object]) -> float:
    """What a piece of work costs, in all threads."""
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def cut_at_quotes(log: Path) -> None:
    """Lines cut by polars, and nothing done with them."""
    for piece in pieces_of(log):
        pl.read_csv(
            io.BytesIO(b'head"request"tail\n' + piece),
            separator='"',
            quote_char=None,
            infer_schema=False,
            truncate_ragged_lines=True,
            encoding="utf8-lossy",
        )


def main() -> None:
    """Print the table."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else LINES
    table = Table(
        "format", "lines/CPU-s, whole command", "memory in MB", "unpacking alone", "and cut at quotes"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = (
            ("combined", combined, ("", ".gz", ".zst")),
            ("nginx-json", nginx_json, ("", ".gz", ".zst")),
            ("envoy-json", envoy_json, ("",)),
            ("cloudflare", cloudflare, ("",)),
        )
        for kind, written, endings in kinds:
            for ending in endings:
                log = folder / f"{kind.replace('-', '_')}.log{ending}"
                write(log, text_of(lines, written))
                spent_s, used_mb = command(log, folder / f"out{ending}-{kind}")
                unpacked_s = cpu_s(lambda log=log: sum(map(len, pieces_of(log))))  # type: ignore[misc]
                cut_s = cpu_s(lambda log=log: cut_at_quotes(log))  # type: ignore[misc]
                table.add_row(
                    kind + ending,
                    f"{lines / spent_s:,.0f}",
                    f"{used_mb:,.0f}",
                    f"{lines / unpacked_s:,.0f}",
                    f"{lines / cut_s:,.0f}",
                )
                log.unlink()
    Console(file=sys.stdout).print(table)


if __name__ == "__main__":
    main()
