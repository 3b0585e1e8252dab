"""What onlookers see of a run: a reading for Prometheus, a view for the web page.

Both are made when they are asked for, from books that the master keeps anyway. What costs most, judging the
objectives, is done at most once a second however many look on.
"""

import time
from collections.abc import Callable

from loadtest.measure.run_result import RunResult
from loadtest.plugin.master import MasterRun
from loadtest.publish import prometheus

JUDGED_EVERY_S = 1.0


class Observer:
    """Looks at the current run, or the last one."""

    def __init__(self, current: Callable[[], MasterRun | None]) -> None:
        self._current = current
        self._judged: tuple[float, MasterRun, RunResult] | None = None

    def reading(self) -> prometheus.Reading | None:
        """For a scrape; None before the first run."""
        run = self._current()
        if run is None:
            return None
        merge, coordinator = run.coordinator.merge, run.coordinator
        result = self.judged(run)
        live = {name: merge.workers[name] for name in coordinator.live if name in merge.workers}
        serving = {} if run.over else live
        return prometheus.Reading(
            info=run.info,
            planned_tps=run.planned_tps(coordinator.offset_ns / 1e9) if coordinator.offset_ns else 0.0,
            total=merge.total,
            recent=merge.timeline.recent(prometheus.RECENT_S),
            in_flight=sum(book.in_flight for book in serving.values()),
            backlog=sum(book.backlog for book in serving.values()),
            workers=[prometheus.WorkerReading(coordinator.name(n), b.cpu_recent) for n, b in live.items()],
            report_gaps=merge.gaps,
            slo=result.slo,
            lost=result.arrivals.lost if run.over else 0,
            over=run.over,
        )

    def judged(self, run: MasterRun) -> RunResult:
        """What is known of `run` and what it comes to so far, at most `JUDGED_EVERY_S` old."""
        now_s = time.monotonic()
        if self._judged is not None:
            at_s, of, result = self._judged
            if of is run and not run.over and now_s - at_s < JUDGED_EVERY_S:
                return result
        result = run.judged_so_far()
        self._judged = (now_s, run, result)
        return result
