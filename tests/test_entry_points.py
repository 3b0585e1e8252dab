"""The entry points of installed packages, read once while Locust is imported."""

from importlib import metadata

import pytest

from loadtest.entry_points import entry_points_read_once


@pytest.mark.parametrize("group", ["console_scripts", "pytest11", "nobody.has.this"])
def test_who_asks_meanwhile_hears_what_is_installed(group: str) -> None:
    installed = set(metadata.entry_points(group=group))
    with entry_points_read_once():
        assert set(metadata.entry_points(group=group)) == installed


def test_however_often_somebody_asks_the_packages_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, reads = metadata.entry_points, []

    def counted() -> object:
        reads.append(1)
        return read()

    monkeypatch.setattr(metadata, "entry_points", counted)
    with entry_points_read_once():
        for _ in range(25):
            metadata.entry_points(group="gevent.plugins.monkey.will_patch_all")
    assert len(reads) == 1


def test_afterwards_they_are_read_again_even_if_the_import_failed() -> None:
    read = metadata.entry_points
    with pytest.raises(ImportError), entry_points_read_once():
        raise ImportError("no module named locust")
    assert metadata.entry_points is read
