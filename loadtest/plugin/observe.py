"""What is shown of a run while it goes on: a reading for Prometheus, a view for the web page.

Both are made when they are asked for, from totals that the master keeps anyway. What costs most, judging the
objectives, is done at most once a second however many look on, and less often in a run of so many endpoints that it
would take more than a hundredth of a core.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import gevent
from gevent.lock import BoundedSemaphore

from loadtest.fleet.coordinator import Phase
from loadtest.fleet.endpoint_timeline import MAX_BINS
from loadtest.measure.run_result import RunResult
from loadtest.pauses import Pauses
from loadtest.plugin.led_run import LedRun
from loadtest.publish import live, run_charts, wording
from loadtest.publish.network import network
from loadtest.publish.reading import RECENT_S, Reading, WorkerReading
from loadtest.publish.series import Sheet

JUDGED_EVERY_S = 1.0
"""The least time between two judgements."""
JUDGED_SHARE = 0.01
"""The share of a core that judging may take; the next one waits until what the last one cost is no more than that."""
STALEST_S = 5.0
"""The most time between two judgements, whatever they cost."""
FOLLOWED_EVERY_S = 0.5


class Observer:
    """Looks at the current run, or the last one."""

    def __init__(
        self,
        current: Callable[[], LedRun | None],
        auditing: Callable[[LedRun], bool],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._current = current
        self._now_s = now_s
        self._auditing = auditing
        self._judged: tuple[float, LedRun, RunResult] | None = None
        """Until when, of which run, and what came of it."""
        self._judging = BoundedSemaphore()
        self._histories: dict[str, live.History] = {}
        self._steady = live.SteadyVerdict()
        self.finished: list[live.Finished] = []
        """The runs of this session that are over, oldest first."""
        self.folders: dict[str, Path] = {}
        """Their folders by name, and by the id that metrics carry."""

    def follow(self, run: LedRun) -> None:
        """Remember `run` second by second, for pages that come late."""
        self._histories = {run.info.id: live.History(run.plan.duration_s)}
        self._steady = live.SteadyVerdict()
        gevent.spawn(self._follow, run)

    def view(self, run_id: str, since_s: float) -> live.Live:
        """What the live page shows, which already knows run `run_id` up to `since_s`."""
        run = self._current()
        if run is None:
            return live.Live(finished=self.finished)
        result = self.judged(run)
        generator = result.generator
        known_s = since_s if run_id == run.info.id else float("-inf")
        workers = _workers(run)
        requests, failures = wording.total_requests(result)
        verdict = self._verdict(run, result, workers)
        return live.Live(
            state=self.state(),
            noun=wording.transaction(result),
            run=live.head(run.info, str(run.folder)) if run_id != run.info.id else None,
            t_s=run.coordinator.scheduled_to_ns / 1e9,
            sheet=self._sheet(run, result, known_s),
            verdict=verdict,
            equations=live.equations(result, over=run.over),
            audit=live.audit(result, over=run.over, under_way=self._auditing(run)),
            lag_ms={name: getattr(generator.dispatch_lag_ms, name) for name in ("p50", "p99", "max")},
            queueing_ms={name: getattr(generator.queueing_ms, name) for name in ("p50", "p99", "max")},
            requests=requests,
            failures=failures,
            dropped=result.arrivals.dropped,
            report_gaps=generator.report_gaps,
            workers=workers,
            slo=live.objectives(result.slo, verdict),
            endpoints=live.endpoint_rows(result, None if run.over else _rates(run)),
            network=network(result)[: live.MOST_ENDPOINTS],
            more_endpoints=max(0, len(result.endpoints) - live.MOST_ENDPOINTS),
            errors=live.errors(result),
            events=result.events,
            finished=self.finished,
        )

    def state(self) -> str:
        """As `live.Live.state`."""
        run = self._current()
        return "idle" if run is None else live.DONE if run.over else run.coordinator.phase.value

    def endpoint(self, name: str) -> Sheet | None:
        """The charts of one endpoint of the current run, or the last; None if there are none of it."""
        run = self._current()
        method, _, rest = name.partition(" ")
        seen = run.coordinator.merge.timeline.endpoint((method, rest)) if run is not None else None
        if run is None or seen is None:
            return None
        frame = Sheet(end_s=max(run.plan.duration_s, 1.0), phases=run.info.phases)
        return run_charts.of_endpoints({name: seen}, frame, MAX_BINS)

    def _sheet(self, run: LedRun, result: RunResult, known_s: float) -> Sheet | None:
        history = self._histories.get(run.info.id)
        if history is None:
            return None
        points = history.since(known_s)
        return run_charts.of_run(
            result,
            points,
            history.bin_s,
            max(run.info.duration_s, *(point.t_s for point in points[-1:]), 1.0),
            now_s=None if run.over else run.coordinator.scheduled_to_ns / 1e9,
            planned=run.planned_transactions if known_s == float("-inf") else None,
        )

    def _verdict(self, run: LedRun, result: RunResult, workers: list[live.WorkerRow]) -> live.Verdict:
        played_s = run.coordinator.scheduled_to_ns / 1e9
        timeline = run.coordinator.merge.timeline
        # The newest seconds are still being reported, and answered.
        recent = list(timeline.recent_points(live.RATE_S + 2, run.planned_transactions))[:-2]
        playing = run.coordinator.phase is Phase.RUNNING
        dangers = live.dangers(workers, recent if playing else [], wording.transaction(result))
        now = live.verdict(result, over=run.over, played_s=played_s, dangers=dangers)
        return self._steady.say(now, self._now_s())

    def reading(self) -> Reading | None:
        """What a scrape is answered from; None before the first run."""
        run = self._current()
        if run is None:
            return None
        merge, coordinator = run.coordinator.merge, run.coordinator
        result = self.judged(run)
        live = {name: merge.workers[name] for name in coordinator.roster.live if name in merge.workers}
        serving = {} if run.over else live
        return Reading(
            info=result.run if run.over else run.info,
            planned_tps=_planned_tps(run),
            phase=_phase(run),
            total=merge.total,
            recent=merge.timeline.recent(RECENT_S),
            in_flight=sum(totals.in_flight for totals in serving.values()),
            backlog=sum(totals.backlog for totals in serving.values()),
            workers=[WorkerReading(coordinator.roster.name(n), b.cpu_recent) for n, b in live.items()],
            report_gaps=merge.gaps,
            slo=result.slo,
            lost=result.arrivals.lost if run.over else 0,
            over=run.over,
            verdict=result.verdict if run.over else "",
            exemplars=merge.exemplars,
            faults=[] if run.over else run.faults.shown(run.played_s),
        )

    def judged(self, run: LedRun) -> RunResult:
        """What is known of `run` and what it comes to so far, `JUDGED_EVERY_S` to `STALEST_S` old at most."""
        with self._judging:
            began_s = self._now_s()
            if self._judged is not None:
                until_s, of, result = self._judged
                if of is run and not run.over and began_s < until_s:
                    return result
            pauses = Pauses(gevent.sleep)
            result = run.judged_so_far(pauses)
            result = run.result or result  # it may have ended meanwhile
            wait_s = min(max(JUDGED_EVERY_S, pauses.worked_s / JUDGED_SHARE), STALEST_S)
            self._judged = (began_s + wait_s, run, result)
            return result

    def _follow(self, run: LedRun) -> None:
        history = self._histories[run.info.id]
        timeline = run.coordinator.merge.timeline
        while not run.over:
            known = list(timeline.recent_points(live.LATE_S, run.planned_transactions))
            history.update(known[:-1])  # the newest second has not been reported by every worker
            gevent.sleep(FOLLOWED_EVERY_S)
        history.update(timeline.recent_points(live.LATE_S, run.planned_transactions))
        while self._auditing(run):
            gevent.sleep(FOLLOWED_EVERY_S)
        self.finished.append(_finished(run))
        self.folders |= {run.folder.name: run.folder, run.info.id: run.folder}


def _planned_tps(run: LedRun) -> float:
    playing = not run.over and run.coordinator.phase is not Phase.WAITING
    return run.planned_tps(run.coordinator.offset_ns / 1e9) if playing else 0.0


def _phase(run: LedRun) -> str:
    t_s = run.coordinator.offset_ns / 1e9
    phases = run.info.phases if run.coordinator.phase is Phase.RUNNING else []
    return next((name for from_s, to_s, name in phases if from_s <= t_s < to_s), "")


def _rates(run: LedRun) -> dict[str, float]:
    """Requests a second to each endpoint over the last seconds that every worker has reported."""
    recent = run.coordinator.merge.timeline.recent(live.RATE_S + 1)[:-1]
    made: Counter[str] = Counter()
    for second in recent:
        made.update({" ".join(key): endpoint.requests for key, endpoint in second.endpoints.items()})
    return {name: count / len(recent) for name, count in made.items()}


def _workers(run: LedRun) -> list[live.WorkerRow]:
    coordinator = run.coordinator
    serving = set(coordinator.roster.live) if coordinator.phase is not Phase.DONE else set()
    return [
        live.WorkerRow(
            name=coordinator.roster.name(totals.name),
            state="serving" if totals.name in serving else "done" if totals.final else "lost",
            cpu=round(totals.cpu_recent, 3),
            started=totals.started,
            in_flight=totals.in_flight,
            backlog=totals.backlog,
            lag_p99_ms=totals.dispatch_lag.quantile(0.99) / 1000,
            report_gaps=totals.gaps,
        )
        for totals in coordinator.merge.workers.values()
    ]


def _finished(run: LedRun) -> live.Finished:
    result = run.result
    return live.Finished(
        name=run.folder.name,
        plan=run.plan.name,
        verdict=result.verdict if result else "",
        peak_tps=result.transactions.peak_tps if result else 0.0,
    )
