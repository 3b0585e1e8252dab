"""Workers, a relay and a master on one virtual clock, for tests of the relay."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from loadtest.fleet.bundle import (
    TO_RELAY,
    Apart,
    Deliver,
    Down,
    Presence,
    Present,
    Taken,
    decode_up,
    encode,
)
from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import Ack, Hello, Report, decode
from loadtest.fleet.messages import encode as encode_message
from loadtest.fleet.relay import Relay
from loadtest.fleet.stats_sums import StatsSums
from loadtest.fleet.transport import TO_MASTER
from loadtest.fleet.worker_report import Load, Reporter, Users
from loadtest.measure.evidence import Sample, Samples
from loadtest.virtual_time import VirtualClock
from tests.fleet.sample_report import second

NS = 1_000_000_000
unpack: Callable[[bytes], Any] = msgspec.msgpack.decode


@dataclass
class Master:
    """Folds what comes, as `Coordinator` and `relayed` do, and answers."""

    merge: Merge = field(default_factory=lambda: Merge([(0.0, 2.0)]))
    hellos: dict[str, Hello] = field(default_factory=dict)

    def answers(self, frame: bytes, wall_ns: int) -> list[Down]:
        kind, data, name = unpack(frame)
        if kind == TO_MASTER:
            report = decode(data)
            assert isinstance(report, Report)
            self.merge.fold(name, report)
            return [Deliver([name], encode_message(Ack("run", report.number)))]
        up = decode_up(data)
        if isinstance(up, Presence):
            self.hellos |= {
                worker: told for worker, hello in up.hellos if isinstance(told := decode(hello), Hello)
            }
            return [Present(up.sent_ns, wall_ns)]
        taken = self.merge.fold_bundle(up)
        return [Taken(up.run_id, up.number, {}) if taken else Apart(up.run_id, up.number)]


class Tree:
    """Workers, a relay that may be replaced, and a master, on one virtual clock; any message may be lost."""

    def __init__(self, workers: int) -> None:
        self.clock = VirtualClock()
        self.master = Master()
        self.direct = Merge([(0.0, 2.0)])
        self.reporters = {f"w{number}": Reporter("run") for number in range(workers)}
        self.samples = {worker: Samples() for worker in self.reporters}
        self.up: list[bytes] = []
        self.down: list[tuple[str, bytes]] = []
        self.replace_relay()

    def replace_relay(self) -> None:
        self.up, self.down = [], []
        self.relay = Relay(
            "relay_1",
            to_master=self.up.append,
            to_worker=lambda name, frame: self.down.append((name, frame)),
            clock=self.clock,
            stats=StatsSums(),
        )

    def report(self, worker: str, took_ms: tuple[int, ...], index: int, *, final: bool = False) -> None:
        reporter = self.reporters[worker]
        made = reporter.report(
            [second(index, took_ms)] if took_ms else [],
            self.clock.now_ns(),
            load=Load(0, 0, 0.3, 0.1),
            users=Users({"Look": index}, ["Look"], ["Buy"]),
            samples=self.new_samples(worker, index),
            ended_ns=5 * NS if final else None,
        )
        self.direct.fold(worker, made)
        self.send(worker, made)

    def new_samples(self, worker: str, index: int) -> list[Sample]:
        """A failure whose class this worker may have told already."""
        samples, error = self.samples[worker], f"error {index}"
        if samples.wants("GET", "look", error):
            samples.add(Sample("GET", "look", error))
        return samples.take()

    def send(self, worker: str, report: Report) -> None:
        self.relay.on_worker(worker, encode((TO_MASTER, encode_message(report), worker)))

    def step(self, *, lose_up: bool = False, lose_down: bool = False) -> None:
        """Half a second: what was not acknowledged is sent again, and messages cross."""
        self.clock.advance(NS // 2)
        for worker, reporter in self.reporters.items():
            for report in reporter.due(self.clock.now_ns()):
                self.send(worker, report)
        self.relay.beat()
        self.cross(lose_up=lose_up, lose_down=lose_down)

    def cross(self, *, lose_up: bool, lose_down: bool) -> None:
        frames, self.up[:] = list(self.up), []
        for frame in [] if lose_up else frames:
            answers = self.master.answers(frame, self.clock.wall_ns())
            if not lose_down:
                self.relay.on_master(encode((TO_RELAY, encode(answers), self.relay.name)))
        if self.up:  # reports that were asked for by themselves
            self.cross(lose_up=lose_up, lose_down=lose_down)
        messages, self.down[:] = list(self.down), []
        for worker, frame in messages:
            message = decode(unpack(frame)[1])
            if isinstance(message, Ack):
                self.reporters[worker].acknowledge(message.number)

    @property
    def settled(self) -> bool:
        return all(reporter.settled for reporter in self.reporters.values())
