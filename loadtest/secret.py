"""A secret, as a file or a variable of the environment gives it: one line of text with nothing around it.

Whoever writes it down again must get the same characters. A second line, a space or a byte order mark that one
program drops and another keeps would be a wrong secret that nobody can see, so each is refused by name. Only the line
break with which editors and programs end a file is none of it.
"""

import codecs
from collections.abc import Mapping
from pathlib import Path

LONGEST_BYTES = 4096
_BREAK = "\n"
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class SecretError(ValueError):
    """What was given is no secret; the message names where it came from, says why, and does not show it."""


def one_line(given: bytes | str, named: str) -> str:
    """The secret in what was given; `named` is where it came from. Raises `SecretError`."""
    data = given if isinstance(given, bytes) else given.encode(errors="surrogateescape")
    if wrong := _what_else(data):
        raise SecretError(f"{named}: expected one line of text with nothing around it, got {wrong}")
    return data.decode().removesuffix(_BREAK)


def secret_in_file(path: Path, named: str) -> str:
    """The secret in a file. Raises `SecretError`."""
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_BYTES + 1)
    except OSError as error:
        raise SecretError(f"{named}: cannot be read ({error.strerror})") from error
    return one_line(data, named)


def secret_in(environ: Mapping[str, str], name: str) -> str:
    """The secret in a variable; empty where it is not set, or set to nothing. Raises `SecretError`."""
    text = environ.get(name, "")
    return one_line(text, name) if text else ""


def _what_else(data: bytes) -> str:
    """What is there instead of a secret; empty for one."""
    if len(data) > LONGEST_BYTES:
        return f"more than {LONGEST_BYTES:,} bytes"
    if data.startswith(_MARKS):
        return "a byte order mark before it"
    try:
        text = data.decode().removesuffix(_BREAK)
    except UnicodeDecodeError:
        return "bytes that are no text"
    faults = {
        "nothing": not text,
        "a carriage return, as Windows ends lines": "\r" in text,
        f"{len(text.split(_BREAK))} lines": _BREAK in text,
        "white space around it": text != text.strip(),
        "characters that cannot be printed": not text.isprintable(),
    }
    return next((fault for fault, is_there in faults.items() if is_there), "")
