"""Feeders: the data that a script sends, such as keys, logins and bodies, shared out over the workers of a run.

A feeder gives rows. It knows which rows are this worker's, in what order they come, and what happens after the last:

    SKUS = feeders.csv("skus.csv", skew=0.9)
    LOGINS = feeders.csv("logins.csv", share="split", at_end="refuse")

    class Member(FastHttpUser):
        def on_start(self):
            self.login = LOGINS.next()          # each user has a login of its own

Files lie beside the script. They are never read into memory: an index says how many lines begin before each 8 KB of
a file, and a row is read where it stands, so ten million rows cost some hundred kilobytes. A row is a line. Those at
the beginning are checked before anything is sent.

How rows are shared. With `split`, worker w of n has rows w, w + n, w + 2n and so on, so no two workers have one. A
worker that joins for a lost one takes that one's rows from the end of the file backwards, since what was used stands
at the beginning. With `whole`, every worker has all rows.
"""

import csv as csv_module
import inspect
import json
import math
import os
import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Generic, Literal, Protocol, TypeVar

from loadtest.drive.run_context import RunContext, current_run
from loadtest.plan.feeder_table import FeederTable
from loadtest.zipf import ZipfSampler

Row = dict[str, Any]
Options = dict[str, Any]
"""The keyword arguments of `Feeder`."""
T = TypeVar("T")
Order = Literal["sequential", "random"]
Share = Literal["split", "whole"]
AtEnd = Literal["recycle", "refuse"]
_BLOCK_BYTES = 8192
_MOST_ROW_BYTES = 1 << 20
_CHECKED_ROWS = 200
"""How many rows are read at once: whoever wrote a file wrongly mostly did so from the beginning. Each process of a
run reads those of all its feeders before it begins."""
_files: dict[Path, None] = {}


class FeederError(ValueError):
    """A feeder that cannot give rows: a file that is not there, a line that is none, or no row that is left."""


class Rows(Protocol):
    """Rows by their number, from 0."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> Row: ...


class Feeder:
    """Rows in an order, this worker's share of them. Made by `csv`, `json_lines` and `sqlite`."""

    def __init__(
        self,
        rows: Rows,
        source: str,
        *,
        order: Order = "sequential",
        share: Share = "whole",
        at_end: AtEnd = "recycle",
        skew: float | None = None,
    ) -> None:
        _check(source, order=order, share=share, at_end=at_end)
        if not len(rows):
            raise FeederError(f"{source}: expected at least one row")
        if skew is not None and not 0 < skew <= 5:
            raise FeederError(f"{source}: skew: expected a Zipf exponent above 0, at most 5, got {skew:g}")
        self._rows, self._source = rows, source
        self._random = order == "random" or skew is not None
        self._split, self._refuse, self._skew = share == "split", at_end == "refuse", skew
        if self._random and self._refuse:
            raise FeederError(
                f'{source}: at_end = "refuse": expected only with order = "sequential"; rows drawn at '
                "random never run out"
            )
        self._run: RunContext | None = None
        self._given = 0

    def check_rows(self, workers: int, wanted: float = 0) -> None:
        """Raise `FeederError` unless each of `workers` has a row; where rows may run out, as many as are `wanted`.

        `wanted` are the rows that one worker is certain to ask for.
        """
        count = len(self._rows)
        own = count // workers if self._split else count
        if own == 0:
            raise FeederError(
                f"{self._source}: expected at least a row for each of {workers} workers, got {count}"
            )
        if self._refuse and own < wanted:
            each = f", {own:,} for each of {workers} workers" if self._split and workers > 1 else ""
            raise FeederError(
                f'{self._source}: at_end = "refuse": expected at least {math.ceil(wanted):,} rows for the users of a '
                f"worker, got {count:,}{each}"
            )

    def next(self) -> Row:
        """The next row. Raises `FeederError` after the last one if the feeder refuses then."""
        run = current_run()
        if run is not self._run:
            self._begin(run)
        if self._random:
            return self._rows[self._draw()]
        if self._given >= self._own:
            if self._refuse:
                raise FeederError(f"{self._source}: all {self._own:,} rows of this worker have been given")
            self._given = 0
        number = self._given
        self._given += 1
        if self._late:
            number = self._own - 1 - number
        return self._rows[self._first + number * self._step]

    def _begin(self, run: RunContext) -> None:
        """A run begins: whose rows these are is known now."""
        workers = max(run.workers, 1) if self._split else 1
        self._run, self._given = run, 0
        self._late = self._split and run.worker >= workers
        self._first, self._step = run.worker % workers if self._split else 0, workers
        self._own = len(range(self._first, len(self._rows), self._step))
        self.check_rows(workers)
        random = run.random(f"feeder {self._source}")
        if self._skew is not None:
            exponent = self._skew if self._skew != 1 else 1 + 1e-9
            self._draw: Callable[[], int] = _ranks(ZipfSampler(self._own, exponent, random), self)
        else:
            self._draw = _anywhere(random, self)

    def place(self, number: int) -> int:
        """Where the `number`-th of this worker's own rows stands."""
        return self._first + number * self._step

    @property
    def own(self) -> int:
        """How many rows are this worker's."""
        return self._own


def _ranks(sampler: ZipfSampler, feeder: Feeder) -> Callable[[], int]:
    return lambda: feeder.place(sampler.draw() - 1)


def _anywhere(random: Random, feeder: Feeder) -> Callable[[], int]:
    return lambda: feeder.place(random.randrange(feeder.own))


class Generator(Generic[T]):
    """Rows that a function makes. It is called once a run, and told the worker's number and how many there are."""

    def __init__(self, make: Callable[[int, int], Iterator[T]]) -> None:
        self._make = make
        self._run: RunContext | None = None

    def next(self) -> T:
        """The next row. Raises `FeederError` where the generator has ended."""
        run = current_run()
        if run is not self._run:
            self._run, self._made = run, self._make(run.worker, max(run.workers, 1))
        for row in self._made:
            return row
        raise FeederError(f"{getattr(self._make, '__name__', 'generator')}: it has no more rows")


def csv(path: str | Path, **options: Any) -> Feeder:
    """Rows of a CSV file: the first line names the columns, values are text. Options are those of `Feeder`.

    Raises `FeederError` naming file and line.
    """
    return _csv(_beside_the_script(path), str(path), options)


def _csv(file: Path, source: str, options: Options) -> Feeder:
    lines = Lines(file)
    if not lines.count:
        raise FeederError(f"{file}: expected a first line with the names of the columns")
    names = _names(lines.line(0), file, lines.line(1) if lines.count > 1 else "")

    def row(number: int) -> Row:
        cells = _cells(lines.line(number + 1), file, number + 2)
        if len(cells) != len(names):
            raise FeederError(f"{file}:{number + 2}: expected {len(names)} values, got {len(cells)}")
        return dict(zip(names, cells, strict=True))

    return Feeder(_checked(max(_filled(lines) - 1, 0), row), source, **options)


def _names(line: str, file: Path, second: str) -> list[str]:
    """The columns that the first line of a CSV file names; the second tells a separator from a part of a name."""
    names = _cells(line, file, 1)
    for separator in (";", "\t", "|"):
        if len(names) == 1 and separator in names[0] and separator in second:
            raise FeederError(f"{file}:1: expected columns with a comma between them, got {separator!r}")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise FeederError(f'{file}:1: expected each column once, got "{twice}" {names.count(twice)} times')
    return names


def json_lines(path: str | Path, **options: Any) -> Feeder:
    """Rows of a file with a JSON object on each line. Options are those of `Feeder`.

    Raises `FeederError` naming file and line.
    """
    return _json_lines(_beside_the_script(path), str(path), options)


def _json_lines(file: Path, source: str, options: Options) -> Feeder:
    lines = Lines(file)

    def row(number: int) -> Row:
        line = lines.line(number)
        if not line.strip():
            raise FeederError(f"{file}:{number + 1}: expected a JSON object, got an empty line")
        try:
            value = json.loads(line)
        except ValueError as error:
            raise FeederError(f"{file}:{number + 1}: expected a JSON object: {error}") from error
        if not isinstance(value, dict):
            raise FeederError(f"{file}:{number + 1}: expected a JSON object, got {str(value)[:40]}")
        return value

    return Feeder(_checked(_filled(lines), row), source, **options)


def sqlite(path: str | Path, table: str, **options: Any) -> Feeder:
    """Rows of a table or view in an SQLite file, which is only read. Options are those of `Feeder`.

    Raises `FeederError` naming the file.
    """
    return _sqlite(_beside_the_script(path), str(path), table, options)


def _sqlite(file: Path, source: str, table: str, options: Options) -> Feeder:
    quoted = '"' + table.replace('"', '""') + '"'
    try:
        database = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, check_same_thread=False)
        database.row_factory = sqlite3.Row
        # The table's name is quoted, and it is the script's own.
        count = database.execute(f"SELECT count(*) FROM {quoted}").fetchone()[0]  # noqa: S608
    except sqlite3.Error as error:
        raise FeederError(f"{file}: {table}: expected a table of an SQLite file: {error}") from error
    first = _first_of_dense(database, quoted, count)
    where = "LIMIT 1 OFFSET ?" if first is None else "WHERE rowid = ?"
    one = f"SELECT * FROM {quoted} {where}"  # noqa: S608

    def row(number: int) -> Row:
        found = database.execute(one, ((first or 0) + number,)).fetchone()
        if found is None:
            raise FeederError(f"{file}: {table}: row {number + 1} is no longer there")
        return dict(found)

    return Feeder(_Parsed(count, row), f"{source}:{table}", **options)


def _first_of_dense(database: sqlite3.Connection, quoted: str, count: int) -> int | None:
    """The first rowid, where every row is found by counting on from it; None where rows have to be counted."""
    try:
        first, last = database.execute(f"SELECT min(rowid), max(rowid) FROM {quoted}").fetchone()  # noqa: S608
    except sqlite3.OperationalError:
        # A table WITHOUT ROWID, or a view, whose rowids are NULL before SQLite 3.36.
        return None
    return first if isinstance(first, int) and last == first + count - 1 else None


def planned(table: FeederTable, folder: Path) -> Feeder:
    """The feeder of files that a plan in `folder` asks for. Raises `FeederError`; `ValueError` for a generator."""
    options = {"order": table.order, "share": table.share, "at_end": table.at_end, "skew": table.skew}
    for read, path in ((_csv, table.csv), (_json_lines, table.json_lines)):
        if path is not None:
            return read(_used(folder.absolute() / path), path, options)
    if table.sqlite is None or table.table is None:
        raise ValueError("expected a feeder of a file")
    return _sqlite(_used(folder.absolute() / table.sqlite), table.sqlite, table.table, options)


def files_in_use() -> list[Path]:
    """The files that the feeders of this process read, in the order in which they were named."""
    return list(_files)


def generator(make: Callable[[int, int], Iterator[T]]) -> Generator[T]:
    """Rows that `make(worker, workers)` yields; a worker that yields worker, worker + workers, … shares none.

    Raises `FeederError` for what is no function.
    """
    if not callable(make):
        raise FeederError(f"generator: expected a function of worker and workers, got {make!r:.60}")
    return Generator(make)


class _Parsed:
    """Rows that are made as they are asked for."""

    def __init__(self, count: int, row: Callable[[int], Row]) -> None:
        self._count, self._row = count, row

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Row:
        return self._row(number)


def _checked(count: int, row: Callable[[int], Row]) -> _Parsed:
    """Rows of which the first are read now. Raises `FeederError` for the first that is none."""
    for number in range(min(count, _CHECKED_ROWS)):
        row(number)
    return _Parsed(count, row)


def _filled(lines: "Lines") -> int:
    """How many lines there are up to the last that is not empty."""
    count = lines.count
    while count and not lines.line(count - 1).strip():
        count -= 1
    return count


class Lines:
    """The lines of a file by their number, from 0, with an index of one number for each 8 KB."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ends = [0]
        """How many lines end before each block."""
        last = b"\n"
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            for offset in range(0, os.fstat(self._file).st_size, _BLOCK_BYTES):
                last = os.pread(self._file, _BLOCK_BYTES, offset)
                self._ends.append(self._ends[-1] + last.count(b"\n"))
        except OSError as error:
            raise FeederError(f"{path}: cannot be read: {error.strerror}") from error
        self.count = self._ends[-1] + (not last.endswith(b"\n"))
        """How many lines there are."""
        self._read: tuple[int, list[bytes]] = (-1, [])

    def line(self, number: int) -> str:
        """A line without its end. Raises `FeederError`."""
        block = bisect_left(self._ends, number) - 1 if number else 0
        within = number - self._ends[block]
        pieces = self._pieces(block)
        text = pieces[within]
        while within == len(pieces) - 1 and block + 2 < len(self._ends):
            block, within = block + 1, 0
            pieces = self._pieces(block)
            text += pieces[0]
            if len(text) > _MOST_ROW_BYTES:
                raise FeederError(f"{self._path}:{number + 1}: expected a line of at most 1 MB")
        try:
            return text.rstrip(b"\r").decode("utf-8-sig" if number == 0 else "utf-8")
        except UnicodeDecodeError as error:
            raise FeederError(f"{self._path}:{number + 1}: expected UTF-8") from error

    def _pieces(self, block: int) -> list[bytes]:
        if self._read[0] != block:
            data = os.pread(self._file, _BLOCK_BYTES, block * _BLOCK_BYTES)
            self._read = (block, data.split(b"\n"))
        return self._read[1]


def _cells(line: str, file: Path, number: int) -> list[str]:
    try:
        return next(csv_module.reader([line], strict=True), [])
    except csv_module.Error as error:
        why = (
            "a quote that its line does not close; a row is a line" if "end of data" in str(error) else error
        )
        raise FeederError(f"{file}:{number}: expected a line of CSV: {why}") from error


def _check(source: str, **given: str) -> None:
    known: Mapping[str, tuple[str, str]] = {
        "order": ("sequential", "random"),
        "share": ("split", "whole"),
        "at_end": ("recycle", "refuse"),
    }
    for name, value in given.items():
        if value not in known[name]:
            raise FeederError(
                f'{source}: {name}: expected "{known[name][0]}" or "{known[name][1]}", got {value!r}'
            )


def _beside_the_script(path: str | Path) -> Path:
    """A relative path is looked for beside the file that asks, wherever the run was started."""
    caller = next(
        (frame.filename for frame in islice(inspect.stack(0), 1, None) if frame.filename != __file__), "."
    )
    return _used(Path(caller).absolute().parent / path)


def _used(file: Path) -> Path:
    _files[file] = None
    return file
