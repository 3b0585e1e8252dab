"""Files that are there whole or not at all, whatever ends the process that writes them."""

from pathlib import Path


def write_whole(text: str, path: Path) -> None:
    """Write UTF-8 text beside `path`, then rename it into place. Raises `OSError`."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)
