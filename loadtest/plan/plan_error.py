"""Plan errors: what is wrong with a plan, said so that its author can put it right."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class PlanError(ValueError):
    """A plan that cannot be played; the message names the file, the key and what was expected."""


def converted(values: Any, kind: type[T], source: str, known_keys: Iterable[str] = ()) -> T:
    """`values` (from TOML) as a struct of type `kind`. Raises PlanError, with the nearest of `known_keys`."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise PlanError(f"{source}: {explained(error, known_keys)}") from error


def explained(error: msgspec.DecodeError, known_keys: Iterable[str] = ()) -> str:
    """msgspec's message with the key first, and for an unknown key the one that was probably meant."""
    message, _, place = str(error).partition(" - at `$")
    key = place.rstrip("`").lstrip(".")
    unknown = re.search(r"unknown field `(.*)`", message)
    if unknown:
        message = f"unknown key {unknown[1]}{suggestion(unknown[1], known_keys)}"
    else:
        message = message.removeprefix("Object ").replace("`", "")
        message = message[:1].lower() + message[1:]
    return f"{key}: {message}" if key else message


def suggestion(word: str, known: Iterable[str]) -> str:
    """ " (did you mean …?)" with the known word most like it, or nothing if none is."""
    close = get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
