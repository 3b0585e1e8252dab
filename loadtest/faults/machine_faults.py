"""Faults of the machine: processes that compute, and a file that fills a small disk in memory.

Both are done by what dies with the player, or is removed by whoever undoes it. A disk is filled only where that can
hurt nobody else: a tmpfs with little room left.
"""

import asyncio
import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path

import psutil

from loadtest.faults.maker import FaultError, Maker
from loadtest.faults.messages import Token
from loadtest.parent import die_with_parent
from loadtest.plan.fault import Fault

FILLER = ".singlesday-disk-full"
MOST_FILLED_BYTES = 1 << 30
_CHUNK_BYTES = 1 << 20


class CpuFault(Maker):
    """Processes that compute on the service's cores."""

    def __init__(self, fault: Fault, service_pid: int | None) -> None:
        self._fault = fault
        self._service_pid = service_pid
        self._hogs: list[subprocess.Popen[bytes]] = []

    def check(self) -> None:
        """Any machine can be kept busy."""

    async def begin(self) -> tuple[str, Token]:
        """Start them."""
        cores, player = self._cores(), os.getpid()

        def prepare() -> None:
            die_with_parent(player)
            os.sched_setaffinity(0, cores)

        for _ in range(self._fault.cores):
            hog = subprocess.Popen(
                [sys.executable, "-S", "-c", "while True: pass"],
                preexec_fn=prepare,  # noqa: PLW1509 - it only asks the kernel
            )
            self._hogs.append(hog)
        return f"{self._fault.cores} processes computed on core {', '.join(map(str, sorted(cores)))}", {}

    async def undo(self, _token: Token) -> None:
        """End them."""
        for hog in self._hogs:
            hog.kill()
            await asyncio.to_thread(hog.wait)
        self._hogs.clear()

    def _cores(self) -> set[int]:
        with contextlib.suppress(OSError):
            return set(os.sched_getaffinity(self._service_pid or 0))
        return set(os.sched_getaffinity(0))


class DiskFault(Maker):
    """A file that fills a tmpfs."""

    def __init__(self, fault: Fault) -> None:
        self._folder = Path(fault.folder).absolute()

    def check(self) -> None:
        """Raises `FaultError` unless the folder is of a small tmpfs that can be written."""
        if not self._folder.is_dir():
            raise FaultError(f"{self._folder}: expected a folder")
        mounted = [
            part for part in psutil.disk_partitions(all=True) if self._folder.is_relative_to(part.mountpoint)
        ]
        kind = max(mounted, key=lambda part: len(part.mountpoint)).fstype if mounted else "no disk"
        if kind != "tmpfs":
            raise FaultError(f"{self._folder}: expected a folder of a tmpfs, and it is of {kind}")
        if not os.access(self._folder, os.W_OK):
            raise FaultError(f"{self._folder}: expected a folder that can be written")
        free = psutil.disk_usage(str(self._folder)).free
        if free > MOST_FILLED_BYTES:
            raise FaultError(
                f"{self._folder}: expected at most {MOST_FILLED_BYTES >> 20} MiB free, since what fills it is "
                f"memory; got {free >> 20} MiB"
            )

    async def begin(self) -> tuple[str, Token]:
        """Write until there is no room left."""
        path = self._folder / FILLER
        written = await asyncio.to_thread(_fill, path)
        return f"{written:,} bytes filled {self._folder}", {"path": str(path)}

    async def undo(self, token: Token) -> None:
        """Remove the file."""
        Path(str(token.get("path") or self._folder / FILLER)).unlink(missing_ok=True)


def _fill(path: Path) -> int:
    """Write zeros into a file until the disk is full; how many."""
    written, size = 0, _CHUNK_BYTES
    with path.open("wb", buffering=0) as file:
        while size and written <= MOST_FILLED_BYTES:
            try:
                written += file.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise FaultError(f"{path}: cannot be written ({error.strerror})") from error
                size //= 2
    return written
