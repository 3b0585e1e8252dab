"""Visits: what clients asked for one after another, and the few orders of steps that most of them share.

A client is an address with its browser, or a field of the log. After half an hour without a request its next one
begins a new visit. Equal steps in a row are one step, repeated; visits with the same steps are a journey. The most
usual journeys are kept as they are; the others together are a walk, in which each step follows the one before as
often as it did in them. So the mix of what is asked for stays that of the visits, whether their orders are few or
many.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

LONGEST_PAUSE_S = 1800
"""A client that was away for longer begins a new visit (half an hour, as web analytics count visits)."""
MOST_STEPS = 200
"""Steps of one visit that are looked at; what goes on for longer is a program, not a customer (A)."""
MOST_JOURNEYS = 12
SMALLEST_JOURNEY = 0.01
"""The least share of the visits that a journey of its own has (A)."""
MOST_FOLLOWING = 8
"""Steps that may follow a step of the walk; rarer ones are left out."""
_MOST_VALUES = 9

Spread = tuple[int, ...]
"""Some values, equally likely, that stand for all that were seen: quantiles, ascending."""


class Visit(NamedTuple):
    """One visit: when it began, and its steps with the seconds before each (0 before the first)."""

    second: int
    steps: tuple[tuple[str, int], ...]


class JourneyStep(NamedTuple):
    """A step of a journey."""

    endpoint: str
    repeats: Spread
    """How often it is repeated after the first time."""
    pause_s: Spread
    """Before it, since the step before; empty for the first."""
    between_s: Spread
    """Between its repetitions."""


class Journey(NamedTuple):
    """Visits that have the same steps."""

    visits: int
    steps: tuple[JourneyStep, ...]


class Following(NamedTuple):
    """What follows a step of a walk, and how often; None ends it."""

    endpoint: str | None
    times: int
    pause_s: Spread


class Walk(NamedTuple):
    """Visits whose orders are no journey's: what follows each step, and under None what they begin with."""

    visits: int
    following: dict[str | None, tuple[Following, ...]]


class Visits(NamedTuple):
    """All visits of a log, or of an even part of its clients."""

    begun: tuple[tuple[int, int], ...]
    """Seconds since 1970 with the visits that began in them, ascending."""
    one_client_in: int
    journeys: tuple[Journey, ...]
    """The most usual first."""
    walk: Walk | None
    requests: int
    mean_s: float
    """How long a visit takes."""
    long_s: int
    """How long all but one in a hundred take at most."""

    @property
    def total(self) -> int:
        """How many visits these are."""
        return sum(many for _, many in self.begun)


def visits_of(seen: Iterable[tuple[int, int, str]], one_client_in: int) -> Visits | None:
    """Visits of requests (client, second, endpoint) that are sorted by client and second; None if there are none."""
    visits = [visit for _, client in groupby(seen, key=lambda each: each[0]) for visit in _cut(client)]
    if not visits:
        return None
    by_order: dict[tuple[str, ...], list[Visit]] = defaultdict(list)
    for visit in visits:
        by_order[tuple(name for name, _ in groupby(visit.steps, key=lambda step: step[0]))].append(visit)
    usual = sorted(by_order.items(), key=lambda each: (-len(each[1]), each[0]))
    common = [
        some for _, some in usual[:MOST_JOURNEYS] if len(some) >= max(2, SMALLEST_JOURNEY * len(visits))
    ]
    others = [visit for _, some in usual[len(common) :] for visit in some]
    begun = Counter(visit.second for visit in visits)
    lengths_s = sorted(sum(pause for _, pause in visit.steps) for visit in visits)
    return Visits(
        begun=tuple(sorted(begun.items())),
        one_client_in=one_client_in,
        journeys=tuple(map(_journey, common)),
        walk=_walk(others) if others else None,
        requests=sum(len(visit.steps) for visit in visits),
        mean_s=sum(lengths_s) / len(visits),
        long_s=lengths_s[len(visits) * 99 // 100],
    )


def spread_of(values: Sequence[int]) -> Spread:
    """At most nine values with the quantiles of `values`, all zeros as none."""
    if not any(values):
        return ()
    ordered = sorted(values)
    many = min(len(ordered), _MOST_VALUES)
    return tuple(ordered[int((number + 0.5) * len(ordered) / many)] for number in range(many))


def _cut(requests: Iterable[tuple[int, int, str]]) -> list[Visit]:
    """The visits of one client."""
    visits: list[tuple[int, list[tuple[str, int]]]] = []
    before = 0
    for _, second, endpoint in requests:
        if not visits or second - before > LONGEST_PAUSE_S:
            visits.append((second, []))
            before = second
        if len(visits[-1][1]) < MOST_STEPS:
            visits[-1][1].append((endpoint, second - before))
        before = second
    return [Visit(second, tuple(steps)) for second, steps in visits]


def _journey(visits: Sequence[Visit]) -> Journey:
    """The journey of visits that have the same steps."""
    runs = [[list(run) for _, run in groupby(visit.steps, key=lambda step: step[0])] for visit in visits]
    steps = []
    for number, run in enumerate(runs[0]):
        of_all = [visit[number] for visit in runs]
        steps.append(
            JourneyStep(
                endpoint=run[0][0],
                repeats=spread_of([len(each) - 1 for each in of_all]),
                pause_s=spread_of([each[0][1] for each in of_all]) if number else (),
                between_s=spread_of([pause for each in of_all for _, pause in each[1:]]),
            )
        )
    return Journey(len(visits), tuple(steps))


def _walk(visits: Sequence[Visit]) -> Walk:
    pauses: dict[str | None, dict[str | None, list[int]]] = defaultdict(lambda: defaultdict(list))
    for visit in visits:
        names = [None, *(name for name, _ in visit.steps), None]
        waits = [*(pause for _, pause in visit.steps), 0]
        for (before, after), pause in zip(pairwise(names), waits, strict=True):
            pauses[before][after].append(pause)
    following = {
        before: tuple(
            Following(after, len(seen), spread_of(seen))
            for after, seen in sorted(some.items(), key=lambda each: (-len(each[1]), each[0] or ""))
        )
        for before, some in pauses.items()
    }
    return Walk(len(visits), {before: _most_usual(some) for before, some in following.items()})


def _most_usual(following: tuple[Following, ...]) -> tuple[Following, ...]:
    """The most usual ones; an end stays among them, or a walk might have none."""
    kept = following[:MOST_FOLLOWING]
    end = next((each for each in following if each.endpoint is None), None)
    return kept if end is None or end in kept else (*kept, end)
