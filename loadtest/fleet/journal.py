"""A worker's own record of a run: what it has reported since the master last saved the run.

A master that is killed takes with it what it was told after its last checkpoint. Each worker therefore writes its
reports into the run's folder too, as it numbers them, and begins a new file now and then; the master says with each
acknowledgement up to which number a checkpoint has them, and older files are removed; the last ones go when it has
written the result. `singlesday report` adds what is left to the checkpoint (`fleet.recovered`), so a run whose master
died is told up to the last word of its workers.

Records of a part of the run that was taken up again since may lie beside those of the last part, on the machines of
workers: what they tell was played again. So each file's name says of which part it is, by its time zero.

A file is a sequence of frames, each a length of four bytes and a `Report` as it travels. A frame that was cut short
by the end of its process ends the file. Writing is two small appends a second, to the page cache: no disk is waited
for.
"""

import contextlib
import logging
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from loadtest.fleet.messages import MAX_MESSAGE_BYTES, MessageError, Report, decode, encode

FOLDER = "workers"
"""Its name in a run folder."""
SUFFIX = ".reports"
FILE_REPORTS = 40
"""So many reports begin a new file: twenty seconds."""
_LENGTH = struct.Struct("<I")
_NUMBERS = re.compile(r"(-\d+)?-\d{7}\.reports$")

logger = logging.getLogger(__name__)


class Journal:
    """Writes one worker's reports. Where the disk refuses, it says so once and writes no more."""

    def __init__(self, folder: Path, worker: str) -> None:
        self._folder = folder / FOLDER
        self._worker = worker
        self._files: list[tuple[int, Path]] = []
        """(number of its last report, path) of each, oldest first."""
        self._out: IO[bytes] | None = None
        self._written = 0
        self._saved = 0
        self._broken = False

    def write(self, report: Report, zero_wall_ns: int = 0) -> None:
        """Append a report of the part of the run that has this time zero, as in its `Assign`."""
        if self._broken:
            return
        try:
            if self._out is None or self._written >= FILE_REPORTS:
                self._begin(report.number, zero_wall_ns)
            data = encode(report)
            assert self._out is not None  # noqa: S101 - just begun
            self._out.write(_LENGTH.pack(len(data)) + data)
            self._out.flush()
            self._written += 1
            self._files[-1] = (report.number, self._files[-1][1])
        except OSError as error:
            self._broken = True
            logger.warning("this worker's own record cannot be kept: %s", error)

    def saved(self, before: int) -> None:
        """Forget files whose reports all have numbers below `before`: they are on the master's disk."""
        self._saved = max(self._saved, before)
        while len(self._files) > 1 and self._files[0][0] < before:
            self._files.pop(0)[1].unlink(missing_ok=True)

    def close(self) -> None:
        """Stop writing, and remove the record if the master has said that all of it is on its disk."""
        with contextlib.suppress(OSError):  # what a full disk did not take is tried again; it has been told
            if self._out is not None:
                self._out.close()
        self._out = None
        if self._files and self._files[-1][0] < self._saved:
            for _, path in self._files:
                path.unlink(missing_ok=True)
            self._files.clear()

    def _begin(self, number: int, zero_wall_ns: int) -> None:
        if self._out is not None:
            self._out.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._worker}-{zero_wall_ns}-{number:07d}{SUFFIX}"
        self._out, self._written = path.open("wb"), 0
        self._files.append((number, path))


def read_reports(folder: Path, zero_wall_ns: int = 0) -> Iterator[tuple[str, Report]]:
    """(worker, report) of every record of a part of a run, as far as each can be read; of 0, those of all parts.

    Raises `OSError`.
    """
    part = f"-{zero_wall_ns}" if zero_wall_ns else ""
    for path in sorted((folder / FOLDER).glob(f"*{part}-*{SUFFIX}")):
        worker = _NUMBERS.sub("", path.name)
        with path.open("rb") as file:
            while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
                (length,) = _LENGTH.unpack(head)
                data = file.read(length) if length <= MAX_MESSAGE_BYTES else b""
                try:
                    report = decode(data)
                except MessageError:
                    break
                if not isinstance(report, Report):
                    break
                yield worker, report


def forget_reports(folder: Path) -> None:
    """Remove all records in a run folder: the run is taken up again, or has ended. Raises `OSError`."""
    for path in (folder / FOLDER).glob(f"*{SUFFIX}"):
        path.unlink(missing_ok=True)
