"""Texts that a regular expression matches, drawn from its parts.

Who wrote the expression is a stranger: its numbers (`a{2000000000}`, `(a{9}){9}`) and its references back say how
long a text is and how often a part is repeated, so both are bounded.
"""

import re
import re._constants as regex_of  # type: ignore[import-not-found]  # private, and the only parser of patterns there is
import re._parser as regex_parser  # type: ignore[import-not-found]
from random import Random
from typing import Any

MOST = 10_000
"""Characters and repeats of one text (A)."""
_TRIES = 20


class TooLongError(ValueError):
    """A pattern whose shortest texts are longer than `MOST`, or repeat something more often."""


class Pieces:
    """Counts what examples are made of: values, characters, repeats."""

    def __init__(self) -> None:
        self.made = 0

    def add(self, many: int = 1) -> None:
        """Count some more."""
        self.made += many


def text_matching(pattern: str, random: Random, pieces: Pieces | None = None) -> str:
    """A short text that a pattern matches; an empty one if this knows none. Raises `TooLongError`."""
    pieces = pieces or Pieces()
    try:
        parsed = regex_parser.parse(pattern)
        for _ in range(_TRIES):
            text = _Drawing(random, pieces).of(parsed)
            if re.search(pattern, text):
                return text
    except (re.error, OverflowError, RecursionError):
        pass
    return ""


class _Drawing:
    """One text; what its groups were is known for references to them."""

    def __init__(self, random: Random, pieces: Pieces) -> None:
        self._random, self._pieces, self._most = random, pieces, pieces.made + MOST
        self._groups: dict[int, str] = {}

    def of(self, parsed: Any) -> str:
        return "".join(self._one(kind, value) for kind, value in parsed)

    def _add(self, many: int = 1) -> None:
        self._pieces.add(many)
        if self._pieces.made > self._most:  # parts that are empty count too: they may be repeated often
            raise TooLongError("longer than is made")

    def _one(self, kind: Any, value: Any) -> str:
        if kind in {regex_of.MAX_REPEAT, regex_of.MIN_REPEAT, regex_of.POSSESSIVE_REPEAT}:
            return self._repeated(*value)
        if kind is regex_of.SUBPATTERN:
            self._add()
            number, _, _, inner = value
            text = self.of(inner)
            if number is not None:
                self._groups[number] = text
            return text
        if kind is regex_of.BRANCH:
            return self.of(self._random.choice(value[1]))
        text = self._groups.get(value, "") if kind is regex_of.GROUPREF else self._character(kind, value)
        self._add(len(text) or 1)
        return text

    def _repeated(self, fewest: int, _: int, inner: Any) -> str:
        found = []
        for _number in range(fewest):
            self._add()
            found.append(self.of(inner))
        return "".join(found)

    def _character(self, kind: Any, value: Any) -> str:
        if kind is regex_of.LITERAL:
            return chr(value)
        if kind is regex_of.ANY:
            return self._random.choice("abcdefghij")
        if kind is regex_of.NOT_LITERAL:
            return "b" if value == ord("a") else "a"
        return _member(value, self._random) if kind is regex_of.IN else ""  # anchors, and what looks about


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
