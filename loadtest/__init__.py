"""Singles' Day: open-loop load testing on Locust that measures from intent and distrusts itself."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loadtest.drive.user import FastHttpUser as FastHttpUser


def __getattr__(name: str) -> Any:
    """Import what needs gevent and Locust only when asked for, so that the pure parts load without them."""
    if name == "FastHttpUser":
        from loadtest.drive.user import FastHttpUser  # noqa: PLC0415 - see the docstring

        return FastHttpUser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
