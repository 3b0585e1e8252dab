"""What is known of each class of failure: how often, from when to when, and one sample.

Workers count failures by endpoint and class in every second they report (`second.EndpointSecond.errors`), so how
often and when needs nothing more. Besides, a worker sends one `Sample` of each class at each endpoint, the first
it met. The master keeps the first that came, and of the counts a series that is thinned out as the run goes on:
when it has more than `MOST_POINTS`, neighbours are added together and points become twice as far apart.

Both are bounded in number: of the first `MOST_KEPT` classes there is evidence, of all there are counts. Endpoints
beyond the limit of names share one entry: of it, and of each pattern that an objective names, the sample is that of
an endpoint which it covers.
"""

from itertools import chain
from typing import Annotated

import msgspec
from msgspec import Meta

from loadtest.measure.endpoint_pattern import matches
from loadtest.measure.run_result import Evidence, ScriptError
from loadtest.measure.second import (
    MAX_SCRIPT_ERRORS,
    OVERFLOW_ENDPOINT,
    OVERFLOW_SCRIPT_ERROR,
    EndpointKey,
    ScriptErrorKey,
    Second,
)

MOST_REPORTED = 16
"""Samples in one report, of which a worker sends two a second."""
MOST_KEPT = 200
"""Classes of failure, over all endpoints, of which there is evidence."""
MOST_POINTS = 120
QUOTED = 200
"""Characters quoted of a body, an error or a request's line."""

_Quoted = Annotated[str, Meta(max_length=QUOTED)]
_Name = Annotated[str, Meta(max_length=500)]


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One failure that stands for its class, secrets masked."""

    method: _Name
    name: _Name
    error: _Name
    status: Annotated[int, Meta(ge=0, le=999)] | None = None
    text: _Quoted = ""
    body: _Quoted = ""
    request: _Quoted = ""


class Samples:
    """The worker's part: the first failure of each class at each endpoint, until the next report takes it."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str, str]] = set()
        self._new: list[Sample] = []

    def wants(self, method: str, name: str, error: str) -> bool:
        """Whether a failure is the first of its class, and there is room for another class; True only once."""
        key = (method, name, error)
        if key in self._seen or len(self._seen) >= MOST_KEPT:
            return False
        self._seen.add(key)
        return True

    def add(self, sample: Sample) -> None:
        """Keep a sample for the next report."""
        self._new.append(sample)

    def take(self) -> list[Sample]:
        """The oldest few that were not taken yet."""
        taken, self._new = self._new[:MOST_REPORTED], self._new[MOST_REPORTED:]
        return taken


class Series(msgspec.Struct):
    """How often something happened, by time, in a bounded number of points of equal length."""

    count: int = 0
    first_s: int = 0
    last_s: int = 0
    point_s: int = 1
    points: dict[int, int] = {}
    """How often from `point_s * number` seconds on, for `point_s`."""

    def add(self, index: int, count: int) -> None:
        """Count what happened in one second of the run, in any order."""
        self.first_s = min(self.first_s, index) if self.count else index
        self.last_s = max(self.last_s, index) if self.count else index
        self.count += count
        number = index // self.point_s
        self.points[number] = self.points.get(number, 0) + count
        while len(self.points) > MOST_POINTS:
            self._halve()

    def in_order(self) -> list[tuple[float, int]]:
        """(t_s, count) of each point, ascending."""
        return [(float(number * self.point_s), self.points[number]) for number in sorted(self.points)]

    def _halve(self) -> None:
        self.point_s *= 2
        points, self.points = self.points, {}
        for number, count in points.items():
            self.points[number // 2] = self.points.get(number // 2, 0) + count


class PackedEvidence(msgspec.Struct, frozen=True):
    """A `FailureLog` as a checkpoint keeps it."""

    failures: list[tuple[EndpointKey, str, Series]] = []
    script: list[tuple[ScriptErrorKey, Series]] = []
    samples: list[Sample] = []


class FailureLog:
    """The master's part: what every worker reported of failures, in bounded memory."""

    def __init__(self, packed: PackedEvidence | None = None) -> None:
        """Begin empty, or with what a checkpoint has kept."""
        packed = packed or PackedEvidence()
        self._failures: dict[EndpointKey, dict[str, Series]] = {}
        for key, error, series in packed.failures[:MOST_KEPT]:
            self._failures.setdefault(key, {})[error] = series
        self._script = dict(packed.script)
        self._samples = {
            ((sample.method, sample.name), sample.error): sample for sample in packed.samples[:MOST_KEPT]
        }

    def pack(self) -> PackedEvidence:
        """Everything; it shares the series, so whoever wants them to stay as they are encodes it at once."""
        return PackedEvidence(
            [
                (key, error, series)
                for key, classes in self._failures.items()
                for error, series in classes.items()
            ],
            list(self._script.items()),
            list(self._samples.values()),
        )

    def note(self, second: Second) -> None:
        """Note the failures of one second, or of a part of it."""
        patterns = ((_of_pattern(pattern), entry) for pattern, entry in second.patterns.items())
        for key, endpoint in chain(second.endpoints.items(), patterns):
            for error, count in endpoint.errors.items():
                series = self._series(key, error)
                if series is not None:
                    series.add(second.index, count)
        for script_error, count in second.script_errors.items():
            if script_error not in self._script and len(self._script) >= MOST_KEPT:
                script_error = OVERFLOW_SCRIPT_ERROR  # noqa: PLW2901 - the same, or all others'
            self._script.setdefault(script_error, Series()).add(second.index, count)

    def _series(self, key: EndpointKey, error: str) -> Series | None:
        """The series of a class of failure, made on first use; None when there are too many classes."""
        found = self._failures.get(key, {}).get(error)
        if found is None and sum(map(len, self._failures.values())) < MOST_KEPT:
            found = self._failures.setdefault(key, {})[error] = Series()
        return found

    def offer(self, sample: Sample) -> None:
        """Keep a sample, if it is the first of its class that came."""
        if len(self._samples) < MOST_KEPT:
            self._samples.setdefault(((sample.method, sample.name), sample.error), sample)

    def of(self, key: EndpointKey) -> dict[str, Evidence]:
        """What is known of each class of failure at an endpoint, most frequent first."""
        found = sorted(self._failures.get(key, {}).items(), key=lambda item: -item[1].count)
        return {error: self._evidence(key, error, series) for error, series in found}

    def of_pattern(self, pattern: str) -> dict[str, Evidence]:
        """What is known of each class of failure beyond the limit of names, where a pattern covers them."""
        return self.of(_of_pattern(pattern))

    def script_errors(self) -> list[ScriptError]:
        """How the script itself raised, most frequent first."""
        ordered = sorted(self._script.items(), key=lambda item: -item[1].count)
        return [
            ScriptError(
                scenario=scenario,
                error=error,
                where=where,
                count=series.count,
                first_s=series.first_s,
                last_s=series.last_s,
            )
            for (scenario, error, where), series in ordered[:MAX_SCRIPT_ERRORS]
        ]

    def _evidence(self, key: EndpointKey, error: str, series: Series) -> Evidence:
        sample = self._sample(key, error)
        return Evidence(
            count=series.count,
            first_s=series.first_s,
            last_s=series.last_s,
            per_second=series.in_order(),
            status=sample.status,
            text=sample.text,
            body=sample.body,
            request=sample.request,
        )

    def _sample(self, key: EndpointKey, error: str) -> Sample:
        """The sample of a class of failure; for an entry that stands for many endpoints, that of one among them."""
        found = self._samples.get((key, error))
        if found is not None:
            return found
        among = [s for (_, label), s in self._samples.items() if label == error and _covers(key, s)]
        beyond = [sample for sample in among if (sample.method, sample.name) not in self._failures]
        return next(iter(beyond or among), Sample(*key, error))


def _of_pattern(pattern: str) -> EndpointKey:
    """The key of a pattern among endpoints, none of which is without a method."""
    return "", pattern


def _covers(key: EndpointKey, sample: Sample) -> bool:
    method, name = key
    return key == OVERFLOW_ENDPOINT or (not method and matches(name, f"{sample.method} {sample.name}"))
