"""Singles' Day: open-loop load testing on Locust that measures from intent and checks its own load generator first.

For locustfiles: `from loadtest import FastHttpUser, nothing_to_do, open_loop`. Asking for any of them also connects
the harness to Locust, so that `--plan` and the other options are there.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loadtest.drive.http2_user import Http2User as Http2User
    from loadtest.drive.serving import nothing_to_do as nothing_to_do
    from loadtest.drive.serving import open_loop as open_loop
    from loadtest.drive.user import FastHttpUser as FastHttpUser

_LAZY = {
    "FastHttpUser": "loadtest.drive.user",
    "Http2User": "loadtest.drive.http2_user",
    "nothing_to_do": "loadtest.drive.serving",
    "open_loop": "loadtest.drive.serving",
}


def __getattr__(name: str) -> Any:
    """Import what needs gevent and Locust only when asked for, so that the pure parts load without them."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module("loadtest.plugin")
    return getattr(importlib.import_module(_LAZY[name]), name)
