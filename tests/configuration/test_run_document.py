"""The configuration as a file: everything but passwords, which travel in the environment, and a lock."""

from pathlib import Path

import msgspec
import pytest

from loadtest.address import without_password
from loadtest.configuration.run_config import RunConfig, Source
from loadtest.configuration.run_document import (
    DOCUMENT,
    DocumentError,
    as_environment,
    from_environment,
    held,
    read_document,
    write_document,
)
from loadtest.plan.plan_file import Plan

PLAIN = RunConfig(
    plan=Plan.load("smoke"),
    plan_name="smoke",
    workers=2,
    targets=["http://127.0.0.1:8080"],
    allow_hosts=["shop.test"],
    csv=True,
    sources={"targets": Source("flag", "--target")},
)


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_document(PLAIN, tmp_path)
    assert read_document(tmp_path) == PLAIN


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("postgresql://shop:hunter2@db.test/orders", "postgresql://shop@db.test/orders"),
        ("postgresql://shop:a:b%40c@db.test:5432/orders", "postgresql://shop@db.test:5432/orders"),
        ("postgresql://shop:p@ss@db.test/orders", "postgresql://shop@db.test/orders"),
        (
            "postgresql://db.test/orders?user=u&password=hunter2&a=b",
            "postgresql://db.test/orders?user=u&&a=b",
        ),
        ("http://u:p@127.0.0.1:80/x", "http://u@127.0.0.1:80/x"),
        ("http://127.0.0.1:8080/@x:y@", "http://127.0.0.1:8080/@x:y@"),
        ("sqlite:////tmp/orders.db", "sqlite:////tmp/orders.db"),
    ],
)
def test_no_password_is_kept_and_nothing_else_is_lost(address: str, kept: str) -> None:
    assert without_password(address) == kept


def test_what_held_a_password_is_written_without_it_and_named(tmp_path: Path) -> None:
    settings = PLAIN.but(
        store="postgresql://shop:hunter2@db.test/orders", targets=["http://u:hunter2@127.0.0.1:1"]
    )
    write_document(settings, tmp_path)
    assert "hunter2" not in (tmp_path / DOCUMENT).read_text()
    assert read_document(tmp_path).withheld == ["store", "targets"]


def test_a_database_is_found_again_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_document(PLAIN.but(store="sqlite:///books.db"), tmp_path)
    assert read_document(tmp_path).store == f"sqlite:///{tmp_path.resolve() / 'books.db'}"
    assert read_document(tmp_path).withheld == []


BROKEN = {
    "no settings at all": (None, "expected the folder of a run"),
    "no JSON": ("{", "run.json"),
    "a setting of another kind": ('{"version": 2, "plan_name": "x", "workers": "two"}', "workers"),
    "a later version": (
        msgspec.json.encode(PLAIN).decode().replace('"version":2', '"version":3'),
        "version 3",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_settings_that_cannot_be_used_are_refused_by_name(case: str, tmp_path: Path) -> None:
    text, named = BROKEN[case]
    if text is not None:
        (tmp_path / DOCUMENT).write_text(text)
    with pytest.raises(DocumentError, match=named):
        read_document(tmp_path)


def test_a_folder_is_held_by_one_run_at_a_time(tmp_path: Path) -> None:
    write_document(PLAIN, tmp_path)
    with held(tmp_path), pytest.raises(DocumentError, match="still going on"), held(tmp_path):
        pytest.fail("it was held twice")
    with held(tmp_path):
        pass


def test_what_the_file_withholds_reaches_the_processes_of_the_run(tmp_path: Path) -> None:
    given = PLAIN.but(
        store="postgresql://shop:hunter2@db.test/orders", hosts={"a:B": "http://u:hunter2@127.0.0.1"}
    )
    write_document(given, tmp_path)
    assert from_environment(as_environment(given, tmp_path)) == given
    assert from_environment({}) is None
