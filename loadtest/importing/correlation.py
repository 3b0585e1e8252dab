"""What of an answer later requests sent back: identifiers and tokens that a script has to take from it anew."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from loadtest.importing.recorded import Recorded, named_values
from loadtest.importing.script_text import variable_name

Place = tuple[str | int, ...]
_SHORTEST = 6
_SMALLEST = 1000
"""Shorter texts and smaller numbers are equal by chance."""


class Taken(NamedTuple):
    """A value that is taken from an answer."""

    variable: str
    request: int
    """The number of the request whose answer has it."""
    place: Place
    """Its keys and indices in that answer."""


def correlated(session: Sequence[Recorded]) -> dict[str, Taken]:
    """What later requests sent that an earlier answer was the first to say, by its text."""
    offered: dict[str, tuple[int, Place]] = {}
    sent_before: set[str] = set()
    found: dict[str, Taken] = {}
    names: set[str] = set()
    for number, request in enumerate(session):
        for value in sent_by(request):
            if value in offered and value not in found:
                origin, place = offered[value]
                found[value] = Taken(_variable(place, names), origin, place)
            sent_before.add(value)
        for place, value in leaves(request.answer):
            if value not in sent_before and value not in offered and _tells_apart(value):
                offered[value] = (number, place)
    return found


def sent_by(request: Recorded) -> Iterator[str]:
    """Every value of a request by itself: segments of its path, values of its query, form, body and headers."""
    parts = urlsplit(request.url)
    yield from map(unquote, parts.path.split("/"))
    yield from (value for _, value in parse_qsl(parts.query, keep_blank_values=True))
    yield from (value for _, value in request.form)
    yield from (value for _, value in leaves(request.json_body))
    yield from (one.value for one in named_values(request.text or ""))
    for name, value in request.headers:
        if name.lower() == "authorization":
            yield value.rpartition(" ")[2]
        elif name.lower().startswith("x-") or name in request.logins:  # a token against forgery, an account
            yield value


def leaves(value: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Texts and whole numbers of a JSON value, each with where it stands."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*place, index))
    elif isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        yield place, str(value)


def _tells_apart(value: str) -> bool:
    if value.lstrip("-").isdigit():
        return abs(int(value[:30])) >= _SMALLEST
    return len(value) >= _SHORTEST and (any(map(str.isdigit, value)) or len(value) >= 20)


def _variable(place: Place, names: set[str]) -> str:
    """A name by the last key: `order_id`, and `order_id_2` for the next."""
    key = next((part for part in reversed(place) if isinstance(part, str)), "value")
    stem = "".join(character if character.isalnum() and character.isascii() else "_" for character in key)
    stem = f"{stem.lower().strip('_') or 'value'}"
    name = variable_name(f"value_{stem}" if stem[0].isdigit() else stem, names)
    names.add(name)
    return name
