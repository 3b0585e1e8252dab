"""How an endpoint's share of all requests changes while a log goes on: a few steps, or none.

A log is counted in parts, a piece of a file each. Time is cut into equal cells, over which a part's requests are
spread evenly. Cells go on with one share until one is further from it than the curve's tolerance and chance allow.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import NamedTuple

TOLERANCE = 0.03
"""As much as a plan's curve may be off."""
MOST_CELLS = 64
SHORTEST_S = 5
_BY_CHANCE = 5.0
"""Standard deviations of a count (Poisson) that chance may make of it: one log has thousands of cells."""
_ONCE_CHANGING = 2.0
"""The same for an endpoint whose share is known to change."""


class Part(NamedTuple):
    """Requests by endpoint from the second `first` to `last`, both included."""

    first: int
    last: int
    requests: Mapping[tuple[str, str], int]


class Share(NamedTuple):
    """A share of all requests from a second on, since the log's first, until the next one begins."""

    from_s: int
    share: float


def shares_of(parts: Sequence[Part], first: int, seconds: int) -> dict[tuple[str, str], tuple[Share, ...]]:
    """The shares of each endpoint whose share changes, in a log of so many `seconds` from the second `first`."""
    many = min(MOST_CELLS, max(seconds // SHORTEST_S, 1))
    cell_s = seconds / many
    found: dict[tuple[str, str], list[float]] = {}
    for part in parts:
        spread = _overlaps(part.first - first, part.last + 1 - first, cell_s, many)
        for endpoint, requests in part.requests.items():
            of_each = found.setdefault(endpoint, [0.0] * many)
            for cell, weight in spread:
                of_each[cell] += weight * requests
    totals = list(map(sum, zip(*found.values(), strict=True)))
    changing = {}
    for endpoint, of_each in found.items():
        if len(_steps(of_each, totals, _BY_CHANCE)) > 1:
            steps = _steps(of_each, totals, _ONCE_CHANGING)
            changing[endpoint] = tuple(Share(round(cell * cell_s), share) for cell, share in steps)
    return changing


def halved(parts: Sequence[Part], most: int) -> list[Part]:
    """Parts put together with their neighbours in time, of at most so many endpoints each: about half as many parts.

    Only parts of about one length are neighbours, so that the hours of a quiet server do not smear the seconds of a
    busy one.
    """
    alike: dict[int, list[Part]] = defaultdict(list)
    for part in sorted(parts, key=lambda part: part.first):
        alike[(part.last - part.first).bit_length()].append(part)
    return [_joined(some[at : at + 2], most) for some in alike.values() for at in range(0, len(some), 2)]


def _joined(parts: Sequence[Part], most: int) -> Part:
    requests: Counter[tuple[str, str]] = Counter()
    for part in parts:
        requests.update(part.requests)
    first, last = min(part.first for part in parts), max(part.last for part in parts)
    return Part(first, last, dict(requests.most_common(most)))


def counts_of(counts: Sequence[int], shares: Sequence[Share], requests: int) -> list[float]:
    """An endpoint's requests in each second, of all in each second and its shares; `requests` together."""
    found: list[float] = []
    ends = [*(share.from_s for share in shares[1:]), len(counts)]
    for share, end in zip(shares, ends, strict=True):
        found += [count * share.share for count in counts[len(found) : end]]
    scale = requests / (sum(found) or 1.0)
    return [scale * count for count in found]


def _overlaps(begin: float, end: float, cell_s: float, many: int) -> list[tuple[int, float]]:
    """The cells that a part lies in, each with its share of the part."""
    last = min(int((end - 1e-9) / cell_s), many - 1)
    return [
        (cell, max(min(end, (cell + 1) * cell_s) - max(begin, cell * cell_s), 0.0) / (end - begin))
        for cell in range(int(begin / cell_s), last + 1)
    ]


def _steps(counts: Sequence[float], totals: Sequence[float], deviations: float) -> list[tuple[int, float]]:
    """The cell in which each step begins, and its share."""
    steps: list[tuple[int, float]] = []
    begun, asked, total = 0, 0.0, 0.0
    for cell, (count, of_all) in enumerate(zip(counts, totals, strict=True)):
        if total:
            expected = of_all * asked / total
            chance = deviations * sqrt(max(expected, 1.0) * (1 + of_all / total))
            if abs(count - expected) > TOLERANCE * expected + chance:
                steps.append((begun, asked / total))
                begun, asked, total = cell, 0.0, 0.0
        asked += count
        total += of_all
    return [*steps, (begun, asked / total)] if total else steps
