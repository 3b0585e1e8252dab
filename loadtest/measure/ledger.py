"""The client's ledger: one byte per order key, kept in a memory-mapped file that outlives its process.

The audit needs to know, for every order that was ever sent, whether the service acknowledged it. A worker may
be killed at any instant, so the ledger cannot wait in a buffer; a write a record would cost a system call an
order. A shared memory map costs neither: storing one byte takes tens of nanoseconds, and after `kill -9` the
kernel still owns the page and writes it back. (Losing power loses pages, but then the run is lost as well.)

The key of order `n` in ledger `b` of run `r` is `r:b:n`, so the file needs no keys at all: byte `n` is the state
of order `n`. States only move forward: INTENT when the order is about to be sent, then ACKNOWLEDGED,
REJECTED (the service said no, so it is not stored), or UNKNOWN (no answer, or one that leaves that open: it may or
may not be stored).

The file's blocks are reserved before they are mapped. A store into a hole of a sparse file, on a disk that has
become full, is a SIGBUS, which ends the worker without a word; reserving fails as an `OSError` instead, before
the order that nobody could note is sent.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from enum import IntEnum
from itertools import count
from pathlib import Path
from typing import BinaryIO, NamedTuple

SUFFIX = ".ledger"
OF_REGION = "@"
"""Between a region and a worker's ledger name, in the name of the ledger of the orders that were placed there."""
GROWTH_BYTES = 1 << 20
"""The file grows by a mebibyte, a million orders, at a time."""


class OrderState(IntEnum):
    """What the client knows of one order."""

    UNUSED = 0
    INTENT = 1
    ACKNOWLEDGED = 2
    REJECTED = 3
    UNKNOWN = 4


class Ledger:
    """The ledger of one worker in one run, open for writing.

    A ledger that is there already, of an earlier part of the run, is never written to: this one then gets a name of
    its own, and so do its keys.
    """

    def __init__(self, folder: Path, run_id: str, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self._file = _new_file(folder, name)
        self._prefix = f"{run_id}:{self.path.name.removesuffix(SUFFIX)}:"
        self._next = 0
        self._capacity = 0
        self.trouble: OSError | None = None
        """Why no further order can be noted, once that is so."""
        try:
            self._map = self._grow()
        except OSError:
            self._file.close()
            self.path.unlink(missing_ok=True)
            raise

    def intend(self) -> tuple[int, str]:
        """Note that an order is about to be sent; its number and its idempotency key.

        Raises `OSError` where disk or memory has no room for more of it: the order must not be sent then.
        """
        number = self._next
        if number == self._capacity:
            self._map = self._grow()
        self._next = number + 1
        self._map[number] = OrderState.INTENT
        return number, f"{self._prefix}{number}"

    def settle(self, number: int, state: OrderState) -> None:
        """Note how order `number` ended."""
        self._map[number] = state

    def close(self) -> None:
        """Write everything back and cut the file to the orders it holds."""
        if not self._map.closed:
            self._map.flush()
            self._map.close()
            self._file.truncate(self._next)
            self._file.close()

    def _grow(self) -> mmap.mmap:
        """A longer map in place of the old one, which stays where it is when there is no room for that."""
        longer = self._capacity + GROWTH_BYTES
        try:
            os.posix_fallocate(self._file.fileno(), self._capacity, GROWTH_BYTES)
            grown = mmap.mmap(self._file.fileno(), longer)
        except OSError as error:
            self.trouble = error
            raise
        if self._capacity:
            self._map.close()
        self._capacity = longer
        return grown


def _new_file(folder: Path, name: str) -> tuple[Path, BinaryIO]:
    """A file that was not there before, named after `name`."""
    for number in count(1):
        path = folder / f"{name if number == 1 else f'{name}-{number}'}{SUFFIX}"
        with suppress(FileExistsError):
            return path, path.open("x+b")
    raise AssertionError("numbers do not end")


class LedgerFile(NamedTuple):
    """One worker's ledger: order n has the key `prefix:n` and the state `states[n]`."""

    prefix: str
    states: bytes


def region_of(key: str) -> str:
    """The region that the order of a key was placed in, by its ledger; empty where that was not noted."""
    return key.rpartition(":")[0].rpartition(":")[2].rpartition(OF_REGION)[0]


def open_ledgers(folder: Path, run_id: str) -> list[LedgerFile]:
    """Every ledger below `folder`, also of workers that never closed them. Raises `OSError`.

    They are read, not mapped: a worker may be about to cut its file to the orders that it holds (`Ledger.close`), and
    whoever reads a map beyond the end of its file is killed by SIGBUS.
    """
    return [
        LedgerFile(f"{run_id}:{path.name.removesuffix(SUFFIX)}", path.read_bytes())
        for path in sorted(folder.glob(f"*{SUFFIX}"))
    ]


class LedgerEntry(NamedTuple):
    """One order as the client knows it."""

    key: str
    state: OrderState


def read_ledgers(folder: Path, run_id: str) -> Iterator[LedgerEntry]:
    """Every order in the ledgers below `folder`, also of workers that never closed theirs. Raises `OSError`."""
    for ledger in open_ledgers(folder, run_id):
        for number, state in enumerate(ledger.states):
            if state != OrderState.UNUSED:
                yield LedgerEntry(f"{ledger.prefix}:{number}", OrderState(state))
