"""The worker's side of a run: users, dispatcher, counts and reports, driven by the master's messages.

One `WorkerRun` lives from Locust's `test_start` to the end of that test. Its states are in `plugin.states`: joined,
ready (it says hello until it is assigned its arrivals), serving, draining once the schedule is ended, gone with its
final report.

It looks at its state every `BEAT_S`, in a greenlet of its own; nothing here is on the path of a request.
"""

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import gevent
from locust.env import Environment
from locust.runners import Runner

from loadtest.clock import SystemClock
from loadtest.configuration.run_config import RunConfig
from loadtest.drive.open_loop import OpenLoop
from loadtest.drive.recorder import recorder_for
from loadtest.drive.request_events import RequestEvents
from loadtest.drive.run_context import run_context
from loadtest.drive.serving import Serving, Sinks, attach
from loadtest.drive.start import ArrivalStream, Assignment
from loadtest.drive.timer import system_timer
from loadtest.environment import MASTER_LOST
from loadtest.fleet.build import build_of
from loadtest.fleet.clock_check import ClockCheck
from loadtest.fleet.journal import Journal
from loadtest.fleet.messages import (
    Ack,
    Assign,
    Clock,
    Halt,
    Hello,
    Lease,
    Message,
    Refuse,
    Trouble,
    UserCount,
)
from loadtest.fleet.transport import send_to_master
from loadtest.fleet.worker_report import Load, Reporter, Users
from loadtest.judge.slo_syntax import parse
from loadtest.measure.endpoint_pattern import matches
from loadtest.measure.evidence import Samples
from loadtest.measure.second import MAX_NAME, MAX_PATTERNS, OpenSeconds
from loadtest.plugin.cpu import CpuMeter
from loadtest.plugin.habits import LISTENER_RAISED, listener_raised
from loadtest.plugin.plan_files import modules_of
from loadtest.plugin.states import WORKER, States, UnexpectedEventError, WorkerEvent, WorkerState

BEAT_S = 0.1
REPORT_NS = 500_000_000
NS_PER_S = 1_000_000_000
FINAL_RESEND_S = 5.0
"""How long a final report is resent before the worker gives up on its master.

Locust's stop ends that at once, since the process may go: a final report that it caused itself is sent once.
"""

logger = logging.getLogger(__name__)


def patterns_of(slos: Sequence[str]) -> list[str]:
    """The endpoint patterns that objectives name, without `*`: all endpoints are counted anyway."""
    named = (parse(expr).endpoint for expr in slos)
    return list(dict.fromkeys(pattern for pattern in named if pattern and pattern != "*"))[:MAX_PATTERNS]


class Share(NamedTuple):
    """What a worker has once it is assigned: which arrivals are its own, and where it counts them."""

    stream: ArrivalStream
    open_seconds: OpenSeconds

    def offset_ns(self, now_ns: int) -> int:
        """An instant of the run clock as an offset from the plan's time zero."""
        return now_ns - self.open_seconds.zero_ns


class WorkerRun:
    """This process's part in one run."""

    def __init__(
        self,
        environment: Environment,
        runner: Runner,
        config: RunConfig,
        run_id: str,
        journal: Journal | None = None,
    ) -> None:
        """`journal` keeps what is reported, in case the master is killed."""
        self.run_id = run_id
        self._journal = journal
        self.states = States("worker", WorkerState.JOINED, WORKER)
        self._clock_check = ClockCheck()
        plan = config.plan
        self._patterns = patterns_of([*plan.slos, *config.objectives])
        self._runner = runner
        self._environment = environment
        self._clock = SystemClock()
        self._plan = plan
        # Made before the worker says that it is ready: nothing long may stand between the start and its first report.
        self._mix = plan.mix()
        self._names = names = {s.user.partition(":")[2]: index for index, s in enumerate(plan.scenarios)}
        self._build = build_of(modules_of(config))
        self._loop = OpenLoop(
            transactions=[scenario.transaction for scenario in plan.scenarios],
            patience_ns=round(plan.patience_s * NS_PER_S),
            clock=self._clock,
            timer=system_timer,
        )
        self._serving = Serving(self._loop, names, self._clock)
        self._share: Share | None = None
        self._zero_wall_ns = 0
        """As the master that began the run has it; one that takes it up after its death has another."""
        self._reporter = Reporter(run_id)
        self._cpu = CpuMeter()
        self._report_due_ns = 0
        self._drain_by_ns = 0
        """When to stop waiting for what is in flight, once draining."""
        attach(environment, self._serving)
        recorder = recorder_for(environment)
        recorder.sink = self._serving.record
        recorder.on_listener_error = self._serving.fail_here
        self._samples = recorder.samples = Samples()
        self._events = RequestEvents(environment, recorder, self._serving, self._clock)
        self._events.open()
        self._beat = gevent.spawn(self._beat_forever)

    def on_message(self, message: Message) -> None:
        """Do what the master says; messages of another run are ignored."""
        if message.run_id != self.run_id:
            return
        if isinstance(message, Refuse):
            logger.error("the master refuses this worker: %s", message.reason)
            if message.anew:
                self._make_way()
            return
        try:
            self._take(message)
        except UnexpectedEventError as error:
            logger.error("%s", error)

    def _take(self, message: Message) -> None:
        """Raises `UnexpectedEventError` for a message that comes when it cannot."""
        match message:
            case Assign():
                if self.states.on(WorkerEvent.ASSIGN) is WorkerState.SERVING:
                    share = self._share or self._begin(message.zero_wall_ns)
                    self._zero_wall_ns = message.zero_wall_ns
                    share.stream.assign(
                        Assignment(message.slot, message.slots, message.from_ns, message.before_ns)
                    )
            case Lease(until_ns=until_ns):
                self.states.on(WorkerEvent.LEASE)
                if self._share is not None:
                    self._share.stream.extend(until_ns)
            case Halt():
                if self.states.on(WorkerEvent.HALT) is WorkerState.DRAINING and self._share is not None:
                    self._share.stream.halt(message.at_ns)
                    drain_ns = round(message.drain_s * NS_PER_S)
                    self._drain_by_ns = (
                        self._share.open_seconds.zero_ns + self._share.stream.end_ns + drain_ns
                    )
            case Clock():
                self._clock_check.answered(message, self._clock.now_ns(), self._clock.wall_ns())
            case Ack(number=number):
                self.states.on(WorkerEvent.ACK)
                self._reporter.acknowledge(number)
                if self._journal is not None:
                    self._journal.saved(message.saved)
            case _:
                logger.warning("a master sent %s, which only a worker may", type(message).__name__)

    def _make_way(self) -> None:
        """End this process, for another that can serve the run as it goes on."""
        if self._environment.process_exit_code != MASTER_LOST:
            self._environment.process_exit_code = MASTER_LOST
            gevent.spawn(self._runner.quit)

    def finish(self) -> None:
        """End now: count what is open, send the final report. Harmless when the run has ended already."""
        before = self.states.now
        if before is WorkerState.GONE:
            return
        self.states.on(WorkerEvent.FINISH)
        self._loop.close()
        self._serving.end()
        if self._share is not None:
            stream = self._share.stream
            if (
                before is not WorkerState.DRAINING
            ):  # stopped by Locust, not by our master: the schedule ends here
                stream.halt(stream.position_ns)
            self._send_report(self._share, final=True)

    def close(self) -> None:
        """Finish, let go of Locust, and forget the run."""
        self.finish()
        if self._journal is not None:
            self._journal.close()
        self._beat.kill(block=False)
        self._events.close()
        recorder = recorder_for(self._environment)
        recorder.count_in(None, None)
        recorder.samples = recorder.on_listener_error = None
        attach(self._environment, None)

    def _begin(self, zero_wall_ns: int) -> Share:
        now_ns = self._clock.now_ns()
        # Where the clocks differ by no more than is certain of them, ours is taken for right.
        zero_ns = now_ns + (zero_wall_ns - self._clock.wall_ns()) + self._clock_check.correction_ns
        stream = ArrivalStream(self._mix.arrivals, round(self._plan.duration_s * NS_PER_S))
        open_seconds = OpenSeconds(zero_ns, self._patterns, matches)
        self._share = Share(stream, open_seconds)
        self._cpu.sample()
        context = run_context(self._environment)
        if context.run_id == self.run_id:
            context.zero_ns = zero_ns
        recorder_for(self._environment).count_in(open_seconds, self._serving.record)
        self._serving.begin(
            Sinks(
                open_seconds.record,
                open_seconds.give_up,
                lambda error: open_seconds.second(self._clock.now_ns()).add_script_error(error),
            )
        )
        self._loop.begin(*self._share)
        return self._share

    def _beat_forever(self) -> None:
        while self.states.now is not WorkerState.GONE:
            self._beat_once()
            gevent.sleep(BEAT_S)
        deadline = time.monotonic() + FINAL_RESEND_S
        while not self._reporter.settled and time.monotonic() < deadline:
            for report in self._reporter.due(self._clock.now_ns()):
                send_to_master(self._runner, report)
            gevent.sleep(BEAT_S)

    def _beat_once(self) -> None:
        now_ns = self._clock.now_ns()
        share = self._share
        forgotten = share is None or share.offset_ns(now_ns) > share.stream.lease_ns + NS_PER_S
        draining = self.states.now is WorkerState.DRAINING
        if forgotten and not draining:  # leases end with the schedule
            self._say_hello()
        if share is None:
            return
        if not draining and (trouble := run_context(self._environment).why_no_ledger):
            send_to_master(self._runner, Trouble(self.run_id, trouble))
        if now_ns >= self._report_due_ns:
            self._report_due_ns = now_ns + REPORT_NS
            self._send_report(share, final=False)
        for report in self._reporter.due(now_ns):
            send_to_master(self._runner, report)
        if draining and (now_ns >= self._drain_by_ns or self._loop.drained()):
            self.finish()

    def _say_hello(self) -> None:
        """Tell how the users are coming; ready once all wait for an arrival and the master's clock is known."""
        if self._share is None and listener_raised():
            send_to_master(self._runner, Trouble(self.run_id, LISTENER_RAISED))
            return
        counts = self._user_counts()
        users = self._runner.user_count
        waiting = bool(counts) and all(count.ready == count.wanted for count in counts)
        now_ns, check = self._clock.now_ns(), self._clock_check
        ready = waiting and self._loop.idle == users and check.known(now_ns)
        self.states.on(WorkerEvent.USERS_READY if ready else WorkerEvent.USERS_BUSY)
        hello = Hello(
            self.run_id,
            users,
            ready,
            counts,
            now_ns,
            check.offset_ns,
            check.error_ns,
            self._build,
            self._zero_wall_ns,
        )
        send_to_master(self._runner, hello)

    def _user_counts(self) -> list[UserCount]:
        """How the users of each scenario are coming."""
        wanted = getattr(self._runner, "target_user_classes_count", {})
        starts = self._serving.crowd.starts
        return [
            UserCount(
                name[:MAX_NAME],
                wanted[name],
                self._loop.idle_of(index),
                starts[name].failed if name in starts else 0,
                starts[name].why[:MAX_NAME] if name in starts else "",
            )
            for name, index in self._names.items()
            if name in wanted
        ]

    def _send_report(self, share: Share, *, final: bool) -> None:
        now_ns = self._clock.now_ns()
        cpu, cpu_wait = self._cpu.sample()
        tracer = run_context(self._environment).tracer
        crowd = self._serving.crowd
        report = self._reporter.report(
            share.open_seconds.take(None if final else now_ns),
            now_ns,
            load=Load(self._loop.in_flight, self._loop.backlog, cpu, cpu_wait),
            users=Users(crowd.left, crowd.asked, crowd.silent),
            missed=self._loop.missed,
            exemplars=tracer.exemplars.take() if tracer is not None else (),
            samples=self._samples.take(),
            ended_ns=share.stream.end_ns if final else None,
        )
        if self._journal is not None:
            self._journal.write(report, self._zero_wall_ns)
        send_to_master(self._runner, report)
