"""What the client's classes are derived from: the native core, or the same in Python.

`LOADTEST_PURE=1` chooses Python; so does a machine where the native one was not built, or was from other sources.
There is one seam, here: whoever imports these names need not know which they got; every decision is made in the
classes derived from them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from loadtest.sources import why_pure

WHY_PURE: str = why_pure(f"{__name__}.native", Path(__file__).parent)
"""Why the core is not native, for people; "" if it is."""
CORE: Final[Literal["native", "pure"]] = "pure" if WHY_PURE else "native"

__all__ = [
    "CORE",
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
