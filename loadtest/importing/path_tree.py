"""Paths grouped by template: `/products/sku-000017` and a thousand like it are `/products/{sku}`.

A segment that looks like data (numbers, identifiers, addresses) is a parameter wherever it stands. Other words are
told by their number: a place in a path that more different words stand in than a site has pages is a parameter too.
The tree of segments merges such a place as soon as it is one, so its size is bounded whatever a log holds.
"""

import re
from collections.abc import Iterator, Sequence

from loadtest.importing.secrets import is_secret_value

PARAMETER = "{}"
MOST_WORDS = 40
"""More different words than this below one place in a path are data (A)."""
MOST_FIRST_WORDS = 200
"""The same for the first segment: a site's own pages stand there (A)."""
MOST_SEGMENTS = 12
DATA_SEGMENT = r"/(?:[^/]*(?:[0-9]{3}|@|%40)[^/]*|[^/]{32,}|[0-9]{1,2}\b)"
"""Segments that are data, for engines of regular expressions without look-ahead; `is_data` tells the rest."""

_IS_DATA = re.compile(
    r".*(?:\d{3}|@|%40).*|\d+|.{32,}|(?=.*\d)(?=.*[a-fA-F])[0-9a-fA-F-]{8,}|\{\}.*",
    re.DOTALL,
)
_PREFIX = re.compile(r"([A-Za-z]{2,12})[-_:]?\d")


def is_data(segment: str) -> bool:
    """Whether a segment of a path looks like data by itself: a number, an identifier, an address."""
    return _IS_DATA.fullmatch(segment) is not None or is_secret_value(segment)


class PathTree:
    """Requests by method and path, folded into templates as they are added."""

    def __init__(self) -> None:
        self._roots: dict[str, _Place] = {}

    def add(self, method: str, path: str, requests: int) -> None:
        """Count some requests of a path."""
        root = self._roots.setdefault(method, _Place(MOST_FIRST_WORDS))
        root.add(segments_of(path), requests)

    def template_of(self, method: str, path: str) -> str:
        """The template that a path that was added belongs to."""
        root = self._roots.get(method)
        return "/" + "/".join(root.template_of(segments_of(path)) if root else segments_of(path))

    def templates(self) -> Iterator[tuple[str, str, int]]:
        """Each method and template with its requests, the most requested first."""
        found = [
            (method, "/" + "/".join(segments), requests)
            for method, root in self._roots.items()
            for segments, requests in root.leaves()
        ]
        yield from sorted(found, key=lambda each: (-each[2], each[0], each[1]))


class _Place:
    """Where a segment of a path may follow; `ends` counts the paths that end here."""

    __slots__ = ("below", "ends", "is_merged", "most_words")

    def __init__(self, most_words: int = MOST_WORDS) -> None:
        self.below: dict[str, _Place] = {}
        self.ends = 0
        self.is_merged = False
        """Whether words were so many that they are data too."""
        self.most_words = most_words

    def add(self, segments: Sequence[str], requests: int) -> None:
        place = self
        for segment in segments:
            place = place.next(segment)
        place.ends += requests

    def next(self, segment: str) -> "_Place":
        word = PARAMETER if self.is_merged else _word(segment)
        known = self.below.get(word)
        if known is None:
            known = self.below[word] = _Place()
            if len(self.below) - (PARAMETER in self.below) > self.most_words:
                self._merge_all()
                known = self.below[PARAMETER]
        return known

    def template_of(self, segments: Sequence[str]) -> list[str]:
        place, template = self, []
        for segment in segments:
            word = segment if segment in place.below else PARAMETER  # what looks like data is no word there
            template.append(word)
            place = place.below.get(word, _Place())
        return template

    def leaves(self) -> Iterator[tuple[list[str], int]]:
        if self.ends:
            yield [], self.ends
        for word, place in self.below.items():
            for segments, requests in place.leaves():
                yield [word, *segments], requests

    def _merge_all(self) -> None:
        merged = _Place()
        for place in self.below.values():
            merged.take(place)
        self.below = {PARAMETER: merged}
        self.is_merged = True

    def take(self, other: "_Place") -> None:
        self.ends += other.ends
        if other.is_merged and not self.is_merged:
            self._merge_all()
        for word, place in other.below.items():
            self.next(word).take(place)


def segments_of(path: str) -> list[str]:
    """The segments of a path; what lies deeper than any template goes is one segment."""
    return path.removeprefix("/").split("/", MOST_SEGMENTS)


def parameter_names(template: str, values: Sequence[Sequence[str]]) -> list[str]:
    """What the parameters of a template are called; `values` are some that stood in each.

    By what the values begin with (`sku-17`: sku), else by the segment before (`/orders/{}`: order_id).
    """
    names: list[str] = []
    before = ""
    for segment in segments_of(template):
        if segment == PARAMETER:
            seen = values[len(names)] if len(names) < len(values) else ()
            name = _prefix(seen) or (f"{_singular(before)}_id" if before else "page")
            names.append(name if name not in names else f"{name}_{len(names) + 1}")
        else:
            before = re.sub(r"\W+", "_", segment).strip("_").lower()
    return names


def _prefix(values: Sequence[str]) -> str:
    prefixes = {found[1].lower() if (found := _PREFIX.match(value)) else "" for value in values}
    return prefixes.pop() if len(prefixes) == 1 else ""


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _word(segment: str) -> str:
    return PARAMETER if is_data(segment) else segment
