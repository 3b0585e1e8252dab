"""Samples the target's memory beside the traffic, from the Prometheus page that it serves about itself.

The master samples, because the run's time is its own: a value belongs to an offset of the plan. About
`SAMPLES` values are taken however long the run lasts, which is plenty for `judge.drift` and keeps a result of
days small. A page that does not answer costs a value, never the run.
"""

import logging
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPException

import gevent
from prometheus_client.parser import text_string_to_metric_families

from loadtest.drive.agent import basic_auth
from loadtest.drive.urls import base_url

SERVICE_MEMORY = "service_memory_bytes"
MEMORY_METRICS = ("orders_memory_bytes", "process_resident_memory_bytes")
"""Our service's own, and the name that Prometheus' client libraries agree on; the first that is there counts."""
SAMPLES = 1000
SHORTEST_S = 1.0
TIMEOUT_S = 2.0
LARGEST_PAGE_BYTES = 4 * 2**20

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy that the environment names is not for the target."""

logger = logging.getLogger(__name__)


def memory_bytes(page: str) -> float | None:
    """The memory on a Prometheus page, summed over its labels; None where it has none.

    Raises `ValueError` for what is no such page.
    """
    families = {family.name: family for family in text_string_to_metric_families(page)}
    for name in MEMORY_METRICS:
        if name in families:
            return sum(sample.value for sample in families[name].samples)
    return None


Samples = Mapping[str, list[tuple[float, float]]]
"""(t_s, value) of what is sampled beside the traffic, by name."""


class Gauges:
    """What one run samples beside the traffic, and what its earlier parts have sampled."""

    def __init__(self, memory_page: str | None, duration_s: float, known: Samples) -> None:
        """`memory_page` is where the target tells of its memory, if it does."""
        self._known = dict(known)
        before = self._known.get(SERVICE_MEMORY, [])
        self._memory = MemorySampler(memory_page, duration_s, before) if memory_page else None

    def sample_while(self, running: Callable[[], bool], offset_s: Callable[[], float]) -> None:
        """Sample until `running` is false, in a greenlet; `offset_s` is negative before time zero."""
        if self._memory is not None:
            gevent.spawn(self._memory.sample_while, running, offset_s)

    def values(self) -> dict[str, list[tuple[float, float]]]:
        """All that is known by now."""
        memory = self._memory.values if self._memory is not None else []
        return {**self._known, **({SERVICE_MEMORY: list(memory)} if memory else {})}


class MemorySampler:
    """Asks `url` for memory, at most once every `every_s` of the run's time."""

    def __init__(self, url: str, duration_s: float, known: Iterable[tuple[float, float]] = ()) -> None:
        self.values = list(known)
        """(t_s, bytes), beginning with what an earlier part of the run sampled"""
        page = base_url(url)
        name, password = page.username, page.password
        headers = {"Authorization": basic_auth(name, password)} if name and password else {}
        self._request = urllib.request.Request(page.url, headers=headers)  # noqa: S310 - http or https, as checked
        self._every_s = max(SHORTEST_S, duration_s / SAMPLES)
        self._complained = False

    def sample_while(self, running: Callable[[], bool], offset_s: Callable[[], float]) -> None:
        """Sample until `running` is false; runs in a greenlet of its own."""
        while running():
            started = offset_s() >= 0
            if started:
                self._sample(offset_s())
            gevent.sleep(self._every_s if started else SHORTEST_S)

    def _sample(self, t_s: float) -> None:
        try:
            value = memory_bytes(self._page())
        except (OSError, ValueError, HTTPException) as error:
            self._complain(str(error) or type(error).__name__)
            return
        if value is None:
            self._complain(f"it has none of {', '.join(MEMORY_METRICS)}")
        else:
            self.values.append((round(t_s, 3), value))

    def _page(self) -> str:
        with _OPENER.open(self._request, timeout=TIMEOUT_S) as answer:
            return str(answer.read(LARGEST_PAGE_BYTES).decode("utf-8"))

    def _complain(self, why: str) -> None:
        """Say once why memory is unknown."""
        if not self._complained:
            self._complained = True
            logger.warning("the target's memory is not known, %s: %s", self._request.full_url, why)
