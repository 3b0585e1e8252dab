"""The SQLite database's schema, as numbered migrations, and how a connection is set up.

`PRAGMA user_version` holds the number of the last migration applied. Processes that open one file together
apply them under the write lock, so each is applied once.
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from target_service.store.tables import first_schema, region_schema, sweeping_schema

T = TypeVar("T")

BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

CHECKPOINT_PAGES = 4000
"""Pages (4 KiB) of log after which a commit folds it into the database: 16 MB, rare enough not to cost
throughput, small enough that the fold stays below a few tens of milliseconds."""

CACHE_KIB = 4096
"""SQLite's page cache of one connection. Every order adds pages that are not looked at again, so any cache fills
up; this one is full before 54,000 orders, and memory is flat from then on, as a soak's `drift == 0` expects. More is
hardly faster, since what falls out is still in the kernel's page cache. Orders a CPU-second with random keys, on a
machine others used too: in batches of 64, the last 100,000 of 400,000 orders, 2, 4 and 8 MiB made 34,300 to 34,700,
34,300 to 34,800 and 33,100 to 33,800; the last 200,000 of 800,000, 2, 8 and 64 MiB made 29,400, 32,300 and 28,500.
Only batches of 512 gain: 31,200, 34,100 and 38,400 with 2, 8 and 64 MiB."""


MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE writers (writer_id INTEGER PRIMARY KEY AUTOINCREMENT, started_at TEXT NOT NULL)",
        *first_schema("INTEGER", " WITHOUT ROWID"),
    ),
    sweeping_schema("INTEGER", " WITHOUT ROWID"),
    region_schema(),
)
"""Each entry brings the schema one version further; entries are only ever added at the end."""


def connect(path: Path, *, may_create: bool = True) -> sqlite3.Connection:
    """A connection in autocommit mode (transactions are explicit) that reports a lock at once.

    Any thread may use it, one at a time: the store opens it in one thread and writes from another.
    """
    how = "rwc" if may_create else "rw"
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={how}",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
    )
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection


def prepare(connection: sqlite3.Connection, synchronous: str) -> None:
    """Switch to the write-ahead log and apply what migrations are missing. Raises sqlite3.Error."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        _migrate(connection)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _migrate(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise sqlite3.DatabaseError(
            f"schema version {version} is newer than this program's {len(MIGRATIONS)}"
        )
    for migration in MIGRATIONS[version:]:
        for statement in migration:
            connection.execute(statement)
    if version < len(MIGRATIONS):
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def retry_while_locked(action: Callable[[], T], wait_s: float) -> T:
    """Repeat an action while another process holds the lock, for at most `wait_s`; then raise its error."""
    until_ns = time.monotonic_ns() + int(wait_s * 1e9)
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if not is_locked(error) or time.monotonic_ns() > until_ns:
                raise
            time.sleep(0.005)


def is_locked(error: sqlite3.Error) -> bool:
    """Whether the error means that another process holds the lock."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY
