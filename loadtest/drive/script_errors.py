"""Which line of a script raised, and what: for whoever has to mend it."""

import sys
import sysconfig
from pathlib import Path
from types import TracebackType

import gevent

ENDS_A_GREENLET = (SystemExit, gevent.Timeout)
"""What a script may raise that is no `Exception`: Locust catches neither, and the user would just be gone."""
LONGEST = 300
"""Characters kept of an error's text."""
_HERE = Path(__file__).parent


class ScriptRaisedError(Exception):
    """Raised in the place of what would end a user without a word; Locust logs it, with what it was raised from."""


_NOT_THE_SCRIPTS = tuple(
    str(Path(path).resolve())
    for path in (
        _HERE,
        _HERE.parent / "measure",
        _HERE.parent / "plugin",
        sysconfig.get_paths()["stdlib"],
        sysconfig.get_paths()["purelib"],
        sysconfig.get_paths()["platlib"],
        str(Path(sys.prefix) / "lib"),
    )
)


def bearable(error: BaseException) -> Exception:
    """What to raise in Locust's loop for `error`: itself, or an error that is logged and does not end the user."""
    if isinstance(error, Exception):
        return error
    instead = ScriptRaisedError(error_text(error))
    instead.__cause__ = error
    return instead


def error_text(error: BaseException) -> str:
    """Class and text: `IndexError: pop from empty list`; the class alone where there is no text."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return (f"{name}: {text}" if text else name)[:LONGEST]


def raised_at(error: BaseException) -> str:
    """The innermost line of the script that an error passed through, as `shop.py:17 in buy`; empty if none did.

    Where all lines belong to libraries, the innermost of those.
    """
    lines = list(_lines(error.__traceback__))
    scripts = [line for line in lines if not _is_anothers(line[0])]
    if not lines:
        return ""
    path, number, function = (scripts or lines)[-1]
    return f"{Path(path).name}:{number} in {function}"[:LONGEST]


def _is_anothers(path: str) -> bool:
    """Whether a line is of a library or the native core, whose lines are told without a folder."""
    return path.startswith(_NOT_THE_SCRIPTS) or path.endswith((".pxi", ".pyx"))


def _lines(at: TracebackType | None) -> list[tuple[str, int, str]]:
    found = []
    while at is not None:
        code = at.tb_frame.f_code
        found.append((code.co_filename, at.tb_lineno, code.co_name))
        at = at.tb_next
    return found
