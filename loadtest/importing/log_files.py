"""Logs as pieces of whole lines, from plain files, `.gz` and `.zst`, a few megabytes in memory at a time."""

import gzip
import zlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from loadtest.importing.import_error import ImportingError
from loadtest.release import installs

PIECE_BYTES = 16 << 20
_LEAST_PIECE_BYTES = 256 << 10
_PIECES = 32
"""Of a file: what is asked for is told of each, and so how it changes."""
_PACKED_TO = 10
"""Times as many bytes as they are packed in, have most logs."""
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


def pieces_of(path: Path, piece_bytes: int | None = None) -> Iterator[memoryview]:
    """The lines of a file, many at a time; a line longer than a piece comes in several. Raises `ImportingError`.

    A piece holds until the next one is asked for, which comes to its place in memory. Where it is not told otherwise,
    it is a thirty-second of a file, within bounds.
    """
    try:
        with path.open("rb") as raw:
            start = raw.peek(4)[:4]
            if piece_bytes is None:
                unpacked = path.stat().st_size * (_PACKED_TO if start.startswith((_GZIP, _ZSTD)) else 1)
                piece_bytes = min(max(unpacked // _PIECES, _LEAST_PIECE_BYTES), PIECE_BYTES)
            yield from _whole_lines(_plain(path, raw, start), piece_bytes)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImportingError(f"{path}: cannot be read: {reason}") from error


def _plain(path: Path, raw: IO[bytes], start: bytes) -> Any:
    if start.startswith(_GZIP):
        return _gzip(raw)
    if start == _ZSTD:
        try:
            import zstandard  # noqa: PLC0415 - the extra `import`
        except ImportError as error:
            raise ImportingError(
                f"{path}: needs the package zstandard for .zst files: {installs('import')}"
            ) from error
        stream = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return _Packed(stream, zstandard.ZstdError)
    return raw


def _gzip(raw: IO[bytes]) -> Any:
    """By Intel's library, which takes a quarter of what zlib does; by zlib where no wheel of it is."""
    try:
        igzip = import_module("isal.igzip")  # the extra `import`
    except ImportError:
        return gzip.GzipFile(fileobj=raw)
    return _Packed(igzip.GzipFile(fileobj=raw), import_module("isal.isal_zlib").error)


class _Packed:
    """A stream whose errors are those of files."""

    def __init__(self, stream: Any, error: type[Exception]) -> None:
        self._stream, self._error = stream, error

    def readinto(self, buffer: memoryview) -> int:
        try:
            return int(self._stream.readinto(buffer))
        except self._error as error:
            raise OSError(0, str(error)) from error


def _whole_lines(stream: Any, piece_bytes: int) -> Iterator[memoryview]:
    """All pieces are read into one buffer: new memory for each takes as long as reading it."""
    buffer, kept = bytearray(3 * piece_bytes), 0
    view = memoryview(buffer)
    while block := stream.readinto(view[kept : kept + piece_bytes]):
        filled = kept + block
        end = buffer.rfind(b"\n", kept, filled) + 1
        if not end and filled > 2 * piece_bytes:
            end = filled
        if end:
            yield view[:end]
        kept = filled - end
        view[:kept] = view[end:filled]
    if kept:
        yield view[:kept]
