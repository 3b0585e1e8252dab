"""Values that a JSON Schema allows: what an OpenAPI document's bodies and parameters are filled with."""

import re
import re._constants as regex_of  # type: ignore[import-not-found]  # private, and the only parser of patterns there is
import re._parser as regex_parser  # type: ignore[import-not-found]
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any
from urllib.parse import unquote
from uuid import UUID

_DEEPEST = 12
_WIDEST = 1_000_000
_FORMATS = {
    "date-time": "2026-11-11T00:00:00Z",
    "date": "2026-11-11",
    "time": "00:00:00Z",
    "uri": "http://example.com/",
    "email": "made-up@example.com",
    "ipv4": "192.0.2.1",
    "hostname": "example.com",
}


class Examples:
    """Makes values of a document's schemas; equal seeds make equal values."""

    def __init__(self, document: Mapping[str, Any], random: Random) -> None:
        self.document, self._random = document, random

    def resolved(self, schema: Any) -> dict[str, Any]:
        """A schema, or whatever else, that a `$ref` within the document stands for; {} if there is none."""
        return resolved(self.document, schema)

    def of(self, schema: Any, depth: int = 0) -> Any:  # noqa: PLR0911 - one for each way to say it
        """A value: the schema's own example if it has one, else one that its limits allow."""
        plain = self.resolved(schema)
        if depth > _DEEPEST:
            return None
        for key in ("const", "example", "default"):
            if key in plain:
                return plain[key]
        if isinstance(plain.get("examples"), list) and plain["examples"]:
            return plain["examples"][0]
        if plain.get("enum"):
            return self._random.choice(plain["enum"])
        if plain.get("allOf"):
            return self.of(self._merged([plain, *plain["allOf"]], depth), depth + 1)
        for key in ("oneOf", "anyOf"):
            if plain.get(key):
                choices = [one for one in plain[key] if self.resolved(one).get("type") != "null"]
                chosen = self._random.choice(choices or plain[key])
                return self._discriminated(plain, chosen, self.of(chosen, depth + 1))
        return self._of_type(plain, depth)

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

    def _merged(self, schemas: Sequence[Any], depth: int) -> dict[str, Any]:
        """One schema of all; what they in turn are made of is put together first."""
        merged: dict[str, Any] = {}
        for number, found in enumerate(map(self.resolved, schemas)):
            nested = number and found.get("allOf") and depth < _DEEPEST
            one = self._merged([found, *found["allOf"]], depth + 1) if nested else found
            for key, value in one.items():
                if key == "properties":
                    merged[key] = {**merged.get(key, {}), **value}
                elif key == "required":
                    merged[key] = [*merged.get(key, []), *value]
                elif key not in {"allOf", "$ref"}:
                    merged[key] = value
        return merged

    def _of_type(self, schema: dict[str, Any], depth: int) -> Any:
        kind = schema.get("type") or (
            "object" if "properties" in schema else "array" if "items" in schema else "string"
        )
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind == "object":
            properties = schema.get("properties") or {}
            wanted = schema.get("required") or list(properties)
            return {name: self.of(properties.get(name, {}), depth + 1) for name in wanted}
        if kind == "array":
            items = list(schema.get("prefixItems") or ())
            items += [schema.get("items") or {}] * (max(int(schema.get("minItems") or 0), 1) - len(items))
            return [self.of(one, depth + 1) for one in items]
        if kind in {"integer", "number"}:
            return self._number(schema, whole=kind == "integer")
        return {"boolean": True, "null": None}.get(kind, self._text(schema) if kind == "string" else None)

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
            return text_matching(str(schema["pattern"]), self._random)
        if schema.get("format") == "uuid":
            return str(UUID(int=self._random.getrandbits(128), version=4))
        text = _FORMATS.get(str(schema.get("format")), f"text-{self._random.randrange(1000):03d}")
        shortest, longest = (
            int(schema.get("minLength") or 0),
            int(schema.get("maxLength") or max(len(text), 1)),
        )
        return text.ljust(shortest, "x")[: max(longest, shortest)]


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


def text_matching(pattern: str, random: Random) -> str:
    """A short text that a pattern matches; an empty one if this knows none."""
    try:
        parsed = regex_parser.parse(pattern)
    except (re.error, OverflowError, RecursionError):
        return ""
    for _ in range(20):
        text = _drawn(parsed, random, {})
        if re.search(pattern, text):
            return text
    return ""


def _drawn(parsed: Any, random: Random, groups: dict[int, str]) -> str:
    return "".join(_one(kind, value, random, groups) for kind, value in parsed)


def _one(kind: Any, value: Any, random: Random, groups: dict[int, str]) -> str:  # noqa: PLR0911 - one a kind
    if kind is regex_of.LITERAL:
        return chr(value)
    if kind is regex_of.ANY:
        return random.choice("abcdefghij")
    if kind is regex_of.NOT_LITERAL:
        return "b" if value == ord("a") else "a"
    if kind is regex_of.IN:
        return _member(value, random)
    if kind in {regex_of.MAX_REPEAT, regex_of.MIN_REPEAT, regex_of.POSSESSIVE_REPEAT}:
        fewest, _, inner = value
        return "".join(_drawn(inner, random, groups) for _ in range(fewest))
    if kind is regex_of.SUBPATTERN:
        number, _, _, inner = value
        text = _drawn(inner, random, groups)
        if number is not None:
            groups[number] = text
        return text
    if kind is regex_of.BRANCH:
        return _drawn(random.choice(value[1]), random, groups)
    if kind is regex_of.GROUPREF:
        return groups.get(value, "")
    return ""  # anchors, and what looks ahead or behind


def _member(allowed: Any, random: Random) -> str:
    """A character of a class; of ranges, all are as likely."""
    words = {
        regex_of.CATEGORY_DIGIT: "0123456789",
        regex_of.CATEGORY_WORD: "abcdefghij0123456789",
        regex_of.CATEGORY_SPACE: " ",
    }
    characters: list[str] = []
    for kind, value in allowed:
        if kind is regex_of.LITERAL:
            characters.append(chr(value))
        elif kind is regex_of.RANGE:
            low, high = value
            characters += map(chr, range(low, min(high, low + 200) + 1))
        elif kind is regex_of.CATEGORY:
            characters += words.get(value, "a")
        elif kind is regex_of.NEGATE:
            shut = re.compile(f"[{''.join(_shut(one) for one in allowed[1:])}]")
            return next((one for one in "abcdefgh0123456789 -_" if not shut.match(one)), "~")
    return random.choice(characters or ["a"])


def _shut(member: tuple[Any, Any]) -> str:
    kind, value = member
    if kind is regex_of.LITERAL:
        return re.escape(chr(value))
    if kind is regex_of.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    return {
        regex_of.CATEGORY_DIGIT: r"\d",
        regex_of.CATEGORY_WORD: r"\w",
        regex_of.CATEGORY_SPACE: r"\s",
    }.get(value, "")
