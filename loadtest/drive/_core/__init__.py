"""What the client's classes are derived from: the native core, or the same in Python.

`LOADTEST_PURE=1` chooses Python; so does a machine where the native one was not built, or was from other sources.
There is one seam, here: whoever imports these names need not know which they got; every decision is made in the
classes derived from them.
"""

import logging
import os
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal

from loadtest.drive._core.sources import fingerprint

PURE_VARIABLE: Final = "LOADTEST_PURE"
WHY_PURE: str
"""Why the core is not native, for people; "" if it is."""


def _reason() -> str:
    if os.environ.get(PURE_VARIABLE, "0") not in ("", "0"):
        return f"{PURE_VARIABLE} is set"
    try:
        native = import_module(f"{__name__}.native")
    except ImportError as error:
        return f"it is not built ({error})"
    if fingerprint() not in ("", getattr(native, "SOURCES", None)):
        why = (
            "it was built from other sources than these; for the native one run: touch setup.py && make setup"
        )
        logging.getLogger(__name__).warning("The client's core is pure Python: %s", why)
        return why
    return ""


WHY_PURE = _reason()
CORE: Final[Literal["native", "pure"]] = "pure" if WHY_PURE else "native"

__all__ = [
    "CORE",
    "PURE_VARIABLE",
    "WHY_PURE",
    "Ahead",
    "Counts",
    "Dispatch",
    "Line",
    "Messenger",
    "Received",
    "Route",
    "Secured",
    "ServingCore",
    "Template",
    "TimerFd",
    "UserState",
    "equip",
    "equip_dispatch",
]

if TYPE_CHECKING or WHY_PURE:
    from loadtest.drive._core.pure import (
        Ahead,
        Counts,
        Dispatch,
        Line,
        Messenger,
        Received,
        Route,
        Secured,
        ServingCore,
        Template,
        TimerFd,
        UserState,
        equip,
        equip_dispatch,
    )
else:
    from loadtest.drive._core import native

    globals().update({name: getattr(native, name) for name in __all__ if name not in globals()})
