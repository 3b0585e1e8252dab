"""A file system of some megabytes, and a way to fill it."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[bool]:
    """Mount a tmpfs of `mib` MiB at `folder`, which is made; says whether that was allowed (it needs root)."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def disk_or_skip(folder: Path, mib: int) -> Iterator[Path]:
    """A file system of `mib` MiB at `folder`; skips the test where none can be made."""
    with small_disk(folder, mib) as mounted:
        if not mounted:
            pytest.skip("mounting a small file system needs root")
        yield folder


def fill(disk: Path) -> None:
    """Write until there is no room for another block."""
    with contextlib.suppress(OSError), (disk / "ballast").open("ab", buffering=0) as ballast:
        while ballast.write(b"x" * 4096):
            pass
