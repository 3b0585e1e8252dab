"""Files that are there whole or not at all."""

import errno
from pathlib import Path

import pytest

from loadtest.measure.whole_file import whole_file, write_whole


def test_what_is_written_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole("old", path)
    write_whole("new µ", path)
    assert path.read_text(encoding="utf-8") == "new µ"
    assert list(tmp_path.iterdir()) == [path]


def fill_the_disk(path: Path) -> None:
    with whole_file(path) as file:
        file.write("half of")
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole("old", path)
    with pytest.raises(OSError, match="No space") as full:
        fill_the_disk(path)
    assert full.value.filename == str(path), "the disk does not say which file it was"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
