"""Feeders: every row is there, each worker has its own, and the memory does not grow with the file."""

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from locust.env import Environment

from loadtest import feeders
from loadtest.drive.run_context import RunContext, enter_run
from loadtest.feeders import Feeder, FeederError, Lines

ROOT = Path(__file__).parents[1]


@contextmanager
def worker(number: int, workers: int) -> Iterator[None]:
    """A run in which this process is one of some workers."""
    environment = Environment()
    enter_run(environment, RunContext("run", 1, number, "book", workers=workers))
    try:
        yield
    finally:
        enter_run(environment, None)


def a_csv(folder: Path, rows: int) -> Path:
    path = folder / "keys.csv"
    path.write_text("key\n" + "".join(f"key-{number}\n" for number in range(rows)))
    return path


def given_by(feeder: Feeder, number: int, workers: int, rows: int) -> list[str]:
    with worker(number, workers):
        return [feeder.next()["key"] for _ in range(rows)]


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=40),
        max_size=200,
    ),
    st.booleans(),
    st.integers(1, 4000),
)
def test_every_line_of_a_file_is_found_by_its_number(lines: list[str], ended: bool, stretch: int) -> None:
    lines = [line * (stretch if number % 7 == 0 else 1) for number, line in enumerate(lines)]
    lines = [line[:9000].lstrip("\ufeff") for line in lines]
    text = "\n".join(lines) + ("\n" if ended and lines else "")
    wanted = text.removesuffix("\n").split("\n") if text else []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lines.txt"
        path.write_bytes(text.encode())
        found = Lines(path)
        assert found.count == len(wanted)
        for number in reversed(range(found.count)):
            assert found.line(number) == wanted[number]


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_workers_share_the_rows_without_overlap_and_none_is_left(tmp_path: Path, workers: int) -> None:
    path = a_csv(tmp_path, 50)
    seen: Counter[str] = Counter()
    for number in range(workers):
        feeder = feeders.csv(path, share="split", at_end="refuse")
        rows = len(range(number, 50, workers))
        seen.update(given_by(feeder, number, workers, rows))
        with pytest.raises(FeederError, match=f"all {rows} rows of this worker"):
            given_by(feeder, number, workers, rows + 1)
    assert len(seen) == 50
    assert set(seen.values()) == {1}


def test_a_worker_that_joins_for_a_lost_one_begins_at_the_other_end(tmp_path: Path) -> None:
    path = a_csv(tmp_path, 20)
    lost = given_by(feeders.csv(path, share="split"), 1, 2, 5)
    late = given_by(feeders.csv(path, share="split"), 3, 2, 5)
    other = given_by(feeders.csv(path, share="split"), 0, 2, 10)
    assert not set(lost) & set(late)
    assert not set(other) & (set(lost) | set(late))


def test_rows_are_recycled_in_their_order(tmp_path: Path) -> None:
    feeder = feeders.csv(a_csv(tmp_path, 3))
    assert given_by(feeder, 0, 2, 7) == [f"key-{number % 3}" for number in range(7)]


def test_a_new_run_begins_at_the_first_row(tmp_path: Path) -> None:
    feeder = feeders.csv(a_csv(tmp_path, 5))
    assert given_by(feeder, 0, 1, 3) == given_by(feeder, 0, 1, 3)


def test_drawn_rows_follow_the_skew_and_are_the_same_with_the_same_seed(tmp_path: Path) -> None:
    path = a_csv(tmp_path, 1000)
    drawn = given_by(feeders.csv(path, skew=1.2), 0, 1, 20_000)
    assert drawn == given_by(feeders.csv(path, skew=1.2), 0, 1, 20_000)
    counts = Counter(drawn)
    assert counts["key-0"] > 2 * counts["key-1"] * 0.9
    assert counts["key-0"] > 20 * counts["key-50"]
    assert len(Counter(given_by(feeders.csv(path, order="random"), 0, 1, 5000))) > 900


def test_split_rows_are_drawn_from_a_workers_own(tmp_path: Path) -> None:
    path = a_csv(tmp_path, 100)
    drawn = [set(given_by(feeders.csv(path, share="split", skew=0.9), n, 2, 500)) for n in range(2)]
    assert not drawn[0] & drawn[1]


def test_json_lines_and_sqlite_give_what_csv_gives(tmp_path: Path) -> None:
    (tmp_path / "keys.jsonl").write_text("".join(json.dumps({"key": f"key-{n}"}) + "\n" for n in range(20)))
    with sqlite3.connect(tmp_path / "keys.db") as database:
        database.execute("CREATE TABLE keys (key TEXT)")
        database.executemany("INSERT INTO keys VALUES (?)", [(f"key-{n}",) for n in range(20)])
        database.execute("CREATE VIEW seen AS SELECT key FROM keys")
    database.close()
    wanted = given_by(feeders.csv(a_csv(tmp_path, 20), share="split"), 1, 3, 10)
    assert given_by(feeders.json_lines(tmp_path / "keys.jsonl", share="split"), 1, 3, 10) == wanted
    assert given_by(feeders.sqlite(tmp_path / "keys.db", "keys", share="split"), 1, 3, 10) == wanted
    assert given_by(feeders.sqlite(tmp_path / "keys.db", "keys"), 0, 1, 20)[19] == "key-19"


def test_sqlite_rows_with_gaps_are_all_found(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "keys.db") as database:
        database.execute("CREATE TABLE keys (id INTEGER PRIMARY KEY, key TEXT)")
        database.executemany("INSERT INTO keys VALUES (?, ?)", [(n * 3, f"key-{n}") for n in range(20)])
    database.close()
    rows = given_by(feeders.sqlite(tmp_path / "keys.db", "keys"), 0, 1, 20)
    assert rows == [f"key-{n}" for n in range(20)]


OTHER_TABLES = {
    "a view": "CREATE TABLE t (key TEXT); {rows}; CREATE VIEW keys AS SELECT key FROM t",
    "a table without rowids": "CREATE TABLE t (n INTEGER PRIMARY KEY, key TEXT) WITHOUT ROWID; {rows};"
    " ALTER TABLE t RENAME TO keys",
    "a table that calls another column so": "CREATE TABLE t (key TEXT, rowid TEXT); {rows};"
    " ALTER TABLE t RENAME TO keys",
}


@pytest.mark.parametrize("made", OTHER_TABLES.values(), ids=OTHER_TABLES.keys())
def test_sqlite_rows_without_a_number_of_their_own_are_all_found(tmp_path: Path, made: str) -> None:
    columns = "key" if "n INTEGER" not in made else "n, key"
    values = ", ".join(f"('key-{n}')" if columns == "key" else f"({n}, 'key-{n}')" for n in range(20))
    with sqlite3.connect(tmp_path / "keys.db") as database:
        rows = f"INSERT INTO t ({columns}) VALUES {values}"  # noqa: S608 - ours
        database.executescript(made.replace("{rows}", rows))
    database.close()
    feeder = feeders.sqlite(tmp_path / "keys.db", "keys")
    assert given_by(feeder, 0, 1, 40) == [f"key-{n}" for n in range(20)] * 2


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%20b", "a b"])
def test_an_sqlite_file_is_found_whatever_its_folder_is_called(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with sqlite3.connect(folder / "keys.db") as database:
        database.execute("CREATE TABLE keys AS SELECT 'key-0' AS key")
    database.close()
    assert given_by(feeders.sqlite(folder / "keys.db", "keys"), 0, 1, 1) == ["key-0"]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_generator_is_told_its_worker_and_begins_anew_with_each_run() -> None:
    def numbers(number: int, workers: int) -> Iterator[int]:
        yield from range(number, 10, workers)

    feeder = feeders.generator(numbers)
    for _ in range(2):
        with worker(1, 4):
            assert [feeder.next(), feeder.next()] == [1, 5]
    with worker(3, 4):
        assert [feeder.next(), feeder.next()] == [3, 7]
        with pytest.raises(FeederError, match="no more rows"):
            feeder.next()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: feeders.csv(folder / "none.csv"), "none.csv: cannot be read"),
        (feeders.csv, "cannot be read: Is a directory"),
        (feeders.json_lines, "cannot be read: Is a directory"),
        (lambda folder: feeders.csv(a_csv(folder, 0)), "expected at least one row"),
        (lambda folder: feeders.csv(a_csv(folder, 3), share="half"), 'share: expected "split" or "whole"'),
        (lambda folder: feeders.csv(a_csv(folder, 3), skew=-1), "skew: expected"),
        (lambda folder: feeders.csv(a_csv(folder, 3), skew=1.2, at_end="refuse"), "at_end"),
        (lambda folder: feeders.sqlite(a_csv(folder, 3), "keys"), "expected a table"),
    ],
)
def test_a_feeder_that_cannot_be_says_why(tmp_path: Path, make: Callable[[Path], object], said: str) -> None:
    with pytest.raises(FeederError, match=said):
        make(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1\n", ":2: expected 2 values"),
        ('a\n"1\n2"\n', ":2: expected a line of CSV: a quote that its line does not close"),
        ("a,b\n1,2\n\n3,4\n", ":3: expected 2 values"),
        ("a;b\n1;2\n", ":1: expected columns with a comma between them, got ';'"),
        ("a,b,a\n1,2,3\n", ':1: expected each column once, got "a" 2 times'),
        ("a\n\xff\n", ":2: expected UTF-8"),
    ],
)
def test_a_row_that_is_none_is_named_by_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "rows.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(FeederError, match=said):
        feeders.csv(tmp_path / "rows.csv")


def test_a_separator_in_a_name_is_a_part_of_it_where_no_row_has_it(tmp_path: Path) -> None:
    for name in ("price|eur", '"x;y"'):
        (tmp_path / "rows.csv").write_text(f"{name}\n1\n2\n")
        assert list(feeders.csv(tmp_path / "rows.csv").next()) == [name.strip('"')]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}\n[1]\n', ":2: expected a JSON object, got"),
        ('{"a": 1}\n\n{"a": 2}\n', ":2: expected a JSON object, got an empty line"),
        ('{"a": 1\n', ":1: expected a JSON object"),
        ("\n", "expected at least one row"),
    ],
)
def test_a_line_that_is_no_object_is_named_before_it_is_wanted(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(FeederError, match=said):
        feeders.json_lines(tmp_path / "rows.jsonl")


def test_empty_lines_at_the_end_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("key\r\na\r\nb\r\n\r\n \n")
    (tmp_path / "rows.jsonl").write_text('{"key": "a"}\n{"key": "b"}\n\n\n')
    for feeder in (feeders.csv(tmp_path / "rows.csv"), feeders.json_lines(tmp_path / "rows.jsonl")):
        assert given_by(feeder, 0, 1, 3) == ["a", "b", "a"]


def test_a_generator_that_is_no_function_is_refused() -> None:
    with pytest.raises(FeederError, match="generator: expected a function of worker and workers, got 5"):
        feeders.generator(5)  # type: ignore[arg-type]


def test_more_workers_than_rows_is_said(tmp_path: Path) -> None:
    feeder = feeders.csv(a_csv(tmp_path, 2), share="split")
    with worker(2, 3), pytest.raises(FeederError, match="a row for each of 3 workers"):
        feeder.next()


def test_a_relative_path_is_beside_the_script_that_asks(tmp_path: Path) -> None:
    a_csv(tmp_path, 3)
    (tmp_path / "script.py").write_text(
        "from loadtest import feeders\nprint(feeders.csv('keys.csv').next()['key'])\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        cwd="/",
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.stdout == "key-0\n", done.stderr


MEMORY = """
import resource, sys
from loadtest import feeders
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
keys = feeders.csv(sys.argv[1], skew=0.9)
for _ in range(20_000):
    keys.next()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow(held_by="test_every_line_of_a_file_is_found_by_its_number")
def test_ten_million_keys_take_less_than_50_mb(tmp_path: Path) -> None:
    path = tmp_path / "keys.csv"
    with path.open("w") as file:
        file.write("key\n")
        for thousands in range(10_000):
            file.write("".join(f"sku-{thousands * 1000 + n:08d}\n" for n in range(1000)))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, env=environment
    )
    path.unlink()
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 50_000, "kilobytes"
