"""A relay: to its workers like a master, to the master like all of them together, at the price of one.

A master spends most of its core on each worker's reports, heartbeats and leases, so one holds some thousand
workers. A relay takes that from it: it sums up what its workers report (`Merge` adds the sums as it would have added
the reports), answers heartbeats and hellos itself while they say nothing new, adds up Locust's own statistics with
Locust's own code, and deals out one message of the master to many. Whatever else Locust's master and workers say to
each other passes unchanged, so the master still leads each worker by itself: who is lost, who joins, and which share
of the schedule each has are its decisions, and its totals are the same as without a relay.

*Exactly once.* A worker is told that a report is in the totals when the master has said so of the bundle. So when a
relay dies, its workers still have whatever did not arrive, and send it again by way of the next one. What did arrive
without their knowing is found out by the master, by number: it then asks for that bundle's reports each by itself.

Nothing here knows sockets: whoever owns a `Relay` calls `on_worker`, `on_master` and, ten times a second, `beat`.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from loadtest.clock import Clock
from loadtest.fleet.bundle import (
    FROM_RELAY,
    TO_RELAY,
    Apart,
    Deliver,
    Down,
    Presence,
    Present,
    Refused,
    Taken,
    Up,
    decode_down,
    encode,
)
from loadtest.fleet.clock_check import ClockCheck
from loadtest.fleet.gathering import Gathering, Taking
from loadtest.fleet.messages import Ack, Hello, MessageError, Report, decode
from loadtest.fleet.messages import Clock as MasterClock
from loadtest.fleet.messages import encode as encode_message
from loadtest.fleet.stats_sums import StatsSums
from loadtest.fleet.transport import TO_MASTER, TO_WORKER
from loadtest.measure.histogram import Histogram

NS_PER_S = 1_000_000_000
BUNDLE_NS = NS_PER_S // 2
RESEND_NS = NS_PER_S
FORGET_NS = 10 * NS_PER_S
"""A bundle that was not answered for so long is given up: its workers send its reports again."""
SAME_HELLO_NS = NS_PER_S
"""A hello that says nothing new is passed on that often."""
SAME_BEAT_NS = 30 * NS_PER_S
"""A heartbeat that says nothing new is passed on that often, for the CPU and the memory that Locust's page shows."""
STATS_NS = 3 * NS_PER_S
"""How often Locust's workers send statistics (`locust.runners.WORKER_REPORT_INTERVAL`)."""
NEAR_NS = 5 * NS_PER_S
"""A master that was not heard for so long is not spoken for any more."""
MOST_RESENT = 20
"""Reports of a worker that are remembered as acknowledged: it may have sent them again just before it heard so."""
OUR_STATS = frozenset({"stats", "stats_total", "errors", "user_classes_count", "user_count"})
"""What Locust itself puts into a worker's statistics; a script may add more."""

Frame = tuple[str, msgspec.Raw, str]
_frame: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)
_any: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder()
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Below:
    """One worker, as its relay sees it."""

    beat: str = ""
    """The state in its last heartbeat that was passed on."""
    known: bool = False
    """Whether the master has answered that: a resumed run knows none of the workers that outlived its master."""
    beat_told_ns: int = 0
    users: dict[str, int] | None = None
    """Its users by class, as was passed on last."""
    hello: Hello | None = None
    """The newest that was not passed on."""
    hello_told: tuple[object, ...] = ()
    hello_told_ns: int = 0
    run_id: str = ""
    under_way: set[int] = field(default_factory=set)
    """Its reports of that run which are in a bundle that was not answered."""
    apart: set[int] = field(default_factory=set)
    """Those that the master wants by themselves."""
    acknowledged: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_RESENT))

    def serve(self, run_id: str) -> None:
        """Begin with the reports of another run, if it is another."""
        if run_id != self.run_id:
            self.run_id = run_id
            self.under_way, self.apart = set(), set()
            self.acknowledged.clear()


@dataclass(slots=True)
class Sent:
    """A bundle that was not answered yet."""

    taking: Taking
    first_ns: int
    last_ns: int


class Relay:
    """Passes on, answers and sums up."""

    def __init__(
        self,
        name: str,
        *,
        to_master: Callable[[bytes], object],
        to_worker: Callable[[str, bytes], object],
        clock: Clock,
        stats: StatsSums,
    ) -> None:
        """`name` is what the master calls it: no worker's, and no other relay's."""
        self.name = name
        self.workers: dict[str, Below] = {}
        self.leaving = False
        """Whether the master has said that all is over."""
        self.refused = False
        """Whether what was taken for the master has said that it is a relay."""
        self._to_master = to_master
        self._to_worker = to_worker
        self._clock = clock
        self._stats = stats
        self._clock_check = ClockCheck()
        self._heard_ns = clock.now_ns()
        self._bundle_due_ns = self._stats_due_ns = 0
        self._beating: list[str] = []
        self._gathered: dict[str, Gathering] = {}
        self._sent: dict[int, Sent] = {}
        self._next = 0

    @property
    def unheard_s(self) -> float:
        """For how long nothing was heard of the master."""
        return (self._clock.now_ns() - self._heard_ns) / NS_PER_S

    def on_worker(self, sender: str, frame: bytes) -> None:
        """Take a message of Locust's from below. Raises `MessageError` for what is none, or in another's name."""
        kind, data, name = _parsed(frame)
        if name != sender:
            raise MessageError(f"a message in the name of {name!r}")
        if kind == FROM_RELAY:
            self._to_worker(name, encode((TO_RELAY, encode([Refused()]), name)))
            return
        below = self.workers.get(name)
        if below is None:
            below = self.workers[name] = Below()
        if not self._absorbed(kind, data, name, below):
            self._to_master(frame)
        if kind == "quit":
            self.workers.pop(name, None)

    def on_master(self, frame: bytes) -> None:
        """Take a message of Locust's from above. Raises `MessageError` for what is none."""
        kind, data, name = _parsed(frame)
        self._hear_master()
        if name != self.name:
            if kind == "heartbeat" and name in self.workers:
                self.workers[name].known = True
            self._to_worker(name, frame)
        elif kind == "quit":
            self.leaving = True
        elif kind == TO_RELAY:
            for down in decode_down(_opened(data)):
                self._take(down)

    def beat(self) -> None:
        """Send whatever time has made due."""
        now_ns = self._clock.now_ns()
        if now_ns >= self._bundle_due_ns:
            self._bundle_due_ns = now_ns + BUNDLE_NS
            self._send_presence(now_ns)
            for run_id, gathering in self._gathered.items():
                self._send_bundle(run_id, gathering, now_ns)
        self._send_again(now_ns)
        if now_ns >= self._stats_due_ns or self.leaving:
            self._stats_due_ns = now_ns + STATS_NS
            self._send_stats()

    def _absorbed(self, kind: str, data: msgspec.Raw, name: str, below: Below) -> bool:
        """Whether a worker's message need not be passed on as it is."""
        if kind == TO_MASTER:
            return self._take_ours(_opened(data), name, below)
        if kind == "heartbeat":
            return self._answered_beat(_opened(data), name, below)
        if kind == "stats":
            return self._added_stats(_opened(data), name, below)
        if kind == "spawning_complete":
            below.users = _field(_opened(data), "user_classes_count")
        if kind in {"client_stopped", "quit"}:  # its last statistics go first
            self._send_stats()
        return False

    def _take_ours(self, data: object, name: str, below: Below) -> bool:
        message = decode(data)
        if isinstance(message, Hello):
            return self._answered_hello(message, name, below)
        if isinstance(message, Report) and isinstance(data, bytes):
            return self._gathered_report(message, data, name, below)
        return False

    def _answered_hello(self, hello: Hello, name: str, below: Below) -> bool:
        check = self._clock_check
        if check.offset_ns is None:
            return False  # nobody has told us the time yet
        wall_ns = self._clock.wall_ns() - check.correction_ns
        self._tell(name, MasterClock(hello.run_id, hello.sent_ns, wall_ns))
        below.hello = msgspec.structs.replace(hello, clock_error_ns=hello.clock_error_ns + check.error_ns)
        return True

    def _gathered_report(self, report: Report, data: bytes, name: str, below: Below) -> bool:
        below.serve(report.run_id)
        if report.number in below.apart:
            return False
        if report.number in below.acknowledged:
            self._tell(name, Ack(report.run_id, report.number))
        elif report.number not in below.under_way:
            gathering = self._gathered.get(report.run_id)
            if gathering is None:
                self._gathered = {run_id: old for run_id, old in self._gathered.items() if old.frames}
                gathering = self._gathered[report.run_id] = Gathering()
            gathering.add(name, report, data, self._clock.now_ns())
            below.under_way.add(report.number)
        return True

    def _answered_beat(self, data: Any, name: str, below: Below) -> bool:
        now_ns, state = self._clock.now_ns(), str(_field(data, "state"))
        near = now_ns - self._heard_ns < NEAR_NS
        if not near or state != below.beat or now_ns - below.beat_told_ns >= SAME_BEAT_NS:
            below.beat, below.beat_told_ns, below.known = state, now_ns, False
            return False
        if not below.known:
            return False
        self._beating.append(name)
        self._to_worker(name, encode(("heartbeat", None, name)))
        return True

    def _added_stats(self, data: Any, name: str, below: Below) -> bool:
        users = _field(data, "user_classes_count")
        if set(data) - OUR_STATS or users != below.users:
            below.users = users
            return False
        self._stats.add(name, data)
        return True

    def _hear_master(self) -> None:
        now_ns = self._clock.now_ns()
        if now_ns - self._heard_ns >= NEAR_NS:  # it may have given up our workers: let it hear of them anew
            for below in self.workers.values():
                below.beat, below.hello_told = "", ()
        self._heard_ns = now_ns

    def _take(self, down: Down) -> None:
        match down:
            case Present(sent_ns=sent_ns, wall_ns=wall_ns):
                answer = MasterClock("", sent_ns, wall_ns)
                self._clock_check.answered(answer, self._clock.now_ns(), self._clock.wall_ns())
            case Deliver(workers=workers, frame=frame):
                self._deliver(workers, frame)
            case Taken(number=number, saved=saved) if number in self._sent:
                self._acknowledge(self._sent.pop(number).taking, saved)
            case Apart(number=number) if number in self._sent:
                self._take_apart(self._sent.pop(number).taking)
            case Refused():
                self.refused = True

    def _deliver(self, workers: Iterable[str], frame: bytes) -> None:
        message = decode(frame)
        for name in workers:
            below = self._in_run(name, message.run_id) if isinstance(message, Ack) else None
            if below is not None and isinstance(message, Ack):
                below.apart.discard(message.number)
                below.acknowledged.append(message.number)
            self._to_worker(name, encode((TO_WORKER, frame, name)))

    def _acknowledge(self, taking: Taking, saved: Mapping[str, int]) -> None:
        self._tell_later(taking, taking.lag_if_taken)
        for name, number, _, below in self._end(taking):
            if below is not None:
                below.acknowledged.append(number)
            self._tell(name, Ack(taking.bundle.run_id, number, saved.get(name, 0)))

    def _take_apart(self, taking: Taking) -> None:
        self._tell_later(taking, taking.lag_if_apart)
        for name, number, data, below in self._end(taking):
            if below is not None:
                below.apart.add(number)
            self._to_master(encode((TO_MASTER, data, name)))

    def _tell_later(self, taking: Taking, lag: Mapping[str, Histogram]) -> None:
        if taking.bundle.run_id in self._gathered:
            self._gathered[taking.bundle.run_id].tell_later(lag)

    def _end(self, taking: Taking) -> list[tuple[str, int, bytes, Below | None]]:
        """Note that a bundle is no longer under way; its reports: worker, number, bytes, and the worker if here."""
        ended = []
        for name, number, data in taking.frames:
            below = self._in_run(name, taking.bundle.run_id)
            if below is not None:
                below.under_way.discard(number)
            ended.append((name, number, data, below))
        return ended

    def _in_run(self, name: str, run_id: str) -> Below | None:
        """A worker that is here and takes part in a run."""
        below = self.workers.get(name)
        return below if below is not None and below.run_id == run_id else None

    def _send_presence(self, now_ns: int) -> None:
        hellos = []
        for name, below in self.workers.items():
            hello = below.hello
            if hello is None:
                continue
            told = (hello.run_id, hello.ready, hello.counts, hello.clock_offset_ns is None)
            below.hello = None  # what is not told now is old by the next time
            if told != below.hello_told or now_ns - below.hello_told_ns >= SAME_HELLO_NS:
                hellos.append((name, encode_message(hello)))
                below.hello_told, below.hello_told_ns = told, now_ns
        self._say(Presence(now_ns, self._beating, hellos))
        self._beating = []

    def _send_bundle(self, run_id: str, gathering: Gathering, now_ns: int) -> None:
        if gathering.frames:
            taking = gathering.take(run_id, self._next)
            self._sent[self._next] = Sent(taking, now_ns, now_ns)
            self._next += 1
            self._say(taking.bundle)

    def _send_again(self, now_ns: int) -> None:
        for number, sent in list(self._sent.items()):
            if now_ns - sent.first_ns >= FORGET_NS:
                self._forget(self._sent.pop(number).taking)
            elif now_ns - sent.last_ns >= RESEND_NS:
                sent.last_ns = now_ns
                self._say(sent.taking.bundle)

    def _forget(self, taking: Taking) -> None:
        run_id = taking.bundle.run_id
        if run_id in self._gathered:
            self._gathered[run_id].tell_again()
        self._end(taking)  # their workers send them again

    def _send_stats(self) -> None:
        for name, data in self._stats.take():
            self._to_master(encode(("stats", data, name)))

    def _say(self, up: Up) -> None:
        self._to_master(encode((FROM_RELAY, encode(up), self.name)))

    def _tell(self, name: str, message: MasterClock | Ack) -> None:
        self._to_worker(name, encode((TO_WORKER, encode_message(message), name)))


def _parsed(frame: bytes) -> Frame:
    try:
        return _frame.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"not a message of Locust's: {error}") from error


def _opened(data: msgspec.Raw) -> Any:
    try:
        return _any.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"not the data of a message of Locust's: {error}") from error


def _field(data: Any, name: str) -> Any:
    if not isinstance(data, dict) or name not in data:
        raise MessageError(f"a message of Locust's without {name}")
    return data[name]
