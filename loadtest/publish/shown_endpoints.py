"""Which endpoints of a run have series of their own in Prometheus: the first few; all others share one.

So a script that puts ids into names cannot flood a Prometheus, and no counter ever steps back.
"""

from collections.abc import Iterator, Sequence

from loadtest.measure.histogram import Histogram
from loadtest.measure.second import EndpointKey, EndpointSecond, Second

MAX_ENDPOINTS = 8
MAX_ERRORS = 4
"""Classes of error that an endpoint shows as they are: the first seen, so that no counter steps back."""
OTHER_ENDPOINTS = OTHER_ERRORS = "(others)"


def endpoints(total: Second) -> dict[str, EndpointSecond]:
    """The endpoints of a run by `METHOD name`: the first `MAX_ENDPOINTS` as they are, all others as one.

    The first are those first seen: an order that never changes, so that no counter steps back.
    """
    shown: dict[str, EndpointSecond] = {}
    for name, keys in _named(total).items():
        first, *others = (total.endpoints[key] for key in keys)
        shown[name] = _sum([first, *others]) if others else first  # copying a run's histograms costs most
    return shown


def shown_errors(endpoint: EndpointSecond) -> dict[str, int]:
    """An endpoint's failures by class: the first `MAX_ERRORS` classes as they are, all others as one."""
    shown: dict[str, int] = {}
    for place, (error, count) in enumerate(endpoint.errors.items()):
        name = error if place < MAX_ERRORS else OTHER_ERRORS
        shown[name] = shown.get(name, 0) + count
    return shown


def _sum(parts: Sequence[EndpointSecond]) -> EndpointSecond:
    total = EndpointSecond()
    for part in parts:
        total.merge(part)
    return total


def recent_responses(total: Second, recent: Sequence[Second]) -> Iterator[tuple[str, Histogram]]:
    """(name as in `endpoints`, response times of `recent` added up) of each endpoint that has any."""
    for name, keys in _named(total).items():
        merged = Histogram()
        for second in recent:
            for endpoint in filter(None, map(second.endpoints.get, keys)):
                merged.merge(endpoint.response)
        if merged.counts:
            yield name, merged


def _named(total: Second) -> dict[str, list[EndpointKey]]:
    """By the name that is shown, whose numbers are shown there: the first by their own, all others by one."""
    named: dict[str, list[EndpointKey]] = {}
    for place, (method, name) in enumerate(total.endpoints):
        shown = f"{method} {name}" if place < MAX_ENDPOINTS else OTHER_ENDPOINTS
        named.setdefault(shown, []).append((method, name))
    return named
