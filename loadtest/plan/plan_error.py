"""Plan errors: what is wrong with a plan, said so that its author can put it right."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_PLAIN_TYPES = {
    "float": "a number",
    "int": "a whole number",
    "str": "text",
    "array": "a list",
    "object": "a table",
    "bool": "true or false",
}
"""msgspec's words for what TOML holds, in everyday ones."""


class PlanError(ValueError):
    """A plan that cannot be played; the message names the file, the key and what was expected.

    It is one line, whatever a plan holds: control characters in it are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(map(_printable, message)))


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def converted(values: Any, kind: type[T], source: str, keys: Mapping[str, Iterable[str]] | None = None) -> T:
    """`values` (from TOML) as a struct of type `kind`. Raises PlanError, with the nearest of the table's `keys`.

    `keys` are those of each table by its name; the document's own are under "".
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise PlanError(f"{source}: {explained(error, keys, values)}") from error


def explained(
    error: msgspec.DecodeError, keys: Mapping[str, Iterable[str]] | None = None, values: Any = None
) -> str:
    """msgspec's message in plain words: the key first, what was expected, and what `values` hold there."""
    message, _, place = str(error).partition(" - at `$")
    key = _whole_key(place.rstrip("`").lstrip("."), values)
    unknown = re.search(r"unknown field `(.*)`", message, re.DOTALL)
    if unknown:
        said = f"unknown key {unknown[1]}{_meant(unknown[1], key, keys or {})}"
    else:
        said = _in_plain_words(message)
        value = _value_at(values, key)
        if value is not None and ", got " not in said:
            said += f", got {_shown(value)}"
    return f"{key}: {said}" if key else said


def _whole_key(key: str, values: Any) -> str:
    """The key with the name of a target in it, which msgspec writes as "..."."""
    if key == "targets[...]" and isinstance(values, dict):
        wrong = [name for name, rate in values["targets"].items() if not _is_rate(rate)]
        return f'targets."{wrong[0][:60]}"' if wrong else key
    return key


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _in_plain_words(message: str) -> str:
    message = message.removeprefix("Object ").replace("`", "").replace(" | null", "")
    choices = re.search(r"matching regex '?\^\((.*)\)\$'?", message)
    if choices:
        return f"expected one of {', '.join(choices[1].split('|'))}"
    message = re.sub(r"missing required field (\w+)", r"expected the key \1", message)
    message = re.sub(r"\b(float|int|str|array|object|bool)\b", lambda found: _PLAIN_TYPES[found[0]], message)
    message = re.sub(r"(\d)\.0\b", r"\1", message).replace(" | ", " or ")
    return message if message[1:2].isupper() else message[:1].lower() + message[1:]


def _value_at(values: Any, key: str) -> Any:
    """What stands at a key such as `scenario[1].user`; None if it cannot be told."""
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key):
        try:
            values = values[int(index)] if index else values[name]
        except (LookupError, TypeError):
            return None
    return values if isinstance(values, str | int | float) else None


def _shown(value: str | float) -> str:
    return f'"{value[:60]}"' if isinstance(value, str) else f"{value:.6g}"


def _meant(word: str, place: str, keys: Mapping[str, Iterable[str]]) -> str:
    """The nearest key of the table at `place`, else the table that has such a key."""
    table = re.sub(r"\[.*?\]", "", place).rpartition(".")[2]
    close = suggestion(word, keys.get(table, ()))
    if close:
        return close
    homes = [home for home, names in keys.items() if word in names]
    if homes:
        return f" here; it belongs {f'into [{homes[0]}]' if homes[0] else 'above the first table'}"
    return suggestion(word, {name for names in keys.values() for name in names})


def suggestion(word: str, known: Iterable[str]) -> str:
    """ " (did you mean …?)" with the known word most like it, or nothing if none is."""
    close = get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
