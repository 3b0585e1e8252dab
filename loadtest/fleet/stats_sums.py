"""Locust's own statistics of many workers, added up by Locust's own code: for its tables and charts."""

from collections.abc import Iterator
from typing import Any

from locust.event import Events
from locust.stats import RequestStats, setup_distributed_stats_event_listeners


class StatsSums:
    """What workers' `stats` messages say, until it is taken."""

    def __init__(self) -> None:
        self._events = Events()
        self._stats = RequestStats(use_response_times_cache=False)
        self._last: tuple[str, dict[str, Any]] | None = None
        setup_distributed_stats_event_listeners(self._events, self._stats)

    def add(self, worker: str, data: dict[str, Any]) -> None:
        """Add the data of one message."""
        self._events.worker_report.fire(client_id=worker, data=data)
        self._last = worker, data

    def take(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(worker, data) of one message that says the same as all since the last time; none if nothing was added.

        It is told in the name of the worker that was the last to say something, with its users.
        """
        if self._last is None:
            return
        worker, last = self._last
        self._last = None
        data: dict[str, Any] = {}
        self._events.report_to_master.fire(client_id=worker, data=data)
        yield worker, last | data
