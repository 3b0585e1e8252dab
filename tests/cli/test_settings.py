"""What a run leaves for the one that resumes it: everything but passwords, and a lock."""

from pathlib import Path

import msgspec
import pytest

from loadtest.cli.settings import (
    SETTINGS,
    RunSettings,
    SettingsError,
    held,
    read_settings,
    without_password,
    write_settings,
)

PLAIN = RunSettings(
    workers=2,
    service_workers=1,
    store=None,
    targets=["http://127.0.0.1:8080"],
    allow_hosts=["shop.test"],
    service_metrics=None,
    csv=True,
    checkpoint_s=60.0,
)


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_settings(PLAIN, tmp_path)
    assert read_settings(tmp_path) == PLAIN


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
    settings = msgspec.structs.replace(
        PLAIN, store="postgresql://shop:hunter2@db.test/orders", targets=["http://u:hunter2@127.0.0.1:1"]
    )
    write_settings(settings, tmp_path)
    assert "hunter2" not in (tmp_path / SETTINGS).read_text()
    assert read_settings(tmp_path).withheld == ["store", "targets"]


def test_a_database_is_found_again_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_settings(msgspec.structs.replace(PLAIN, store="sqlite:///books.db"), tmp_path)
    assert read_settings(tmp_path).store == f"sqlite:///{tmp_path.resolve() / 'books.db'}"
    assert read_settings(tmp_path).withheld == []


BROKEN = {
    "no settings at all": (None, "expected the folder of a run"),
    "no JSON": ("{", "run.json"),
    "a setting of another kind": ('{"workers": "two"}', "workers"),
    "a later version": (
        msgspec.json.encode(PLAIN).decode().replace('"version":1', '"version":2'),
        "version 2",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_settings_that_cannot_be_used_are_refused_by_name(case: str, tmp_path: Path) -> None:
    text, named = BROKEN[case]
    if text is not None:
        (tmp_path / SETTINGS).write_text(text)
    with pytest.raises(SettingsError, match=named):
        read_settings(tmp_path)


def test_a_folder_is_held_by_one_run_at_a_time(tmp_path: Path) -> None:
    write_settings(PLAIN, tmp_path)
    with held(tmp_path), pytest.raises(SettingsError, match="still going on"), held(tmp_path):
        pytest.fail("it was held twice")
    with held(tmp_path):
        pass
