"""Bodies read while they arrive: lines, and server-sent events with the times between them."""

from collections.abc import Iterable, Iterator


def iter_lines(pieces: Iterable[str | bytes]) -> Iterator[str]:
    """The lines in a stream of UTF-8 `pieces`, each without its line feed; the last one may have had none."""
    pending = b""
    for piece in pieces:
        *lines, pending = (pending + (piece.encode() if isinstance(piece, str) else piece)).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", errors="replace")
    if pending:
        yield pending.decode("utf-8", errors="replace")
