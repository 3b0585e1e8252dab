"""Where a run's requests came from: for each region its share and its times, with the way to the service and without.

A script names a request's region (`loadtest.records.in_region`) and waits the way there before it sends it. So
response times count the way, as the buyer sees it, and service times do not. What lies between them on average is the
way, and whatever else an arrival waited for before it was sent.
"""

from typing import NamedTuple

from loadtest.measure.regions import together
from loadtest.measure.run_result import Endpoint, RunResult
from loadtest.publish import wording
from loadtest.records import endpoint_and_region

HEADINGS = ("requests", "share", "failed", "way", "p50", "p99", "service p50", "service p99")
ALL = "all regions"


class RegionTable(NamedTuple):
    """One endpoint in its regions."""

    endpoint: str
    """`METHOD name`, without a region."""
    rows: list[tuple[str, list[str]]]
    """A region and a cell for each of `HEADINGS`, the most requested first; all of them together come last."""


def regions(result: RunResult) -> list[RegionTable]:
    """A table for each endpoint that was asked from regions; empty where none was."""
    seen: dict[str, dict[str, Endpoint]] = {}
    for name, endpoint in result.endpoints.items():
        base, region = endpoint_and_region(name)
        if region is not None and endpoint.requests:
            seen.setdefault(base, {})[region] = endpoint
    return [RegionTable(base, _rows(parts)) for base, parts in seen.items()]


def _rows(parts: dict[str, Endpoint]) -> list[tuple[str, list[str]]]:
    whole = together(list(parts.values()))
    ordered = sorted(parts.items(), key=lambda each: (-each[1].requests, each[0]))
    return [(name, _cells(endpoint, whole.requests)) for name, endpoint in [*ordered, (ALL, whole)]]


def _cells(endpoint: Endpoint, requests: int) -> list[str]:
    response, service = endpoint.response_ms, endpoint.service_ms
    return [
        f"{endpoint.requests:,}",
        wording.percent(endpoint.requests / requests),
        f"{endpoint.failures:,}",
        wording.latency(max(response.mean - service.mean, 0.0)),
        wording.latency(response.p50),
        wording.latency(response.p99),
        wording.latency(service.p50),
        wording.latency(service.p99),
    ]


def residency(result: RunResult) -> str:
    """A sentence on whether orders are stored in the region they were placed in."""
    if result.audit is None:
        return f"data residency was not audited: {result.unaudited}"
    misplaced = result.audit.misplaced
    if misplaced:
        verb = "is" if misplaced == 1 else "are"
        return f"{wording.things(misplaced, 'order')} {verb} stored for another region than placed in"
    return "no order that says where it was placed is stored for another region"
