"""The master's side of one run, as a state machine without sockets, threads or sleeping.

    WAITING --every worker's users are ready--> RUNNING --the schedule ends, or abort--> DRAINING --finals in--> DONE

*Slots.* In each epoch the live workers hold the slots 0..N-1 of one schedule. When a worker joins or is lost,
a new epoch begins at a stated plan offset in the near future, with new slots for all. An epoch's end belongs to the
next one, so no arrival is served twice and none falls between two.

*Leases.* A worker serves only arrivals intended before the end of its lease, which every beat extends as long
as the worker is heard. So when one falls silent the master knows, without asking, the last offset it can have
served (`Member.leased_ns`); the new epoch begins there or later. A master that dies stops all load within
`LEASE_NS`. With the figures below a killed worker's share is served again 3 s after its last word.

*A master that stood still itself* (stopped, or its core taken) has heard nobody meanwhile: workers' words wait in its
socket. So the time that passed between two of its looks counts for nobody's silence. Their leases ran out as ever.

*Lost.* Arrivals a dead worker was to serve but never reported are `lost`: planned minus scheduled, exactly.

*Parts.* A run whose master died is taken up again by another coordinator, which begins where the totals of the
last checkpoint end (`known_to_ns`): it plays from there, on the plan's own time axis, with the slots, workers and
notes of the workers before it.

Whoever owns one calls `on_hello`, `on_report` and, about ten times a second, `tick`; messages to workers go
out through `send`.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Final, NamedTuple

from loadtest.clock import Clock
from loadtest.fleet.build import Build, differences
from loadtest.fleet.bundle import Bundle, WorkerSums
from loadtest.fleet.history import HeldSlot, History
from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import (
    SERVED_ANOTHER,
    Ack,
    Assign,
    Halt,
    Hello,
    Lease,
    Message,
    Refuse,
    Report,
)
from loadtest.fleet.messages import Clock as MasterClock
from loadtest.fleet.roster import Member, Roster

NS_PER_S = 1_000_000_000
READY_TIMEOUT_NS = 60 * NS_PER_S
"""How long workers and their users are waited for."""
START_LEAD_NS = NS_PER_S // 2
"""From the decision to start until time zero: enough for every worker to hear of it."""
BEAT_NS = NS_PER_S // 2
LEASE_NS = 2 * NS_PER_S
DOUBT_NS = NS_PER_S
"""A worker that was not heard for this long gets no longer lease; it reports twice a second."""
SILENCE_NS = 2 * NS_PER_S
"""A worker that was not heard for this long is lost."""
STOOD_STILL_NS = NS_PER_S
"""Between two looks of the master; a tenth of it is usual."""
REASSIGN_LEAD_NS = NS_PER_S // 4
HALT_LEAD_NS = NS_PER_S // 10
CLOCK_NOTED_NS = 10_000_000
"""A worker's wall clock that is off by more is noted: its arrivals' instants are right, its logs are not."""
CLOCK_REFUSED_NS = 60 * NS_PER_S
"""A worker's wall clock that is off by more is no clock: nothing that it says of time can be believed."""
FINAL_GRACE_NS = 3 * NS_PER_S
"""After the drain, how long a final report may take before its worker counts as lost."""

Count = Callable[[int, int, int, int], int]
"""(slot, slots, from_ns, to_ns) -> how many arrivals that slot of the schedule holds."""
Send = Callable[[str, Message], None]
"""(worker, message): delivers a message, at most once."""


class Phase(Enum):
    """Where a run stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DRAINING = "draining"
    DONE = "done"


class Wanted(NamedTuple):
    """Which workers a run asks for."""

    workers: int = 1
    """So many are waited for."""
    least: int = 1
    """The run ends when fewer are left."""
    build: Build | None = None
    """What the master is made of, and they have to be too; None: they may be made of anything."""


ANY_ONE: Final = Wanted()


class Coordinator:
    """Starts, keeps together and ends one run over a fleet of workers."""

    def __init__(
        self,
        run_id: str,
        *,
        duration_ns: int,
        drain_s: float,
        count: Count,
        send: Send,
        clock: Clock,
        merge: Merge,
        wanted: Wanted = ANY_ONE,
    ) -> None:
        self.run_id = run_id
        self.phase = Phase.WAITING
        self.merge = merge
        self.notes: list[tuple[float, str]] = []
        """(plan offset in s, what happened to a worker), for the report."""
        self.aborted: str | None = None
        self.held_slots: list[HeldSlot] = []
        self.roster = Roster()
        self.saved: dict[str, int] = {}
        """Up to which report of each worker a checkpoint, or the result, on the disk reaches."""
        self._duration_ns = duration_ns
        self._drain_s = drain_s
        self._count = count
        self._send = send
        self._clock = clock
        self._wanted = wanted
        self._ready_by_ns = clock.now_ns() + READY_TIMEOUT_NS
        self._from_ns = 0
        self._zero_ns: int | None = None
        self._zero_wall_ns = 0
        self._beat_due_ns = 0
        self._looked_ns = clock.now_ns()
        self._halt_ns: int | None = None
        self._finish_by_ns = 0

    @property
    def offset_ns(self) -> int:
        """Now, as an offset from the plan's time zero; negative before it, where the run begins before it is set."""
        return self._from_ns if self._zero_ns is None else self._clock.now_ns() - self._zero_ns

    @property
    def scheduled_to_ns(self) -> int:
        """Up to which offset the plan has been asked for: now, or where the schedule was ended."""
        end = self._duration_ns if self._halt_ns is None else self._halt_ns
        return max(self._from_ns, min(self.offset_ns, end))

    @property
    def known_to_ns(self) -> int:
        """The offset up to which the totals reach: no arrival intended there or later is in them.

        While a run goes on that is a whole second, since workers report seconds that are over; after an abort it is
        where the schedule ended. Arrivals before it that nobody has reported yet are missing from the totals.
        """
        workers = [self.merge.workers[name] for name in self.roster.members if name in self.merge.workers]
        if self._halt_ns is not None:
            return max([self._halt_ns, *(totals.ended_ns for totals in workers)])
        seconds_end_ns = (max((totals.newest for totals in workers), default=-1) + 1) * NS_PER_S
        return min(max(self._from_ns, seconds_end_ns), self._duration_ns)

    @property
    def level(self) -> bool:
        """True when the totals of all live workers reach equally far: the moment at which least is missing."""
        workers = [self.merge.workers.get(name) for name in self.roster.live]
        reach = {totals.newest if totals else -1 for totals in workers}
        return len(reach) <= 1 and not any(totals.gaps for totals in workers if totals)

    def history(self) -> History:
        """How the run has gone up to `known_to_ns`."""
        known_to_ns = self.known_to_ns
        held_slots = [held.ended(known_to_ns) for held in self.held_slots]
        workers = {held.worker for held in held_slots} | set(self.merge.workers)
        names = {**self.roster.names, **{worker: self.roster.name(worker) for worker in workers}}
        offsets_ns = dict(self.roster.clock_offsets_ns)
        return History(
            known_to_ns, held_slots, names, list(self.notes), offsets_ns, zero_wall_ns=self._zero_wall_ns
        )

    def take_up(self, history: History, note: str) -> dict[str, str]:
        """Go on, when workers are ready, where an interrupted part of this run ended; noted there as `note`.

        Returns what its workers are called in the totals from now on: a name that no worker to come can have.
        """
        renamed = {worker: f"#{number}" for number, worker in enumerate(history.names, start=1)}
        self.roster.names = {renamed[worker]: name for worker, name in history.names.items()}
        self.roster.clock_offsets_ns = {
            renamed[worker]: offset_ns
            for worker, offset_ns in history.clock_offsets_ns.items()
            if worker in renamed
        }
        self.held_slots = [replace(held, worker=renamed[held.worker]) for held in history.held_slots]
        self._from_ns = history.known_to_ns
        self.notes = list(history.notes)
        self._note(note)
        return renamed

    def recall(self, history: History, to_ns: int) -> None:
        """Take over the history of a run that is over, up to an offset; it is not resumed."""
        self.roster.names = dict(history.names)
        self.roster.clock_offsets_ns = dict(history.clock_offsets_ns)
        self.held_slots, self.notes, self._from_ns = list(history.held_slots), list(history.notes), to_ns

    def on_hello(self, worker: str, hello: Hello) -> None:
        """A worker has come, or has got its users ready."""
        if hello.zero_wall_ns not in (0, self._zero_wall_ns):
            # It serves an earlier part, whose master died: what it does is played again.
            self._send(worker, Refuse(self.run_id, SERVED_ANOTHER, anew=True))
            return
        now_ns = self._clock.now_ns()
        self.roster.name(worker)
        member = self.roster.members.setdefault(worker, Member(now_ns))
        if self.phase in (Phase.DRAINING, Phase.DONE):
            member.heard_ns = now_ns
            return  # a worker that says that its users are busy is still one whose final report is awaited
        self._send(worker, MasterClock(self.run_id, hello.sent_ns, self._clock.wall_ns()))
        self._check_build(worker, member, hello)
        self._check_clock(worker, member, hello)
        if member.refused:
            return
        member.counts = hello.counts
        joins = hello.ready and (not member.ready or member.lost)
        member.heard_ns, member.ready, member.lost = now_ns, hello.ready, False
        if self.phase is Phase.WAITING and any(count.failed for count in hello.counts):
            self._end_if_users_cannot_start()
        if joins and self.phase is Phase.RUNNING:
            self._note(f"{self.roster.name(worker)} joined")
            self._reassign()

    def _end_if_users_cannot_start(self) -> None:
        if trouble := self.roster.why_users_cannot_start(self._wanted.workers):
            self.abort(trouble)

    def _check_clock(self, worker: str, member: Member, hello: Hello) -> None:
        """Note a clock that is off, as soon as that is certain; refuse one that is of no use."""
        offset_ns = hello.clock_offset_ns
        if offset_ns is None:
            return
        self.roster.clock_offsets_ns[worker] = offset_ns
        certain_ns = abs(offset_ns) - hello.clock_error_ns
        direction = "ahead of" if offset_ns > 0 else "behind"
        off = f"the clock of {self.roster.name(worker)} is {_told(abs(offset_ns))} {direction} the master's"
        if certain_ns > CLOCK_REFUSED_NS and not member.refused:
            limit_s = CLOCK_REFUSED_NS // NS_PER_S
            self._refuse(worker, member, f"{off}, more than {limit_s} s: set it right (NTP) and start again")
        elif certain_ns > CLOCK_NOTED_NS and not member.clock_noted:
            member.clock_noted = True
            self._note(f"{off}; its arrivals are sent at the right time all the same")

    def _check_build(self, worker: str, member: Member, hello: Hello) -> None:
        """Refuse a worker that would send something else than the others, or understand a message differently."""
        if not member.refused and (differing := differences(self._wanted.build or {}, hello.build)):
            self._refuse(worker, member, f"{self.roster.name(worker)} has {differing}")

    def _refuse(self, worker: str, member: Member, reason: str) -> None:
        """Give a worker nothing to do; a run that has not begun ends, since it is one of those that were awaited."""
        member.refused, member.ready = True, False
        self._send(worker, Refuse(self.run_id, reason))
        if self.phase is Phase.WAITING:
            self.abort(reason)
        else:
            self._note(reason)

    def on_report(self, worker: str, report: Report) -> None:
        """Fold a report once and acknowledge it always, but those of an earlier part of the run.

        Raises `MessageError` for a malformed one.
        """
        if worker not in self.roster.members:
            return
        if self.phase is not Phase.DONE:  # by then the totals are closed
            self.merge.fold(worker, report)
        self._send(worker, Ack(self.run_id, report.number, self.saved.get(worker, 0)))
        self._hear(worker, report)

    def tell_all_is_saved(self) -> None:
        """Tell the workers that all they have reported is on the disk: no record of their own is needed any more."""
        for worker in self.roster.members:
            totals = self.merge.workers.get(worker)
            if totals is not None and totals.reports:
                self.saved[worker] = totals.reports
                self._send(worker, Ack(self.run_id, totals.reports - 1, totals.reports))

    def on_bundle(self, bundle: Bundle) -> bool:
        """Fold what a relay has summed up; False where its reports have to come by themselves (`Merge.fold_bundle`).

        Raises `MessageError` for a malformed one.
        """
        here = {sums.worker in self.roster.members for sums in bundle.workers}
        if here == {True, False}:
            return False  # some are of an earlier part of the run
        taken = self.phase is Phase.DONE or here == {False} or self.merge.fold_bundle(bundle)
        for sums in bundle.workers:
            self._hear(sums.worker, sums)
        return taken

    def _hear(self, worker: str, said: Report | WorkerSums) -> None:
        """Note that a worker has spoken, how many arrivals it has missed so far, and whether it ends."""
        member = self.roster.members.get(worker)
        if member is None:
            return
        member.heard_ns = self._clock.now_ns()
        if (more := said.missed - member.missed) > 0:
            member.missed = said.missed
            self._note(
                f"{self.roster.name(worker)} was paused, or was told its arrivals too late: {more:,} "
                "overdue arrivals "
                "were dropped instead of sent as a burst"
            )
        if said.final and self.phase is Phase.RUNNING and not member.lost:
            member.leased_ns = min(member.leased_ns, said.ended_ns)
            self._go_on_without([worker], "its process was told to end")

    def tick(self) -> None:
        """Do whatever time has made due."""
        self._excuse_own_absence()
        if self.phase is Phase.WAITING:
            self._start_if_ready()
            return
        if self.phase is Phase.RUNNING:
            self._drop_silent()
            self._beat()
            if self.offset_ns >= self._duration_ns:
                self._halt(self._duration_ns, self._drain_s)
        if self.phase is Phase.DRAINING:
            self._finish_if_reported()

    def abort(self, reason: str, drain_s: float = 0.5) -> None:
        """End the schedule, or the wait for its last answers, now; what is in flight gets `drain_s` seconds.

        The first reason stays; harmless once the run is over.
        """
        if self.phase is Phase.WAITING:
            self.aborted, self.phase = reason, Phase.DONE
        elif self.phase is Phase.RUNNING:
            self.aborted = reason
            self._note(f"aborted: {reason}")
            self._halt(min(self.offset_ns + HALT_LEAD_NS, self._duration_ns), drain_s)
        elif self.phase is Phase.DRAINING and self.aborted is None and self._halt_ns is not None:
            self.aborted = reason
            self._note(f"aborted: {reason}")
            self._halt(self._halt_ns, (self.offset_ns - self._halt_ns) / NS_PER_S + drain_s)

    def planned(self) -> int:
        """How many arrivals the schedule held, over every slot of every epoch, up to where each ended."""
        return sum(self._slot_count(held) for held in self.held_slots)

    def _slot_count(self, held: HeldSlot) -> int:
        totals = self.merge.workers.get(held.worker)
        # A worker may have gone on a moment longer than the run; whatever it left undone by leaving sooner is lost.
        ended_ns = max(self.scheduled_to_ns, totals.ended_ns if totals is not None and totals.final else 0)
        to_ns = ended_ns if held.to_ns is None else min(held.to_ns, ended_ns)
        return self._count(held.slot, held.slots, held.from_ns, max(to_ns, held.from_ns))

    def _start_if_ready(self) -> None:
        now_ns = self._clock.now_ns()
        enough = len(self.roster.members) >= self._wanted.workers and not self.roster.awaited
        if enough or (now_ns >= self._ready_by_ns and len(self.roster.live) >= self._wanted.least):
            if not enough:
                missing = max(self._wanted.workers, len(self.roster.members)) - len(self.roster.live)
                self._note(f"started without {missing} worker(s) that were not ready in time")
            lead_ns = START_LEAD_NS - self._from_ns
            self._zero_ns = now_ns + lead_ns
            self._zero_wall_ns = self._clock.wall_ns() + lead_ns
            self.phase = Phase.RUNNING
            self._assign(self._from_ns)
            self._beat()
        elif now_ns >= self._ready_by_ns:
            self.aborted, self.phase = self._why_too_few(), Phase.DONE

    def _why_too_few(self) -> str:
        ready = len(self.roster.live)
        if not ready:
            return self.roster.why_nobody_is_ready()
        least = self._wanted.least
        return f"{ready} worker{'s' * (ready != 1)} became ready in time, fewer than --min-workers {least}"

    def _assign(self, from_ns: int) -> None:
        for held in self.held_slots:
            if held.to_ns is None:
                held.to_ns = max(from_ns, held.from_ns)
        before_ns = {held.worker: held.to_ns or 0 for held in self.held_slots}
        workers = self.roster.live
        for slot, worker in enumerate(workers):
            self.held_slots.append(HeldSlot(worker, slot, len(workers), from_ns))
            assign = Assign(
                self.run_id,
                slot,
                len(workers),
                from_ns,
                before_ns.get(worker, 0),
                self._zero_wall_ns,
            )
            self._send(worker, assign)

    def _reassign(self) -> None:
        leased_ns = [member.leased_ns for member in self.roster.members.values() if member.lost]
        self._assign(max(self.offset_ns + REASSIGN_LEAD_NS, *leased_ns, self._from_ns))
        self._beat_due_ns = 0  # a worker that just joined needs its lease before its first arrival
        self._beat()

    def _excuse_own_absence(self) -> None:
        """Wait longer for everybody by as long as nobody could be heard here."""
        now_ns = self._clock.now_ns()
        stood_ns, self._looked_ns = now_ns - self._looked_ns, now_ns
        if stood_ns < STOOD_STILL_NS:
            return
        for member in self.roster.members.values():
            member.heard_ns += stood_ns
        self._ready_by_ns += stood_ns
        self._finish_by_ns += stood_ns
        if self.phase is not Phase.WAITING:
            self._note(
                f"the master was paused for {_told(stood_ns)}; workers went on only until their leases ended"
            )

    def _drop_silent(self) -> None:
        if silent := self.roster.silent(self._clock.now_ns() - SILENCE_NS):
            self._go_on_without(silent, f"no report for {SILENCE_NS // NS_PER_S} s")

    def _go_on_without(self, gone: list[str], why: str) -> None:
        """Have the others serve what workers that are gone were to serve from now on, if enough are left."""
        for name in gone:
            self.roster.members[name].lost = True
            self._note(f"{self.roster.name(name)} was lost: {why}")
        left = len(self.roster.live)
        if left >= self._wanted.least:
            self._reassign()
        elif left:
            self.abort(
                f"{left} worker{'s' * (left != 1)} left, fewer than --min-workers {self._wanted.least}"
            )
        else:
            self.abort("the last worker was lost")

    def _beat(self) -> None:
        now_ns = self._clock.now_ns()
        if now_ns < self._beat_due_ns:
            return
        self._beat_due_ns = now_ns + BEAT_NS
        lease = Lease(self.run_id, self.offset_ns + LEASE_NS)
        for name in self.roster.live:
            member = self.roster.members[name]
            if now_ns - member.heard_ns <= DOUBT_NS:
                member.leased_ns = lease.until_ns
                self._send(name, lease)

    def _halt(self, at_ns: int, drain_s: float) -> None:
        self._halt_ns = at_ns
        self.phase = Phase.DRAINING
        to_end_ns = at_ns - self.offset_ns + int(drain_s * NS_PER_S)
        self._finish_by_ns = self._clock.now_ns() + to_end_ns + FINAL_GRACE_NS
        for name in self.roster.live:
            self._send(name, Halt(self.run_id, at_ns, drain_s))

    def _finish_if_reported(self) -> None:
        workers = self.merge.workers
        missing = [n for n in self.roster.live if n not in workers or not workers[n].final or workers[n].gaps]
        if missing and self._clock.now_ns() < self._finish_by_ns:
            return
        for name in missing:
            self.roster.members[name].lost = True
            self._note(f"{self.roster.name(name)} never sent its final report")
        self.merge.write_off()
        self.phase = Phase.DONE

    def _note(self, text: str) -> None:
        self.notes.append((self.offset_ns / NS_PER_S, text))


def _told(span_ns: int) -> str:
    """A span of time for people."""
    return f"{span_ns / NS_PER_S:.1f} s" if span_ns >= NS_PER_S else f"{span_ns / 1e6:.0f} ms"
