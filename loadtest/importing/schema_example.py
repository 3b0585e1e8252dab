"""Values that a JSON Schema allows: what an OpenAPI document's bodies and parameters are filled with.

A schema may refer to itself, to others that do, and ask for any number of characters and items; who wrote it is a
stranger. So a value never holds one of the schema that it is within: what can do without it does. Optional properties
that hold others go three levels deep. And all that is made is counted (`Pieces`): no text and no list has more than
`MOST`, and a value that has become large is brought to its end.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote
from uuid import UUID

from loadtest.importing.pattern_text import MOST, Pieces, TooLongError, text_matching

_DEEPEST = 12
_DEEPEST_OPTIONAL = 3
_WIDEST = 1_000_000
_LARGE_PIECES = 100_000
"""From here on a value gets nothing that it can do without, and with twice as many nothing at all (A)."""
_ALL_PIECES = 1_000_000
"""Of all values of one kind; of large ones fewer are made (A)."""
_FORMATS = {
    "date-time": "2026-11-11T00:00:00Z",
    "date": "2026-11-11",
    "time": "00:00:00Z",
    "uri": "http://example.com/",
    "email": "made-up@example.com",
    "ipv4": "192.0.2.1",
    "hostname": "example.com",
}
_HOLDS_OTHERS = ("properties", "items", "prefixItems", "allOf")
_CHOICES = ("oneOf", "anyOf")
_NOTHING: Any = object()
"""In the place of a value that there is none of."""
T = TypeVar("T")


class _Way(NamedTuple):
    """How a schema was come to, by the identities of others."""

    outer: frozenset[int] = frozenset()
    """Those of the values that this one is within."""
    here: frozenset[int] = frozenset()
    """Those that this value is of: one that is a choice of another is of both."""
    steps: int = 0
    nested: int = 0
    """Objects and lists around it."""

    def of(self, *schemas: Mapping[str, Any]) -> "_Way":
        """The way on to what the same value is of as well."""
        return self._replace(here=self.here.union(map(id, schemas)), steps=self.steps + 1)

    def within(self) -> "_Way":
        """The way into an object or a list."""
        return _Way(self.outer | self.here, frozenset(), self.steps, self.nested + 1)


class Examples:
    """Makes values of a document's schemas; equal seeds make equal values."""

    def __init__(self, document: Mapping[str, Any], random: Random) -> None:
        self.document, self._random = document, random
        self.beyond: dict[str, str] = {}
        """What schemas ask for that is more than is made, each with what is made instead."""
        self._referred: dict[str, dict[str, Any]] = {}
        self._pieces = Pieces()
        self._begun = 0
        """The pieces that were made before the value that is being made."""

    def resolved(self, schema: Any) -> dict[str, Any]:
        """A schema, or whatever else, that a `$ref` within the document stands for; {} if there is none."""
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str):
            return resolved(self.document, schema)
        if reference not in self._referred:
            self._referred[reference] = resolved(self.document, schema)
        return self._referred[reference]

    def many(self, make: Callable[[], T], most: int) -> Iterator[T]:
        """As many of what `make` makes of values; fewer where they are large."""
        begun = self._pieces.made
        for number in range(1, most + 1):
            yield make()
            if self._pieces.made - begun > _ALL_PIECES and number < most:
                self.beyond.setdefault("large values", f"{number} instead of {most} are made")
                return

    def of(self, schema: Any) -> Any:
        """A value: the schema's own example if it has one, else one that its limits allow; None if there is none."""
        self._begun = self._pieces.made
        value = self._of(schema, _Way())
        return None if value is _NOTHING else value

    def _is_larger_than(self, pieces: int) -> bool:
        return self._pieces.made - self._begun > pieces

    def _of(self, schema: Any, way: _Way) -> Any:
        plain = self.resolved(schema)
        self._pieces.add()
        if id(plain) in way.outer | way.here or self._is_larger_than(2 * _LARGE_PIECES):
            value = _NOTHING
        elif way.steps > _DEEPEST:
            value = None
        else:
            value = self._made(plain, way)
        return None if value is _NOTHING and _may_be_null(plain) else value

    def _made(self, plain: dict[str, Any], way: _Way) -> Any:
        for key in ("const", "example", "default"):
            if key in plain:
                return plain[key]
        if isinstance(plain.get("examples"), list) and plain["examples"]:
            return plain["examples"][0]
        if plain.get("enum"):
            return self._random.choice(plain["enum"])
        if plain.get("allOf"):
            return self._of_all(plain, way)
        for key in _CHOICES:
            if plain.get(key):
                return self._chosen(plain, plain[key], way.of(plain))
        return self._of_type(plain, way.of(plain))

    def _chosen(self, schema: Mapping[str, Any], choices: list[Any], way: _Way) -> Any:
        """A value of one of the choices; of null, and of any but the first that is drawn, if there is no other."""
        real = [one for one in choices if self.resolved(one).get("type") != "null"]
        first = self._random.choice(real or choices)
        nulls = [one for one in choices if self.resolved(one).get("type") == "null"]
        for chosen in (first, *(one for one in (*real, *nulls) if one is not first)):
            value = self._of(chosen, way)
            if value is not _NOTHING:
                return self._discriminated(schema, chosen, value)
        return _NOTHING

    def _discriminated(self, schema: Mapping[str, Any], chosen: Any, value: Any) -> Any:
        """A value that says by its discriminator which of the choices it is, unless its schema says so itself."""
        discriminator = schema.get("discriminator")
        name = discriminator.get("propertyName") if isinstance(discriminator, dict) else None
        reference = chosen.get("$ref") if isinstance(chosen, dict) else None
        if not isinstance(value, dict) or not isinstance(name, str) or not isinstance(reference, str):
            return value
        property_ = self.resolved((self.resolved(chosen).get("properties") or {}).get(name))
        if "enum" in property_ or "const" in property_ or self.resolved(chosen).get("allOf"):
            return value
        mapping = (discriminator or {}).get("mapping") or {}
        meant = next((key for key, place in mapping.items() if place == reference), None)
        return {**value, name: meant or reference.rpartition("/")[2]}

    def _of_all(self, schema: dict[str, Any], way: _Way) -> Any:
        """A value of a schema and all that it is made of, as of one schema."""
        parts = list(self._parts(schema, set()))
        self._pieces.add(len(parts))
        if any(id(part) in way.outer for part in parts):
            return _NOTHING
        way = way.of(*parts)
        return self._of(self._merged(parts, way), way)

    def _parts(self, schema: Any, seen: set[int]) -> Iterator[dict[str, Any]]:
        """A schema and all that it is made of, each once."""
        plain = self.resolved(schema)
        if id(plain) not in seen:
            seen.add(id(plain))
            yield plain
            for one in plain.get("allOf") or ():
                yield from self._parts(one, seen)

    def _merged(self, parts: Iterable[Mapping[str, Any]], way: _Way) -> dict[str, Any]:
        """One schema of some; a base that has what is made of it among its choices chooses no more."""
        merged: dict[str, Any] = {}
        for part in parts:
            for key, value in part.items():
                if key == "properties":
                    merged[key] = {**merged.get(key, {}), **value}
                elif key == "required":
                    merged[key] = [*merged.get(key, []), *value]
                elif key in _CHOICES and any(id(self.resolved(one)) in way.here for one in value):
                    continue
                elif key not in {"allOf", "$ref"}:
                    merged[key] = value
        return merged

    def _of_type(self, schema: dict[str, Any], way: _Way) -> Any:
        kind = schema.get("type") or (
            "object" if "properties" in schema else "array" if "items" in schema else "string"
        )
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind == "object":
            return self._object(schema, way)
        if kind == "array":
            return self._list(schema, way)
        if kind in {"integer", "number"}:
            return self._number(schema, whole=kind == "integer")
        return {"boolean": True, "null": None}.get(kind, self._text(schema) if kind == "string" else None)

    def _object(self, schema: Mapping[str, Any], way: _Way) -> Any:
        properties = schema.get("properties") or {}
        required = schema.get("required")
        made = {}
        for name in dict.fromkeys(required) if required else self._optional(properties, way):
            value = self._of(properties.get(name, {}), way.within())
            if value is not _NOTHING:
                made[name] = value
            elif required:
                return _NOTHING
        return made

    def _optional(self, properties: Mapping[str, Any], way: _Way) -> Iterator[str]:
        """The properties that an object is given which requires none."""
        for name, schema in properties.items():
            if self._is_larger_than(_LARGE_PIECES):
                return
            if way.nested < _DEEPEST_OPTIONAL or not self._holds_others(schema):
                yield name

    def _holds_others(self, schema: Any, deeper: int = _DEEPEST_OPTIONAL) -> bool:
        plain = self.resolved(schema)
        choices = [one for key in _CHOICES for one in plain.get(key) or ()]
        return (
            not deeper
            or plain.get("type") in ("object", "array")
            or any(key in plain for key in _HOLDS_OTHERS)
            or any(self._holds_others(one, deeper - 1) for one in choices)
        )

    def _list(self, schema: Mapping[str, Any], way: _Way) -> Any:
        first = list(schema.get("prefixItems") or ())
        wanted = int(schema.get("minItems") or 0)
        made: list[Any] = []
        while len(made) < max(len(first), min(wanted, MOST), 1):
            item = first[len(made)] if len(made) < len(first) else schema.get("items") or {}
            is_enough = made and self._is_larger_than(_LARGE_PIECES)
            value = _NOTHING if is_enough else self._of(item, way.within())
            if value is _NOTHING:
                break
            made.append(value)
        if made and wanted > len(made):
            self._note("minItems", wanted, f"lists of {len(made):,} are made")
        return _NOTHING if wanted and not made else made

    def _number(self, schema: dict[str, Any], *, whole: bool) -> float:
        low, high = schema.get("minimum"), schema.get("maximum")
        step = schema.get("multipleOf") or 1
        beyond, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        if isinstance(beyond, int | float) and not isinstance(beyond, bool):
            low = beyond + (step if whole else 0.5)
        if isinstance(below, int | float) and not isinstance(below, bool):
            high = below - (step if whole else 0.5)
        low = low if low is not None else 0 if high is None or high >= 0 else high - _WIDEST
        high = min(high, low + _WIDEST) if high is not None else low + _WIDEST
        first, last = -int(-low // step), int(high // step)
        value = self._random.randint(first, max(first, last)) * step
        return int(value) if whole else value

    def _text(self, schema: dict[str, Any]) -> str:
        if schema.get("pattern"):
            return self._matching(str(schema["pattern"]))
        if schema.get("format") == "uuid":
            return str(UUID(int=self._random.getrandbits(128), version=4))
        text = _FORMATS.get(str(schema.get("format")), f"text-{self._random.randrange(1000):03d}")
        wanted, longest = int(schema.get("minLength") or 0), int(schema.get("maxLength") or max(len(text), 1))
        shortest = min(wanted, MOST)
        if wanted > shortest:
            self._note("minLength", wanted, f"texts of {MOST:,} characters are made")
        text = text.ljust(shortest, "x")[: max(longest, shortest)]
        self._pieces.add(len(text))
        return text

    def _matching(self, pattern: str) -> str:
        try:
            return text_matching(pattern, self._random, self._pieces)
        except TooLongError:
            self._note("pattern", pattern, f"no text of more than {MOST:,} parts is made")
            return ""

    def _note(self, key: str, wanted: object, instead: str) -> None:
        self.beyond.setdefault(f"{key} {str(wanted)[:60]}", instead)


def _may_be_null(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return schema.get("nullable") is True or (isinstance(kind, list) and "null" in kind)


def resolved(document: Any, value: Any) -> dict[str, Any]:
    """What a `$ref` in a document stands for, and an object without one as it is; {} if there is none."""
    for _ in range(_DEEPEST):
        if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
            break
        value = referred(document, value["$ref"])
    return value if isinstance(value, dict) else {}


def referred(document: Any, reference: str) -> Any:
    """What a `$ref` such as `#/components/schemas/Order` stands for; None if that is nowhere in the document."""
    if not reference.startswith("#/"):
        return None
    place = document
    for part in reference.removeprefix("#/").split("/"):
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        place = place.get(name) if isinstance(place, dict) else None
    return place
