"""The audit of many orders: how long it takes, and how much memory.

    python -m benchmarks.audit [--orders 10000000] [--keys-only] [--folder DIR]

makes a ledger and a SQLite store of so many orders, as the order service writes them, and audits them in a process of
its own. `--keys-only` makes up the keys instead of reading them, so that a hundred million need no database of 10 GB.
"""

import argparse
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from loadtest.judge.audit import Reconciliation, StoredOrders
from loadtest.measure.ledger import SUFFIX, OrderState, open_ledgers
from loadtest.run_audit import from_store

RUN = "20261111T155950Z-day-abc123"
LEDGERS = 4
TABLES = """
CREATE TABLE orders (idempotency_key TEXT, lines TEXT, status TEXT);
CREATE INDEX by_key ON orders (idempotency_key);
CREATE TABLE shadow_orders (run_id TEXT, idempotency_key TEXT, part INTEGER, lines TEXT, status TEXT);
CREATE TABLE shadow_stock (run_id TEXT, sku_no INTEGER, initial INTEGER, available INTEGER);
"""


def ledgers(folder: Path, orders: int) -> None:
    """The ledgers of `LEDGERS` workers, every order acknowledged."""
    (folder / "ledger").mkdir()
    for ledger in range(LEDGERS):
        states = bytes([OrderState.ACKNOWLEDGED]) * (orders // LEDGERS)
        (folder / "ledger" / f"w{ledger}{SUFFIX}").write_bytes(states)


def keys(orders: int) -> Iterator[str]:
    """Every order's key, as workers take turns."""
    for number in range(orders // LEDGERS):
        for ledger in range(LEDGERS):
            yield f"{RUN}:w{ledger}:{number}"


def store(path: Path, orders: int) -> None:
    """The same orders as the service stores them."""
    database = sqlite3.connect(path)
    database.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + TABLES)
    rows = ((RUN, key, 0, f"[[{at % 1000},1,1999]]", "created") for at, key in enumerate(keys(orders)))
    database.executemany("INSERT INTO shadow_orders VALUES (?, ?, ?, ?, ?)", rows)
    each = orders // 1000
    stock = [(RUN, sku, 10 * each, 9 * each) for sku in range(1000)]
    database.executemany("INSERT INTO shadow_stock VALUES (?, ?, ?, ?)", stock)
    database.commit()
    database.close()


def audit(folder: Path, orders: int, keys_only: bool) -> None:
    """Audit what is in the folder, and print what that took."""
    began_s, cpu_s = time.perf_counter(), time.process_time()
    ledgers = Reconciliation(open_ledgers(folder / "ledger", RUN))
    if keys_only:
        ledgers.add(keys(orders))
        found = ledgers.audit(StoredOrders())
    else:
        found = from_store(f"sqlite:///{folder / 'orders.db'}")(ledgers, RUN)
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert found.balanced, found
    print(
        f"{found.stored:,} orders audited in {took_s:.1f} s ({cpu_s:.1f} CPU-s, {cpu_s / orders * 1e6:.2f} us each), "
        f"at most {peak_mb:,.0f} MiB"
    )


def main() -> None:
    """Make the ledgers, then audit them in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=10_000_000)
    parser.add_argument("--keys-only", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the ledgers are made")
    parser.add_argument("--of", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.of is not None:
        audit(asked.of, asked.orders, asked.keys_only)
        return
    orders = asked.orders // (1000 * LEDGERS) * 1000 * LEDGERS
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        ledgers(folder, orders)
        if not asked.keys_only:
            store(folder / "orders.db", orders)
        flags = ["--keys-only"] if asked.keys_only else []
        subprocess.run(
            [sys.executable, "-m", "benchmarks.audit", "--orders", str(orders), "--of", name, *flags],
            check=True,
        )


if __name__ == "__main__":
    main()
