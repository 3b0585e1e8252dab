"""One run, as its leader sees it: from the moment Locust asks for users until the artefacts are written.

It owns the coordinator, looks at it every `TICK_S`, and delivers the result once, whichever way the run ends: the
plan is over, the stop button, a signal, abort-on-fail. Given a checkpoint, it goes on with the run that was
interrupted instead of beginning one.
"""

import logging
import time
from collections.abc import Container
from pathlib import Path

import gevent
import msgspec
from locust.env import Environment
from locust.runners import Runner

from loadtest.clock import SystemClock
from loadtest.configuration.check import abort_conditions_of
from loadtest.configuration.run_config import RunConfig
from loadtest.drive.locust_stats import prune
from loadtest.fleet.build import build_of
from loadtest.fleet.bundle import Bundle
from loadtest.fleet.checkpoint import Checkpoint, differences, interruption, restore
from loadtest.fleet.coordinator import Coordinator, Phase, Wanted
from loadtest.fleet.journal import forget_reports
from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import Hello, Message, Report, Trouble
from loadtest.fleet.relayed import Outbox
from loadtest.fleet.snapshot import PeriodRecords, progress, snapshot
from loadtest.judge.never_requested import EarlyWarning
from loadtest.judge.observation import Observations
from loadtest.judge.periods import own_spans, wanted_periods
from loadtest.judge.slo_syntax import Slo
from loadtest.judge.verdict import judge
from loadtest.measure.run_result import RunResult
from loadtest.pauses import Pause
from loadtest.plugin.abort_watch import AbortWatch
from loadtest.plugin.checkpoints import Checkpointer
from loadtest.plugin.delivery import Delivery
from loadtest.plugin.fault_play import FaultPlay
from loadtest.plugin.gauges import Gauges
from loadtest.plugin.habits import LISTENER_RAISED, listener_raised
from loadtest.plugin.plan_files import modules_of
from loadtest.plugin.states import DeliveryState, LeaderEvent, LeaderState, States
from loadtest.run_info import run_info

PRUNE_S = 10.0
"""How often Locust's statistics here, which grow with every second of the run, are cut back."""
TICK_S = 0.05
ABORT_WAIT_S = 2.0
UNNAMED_AUDITOR = "no auditor given (--auditor)"
"""Why a run that `singlesday` began has no audit, until one is made: other doors have other flags."""
NS_PER_S = 1_000_000_000
_COMES_TO = {Phase.RUNNING: LeaderEvent.BEGIN, Phase.DRAINING: LeaderEvent.HALT, Phase.DONE: LeaderEvent.END}
"""What the coordinator's phases are to the leader."""

logger = logging.getLogger(__name__)


class LedRun:
    """One run, as the leader leads it."""

    def __init__(
        self,
        environment: Environment,
        runner: Runner,
        states: States[LeaderState, LeaderEvent],
        config: RunConfig,
        slos: list[Slo],
        *,
        faults: FaultPlay | None = None,
        resumed: Checkpoint | None = None,
    ) -> None:
        """Lead a run of a checked configuration with a folder, or go on with one that is `resumed`.

        Raises `CheckpointError` when its totals are damaged.
        """
        self.states = states
        self.config = config
        self.plan = plan = config.plan
        self.folder = Path(config.folder or "")
        self.delivery = Delivery(self.folder)
        self.faults = faults or FaultPlay(config)
        self.info = here = run_info(config, self.folder)
        self.slos = slos
        self._early_warning = EarlyWarning(slos, plan.duration_s)
        self._outbox = Outbox(runner)
        self._locust_stats = environment.stats
        self._prune_at_s = 0.0
        self._profile = plan.profile()
        periods = wanted_periods(slos, self.info.phases, plan.duration_s)
        self.periods = [(s.from_s, s.to_s, s.name) for s in periods]
        if resumed is not None:
            self._be_the_same_run_as(resumed)
        self._period_records = PeriodRecords(self.periods)
        self._asked_about = self._periods_asked_about()
        self._observations = Observations()
        self.coordinator = self._new_coordinator(config.workers)
        if resumed is not None:
            note = interruption(resumed, time.time_ns()) + differences(resumed.info, here)
            restore(resumed, self.coordinator, note)
            forget_reports(self.folder)  # what they tell is played again
        self._abort = AbortWatch(abort_conditions_of(plan), self.coordinator)
        self._checkpointer = Checkpointer(self, config.checkpoint_s)
        self._gauges = Gauges(config.memory_page, plan.duration_s, resumed.gauges if resumed else {})
        self._phase = self.coordinator.phase
        states.on(LeaderEvent.PREPARE)
        self._spawn()

    def _new_coordinator(self, workers: int) -> Coordinator:
        mix = self.plan.mix()
        return Coordinator(
            self.info.id,
            duration_ns=round(self.plan.duration_s * NS_PER_S),
            drain_s=self.plan.patience_s,
            count=lambda slot, slots, from_ns, to_ns: sum(mix.counts(slot, slots, from_ns, to_ns)),
            send=self._outbox.send,
            clock=SystemClock(),
            merge=Merge([(from_s, to_s) for from_s, to_s, _ in self.periods]),
            wanted=Wanted(workers, min(self.config.min_workers, workers), build_of(modules_of(self.config))),
        )

    def _spawn(self) -> None:
        """Start what goes on beside Locust until the run is over."""
        self._ticker = gevent.spawn(self._tick_forever)
        self._ticker.link_exception(self._end_by_defect)
        gevent.spawn(self._checkpointer.save_while_running)
        self._gauges.sample_while(lambda: not self.over, lambda: self.played_s)

    @property
    def played_s(self) -> float:
        """Seconds of the plan that have been played; negative while workers are awaited."""
        waiting = self.coordinator.phase is Phase.WAITING or self.coordinator.offset_ns <= 0
        return -1.0 if waiting else self.coordinator.scheduled_to_ns / NS_PER_S

    @property
    def over(self) -> bool:
        """True once the result is delivered."""
        return self.delivery.states.now is not DeliveryState.PENDING

    @property
    def result(self) -> RunResult | None:
        """The final result, once it is delivered."""
        return self.delivery.result

    def on_message(self, worker: str, message: Message) -> None:
        """Take a worker's message; those of another run are old."""
        if message.run_id != self.info.id:
            return
        match message:
            case Hello():
                self.coordinator.on_hello(worker, message)
            case Report():
                self.coordinator.on_report(worker, message)
            case Trouble():
                self._abort_run(f"{self.coordinator.roster.name(worker)} cannot go on: {message.reason}")
            case _:
                logger.warning("a worker sent %s, which only a master may", type(message).__name__)
        self._outbox.flush()

    def on_bundle(self, relay: str, bundle: Bundle) -> None:
        """Take what many workers reported by way of a relay. Raises `MessageError` for a malformed bundle."""
        if bundle.run_id == self.info.id:
            taken = self.coordinator.on_bundle(bundle)
            self._outbox.answer(relay, bundle, self.coordinator.saved, taken=taken)

    def live(self) -> RunResult:
        """The result so far, complete."""
        result = snapshot(
            self.coordinator,
            self.info,
            planned=self.planned_transactions,
            periods=self._period_records,
        )
        result.gauges = self.gauges()
        return self._with_faults(result)

    def _with_faults(self, result: RunResult) -> RunResult:
        """The same record, with what is known of the plan's faults."""
        result.faults = self.faults.results
        result.events = sorted([*result.events, *self.faults.events])
        result.notes += [note for note in self.faults.notes if note not in result.notes]
        return result

    def judged_so_far(self, pause: Pause) -> RunResult:
        """The final result, or what it would be if everything had ended well by now; without a timeline."""
        if self.result is not None:
            return self.result
        return self.judge(self.progress(pause, self._asked_about), aborted=None)

    def progress(self, pause: Pause, only: Container[int] | None = None) -> RunResult:
        """The result so far without its timeline; with `only`, just these periods are brought up to date."""
        return self._with_faults(progress(self.coordinator, self.info, self._period_records, pause, only))

    def _periods_asked_about(self) -> set[int]:
        """The numbers of the periods that an objective or a fault is about: the others wait for the end."""
        spans = {
            span for slo in self.slos for span in own_spans(slo, self.info.phases, self.plan.duration_s)
        } | {fault.period for fault in self.plan.faults}
        return {number for number, (from_s, to_s, _) in enumerate(self.periods) if (from_s, to_s) in spans}

    def judge(self, result: RunResult, *, aborted: str | None, final: bool = True) -> RunResult:
        """Judge a result of this run; returns the same record."""
        return judge(result, self.slos, aborted=aborted, observations=self._observations, final=final)

    def planned_tps(self, t_s: float) -> float:
        """Orders a second that the plan intends at an offset; 0 before and after it."""
        return self._profile.rate(t_s) if 0 <= t_s < self.plan.duration_s else 0.0

    def planned_transactions(self, from_s: float, to_s: float) -> float:
        """How many orders the plan intends between two offsets."""
        return self._profile.between(from_s, to_s)

    def stop(self, reason: str) -> None:
        """End the run early, wait for the workers' last reports, and deliver what there is."""
        if self.over:
            return
        self._abort_run(reason)
        deadline = time.monotonic() + ABORT_WAIT_S
        while self.coordinator.phase is not Phase.DONE and time.monotonic() < deadline:
            self._tick()
            gevent.sleep(TICK_S)
        self._deliver()

    def gauges(self) -> dict[str, list[tuple[float, float]]]:
        """(t_s, value) of what has been sampled beside the traffic, by name."""
        return self._gauges.values()

    def _be_the_same_run_as(self, resumed: Checkpoint) -> None:
        """Keep who, when and where of an interrupted run; its ledger and its shadow orders carry its id."""
        self.periods = list(resumed.periods)
        self.info = msgspec.structs.replace(
            resumed.info,
            duration_s=self.plan.duration_s,
            targets=self.info.targets,
            resumed_s=[*resumed.info.resumed_s, resumed.known_to_s],
        )

    def _tick_forever(self) -> None:
        while not self.over:
            if self.coordinator.phase is Phase.WAITING and listener_raised():
                self._abort_run(LISTENER_RAISED)
            self._tick()
            if reason := self._abort.reason(self.planned_transactions):
                self._abort_run(reason)
            self._say_what_was_never_requested()
            if time.monotonic() >= self._prune_at_s:
                self._prune_at_s = time.monotonic() + PRUNE_S
                prune(self._locust_stats)
            if self.coordinator.phase is Phase.DONE:
                self._deliver()
            gevent.sleep(TICK_S)

    def _tick(self) -> None:
        self.coordinator.tick()
        self._outbox.flush()
        self._follow()

    def _abort_run(self, reason: str) -> None:
        self.coordinator.abort(reason)
        self._outbox.flush()
        self._follow()

    def _follow(self) -> None:
        """Go on to the state that the coordinator's phase comes to, if it has changed."""
        before, self._phase = self._phase, self.coordinator.phase
        if self._phase is not before and not self.over:
            self.states.on(_COMES_TO[self._phase])
            if self._phase is Phase.RUNNING:
                self.faults.begin(time.monotonic_ns() - self.coordinator.offset_ns)
            elif before is Phase.RUNNING:
                self.faults.undo()

    def _say_what_was_never_requested(self) -> None:
        if self._early_warning.is_due(self.played_s):
            requested = [" ".join(key) for key in self.coordinator.merge.total.endpoints]
            for text in self._early_warning.say(requested):
                logger.warning("%s", text)

    def _end_by_defect(self, ticker: gevent.Greenlet) -> None:
        """End a run whose ticking broke: without it the run would never end, and its totals would be lost."""
        logger.critical("a defect ended the run", exc_info=ticker.exc_info)
        self.coordinator.aborted = f"a defect of the harness: {ticker.exception!r}"
        try:
            self._deliver()
        except Exception:
            logger.critical(
                "its result cannot be drawn; the last checkpoint is in %s", self.folder, exc_info=True
            )
        finally:  # nobody waits for a result that cannot come, whatever went wrong on its way
            if not self.over:
                self.delivery.give_up()
            if self.states.now is LeaderState.JUDGING:
                self.states.on(LeaderEvent.DELIVER)

    def _deliver(self) -> None:
        if self.over:
            return
        if self.states.now is not LeaderState.JUDGING:
            self.states.on(LeaderEvent.END)
        self.faults.close(complete=self.coordinator.aborted is None)
        self._deliver_result()

    def _deliver_result(self) -> None:
        if self.over:  # whoever else waited for the faults' end has delivered it
            return
        result = self.live()
        if self.config.conducted:
            result.unaudited = UNNAMED_AUDITOR
        result.run.duration_s = self.coordinator.scheduled_to_ns / NS_PER_S
        self.delivery.deliver(self.judge(result, aborted=self.coordinator.aborted))
        if self.delivery.states.now is DeliveryState.WRITTEN:
            self.coordinator.tell_all_is_saved()
            self._outbox.flush()
        self.states.on(LeaderEvent.DELIVER)
        self._settle_checkpoint()

    def _settle_checkpoint(self) -> None:
        """Keep the totals of a run that can be gone on with; remove those of one that has ended."""
        if self.coordinator.aborted is not None and not self._abort.pointless:
            self._checkpointer.save_end(self.coordinator.aborted)
        elif self.delivery.states.now is DeliveryState.WRITTEN:
            self._checkpointer.forget()
