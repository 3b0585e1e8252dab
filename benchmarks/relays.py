"""What a fleet behind relays costs its master and each relay: see `benchmarks.master`, which is the door."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from locust.env import Environment
from locust.event import Events
from locust.rpc.protocol import Message as LocustMessage
from locust.runners import MasterRunner, WorkerNode
from locust.stats import RequestStats, setup_distributed_stats_event_listeners

from benchmarks.master import REQUESTS_PER_ENDPOINT, VARIANTS, endpoint_second
from loadtest.fleet.bundle import Bundle, Presence, decode_up, encode
from loadtest.fleet.coordinator import Coordinator, Wanted
from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import Hello, Message, PackedSecond, Report, pack_second
from loadtest.fleet.messages import encode as encode_message
from loadtest.fleet.relay import Relay
from loadtest.fleet.relayed import Outbox, listen_to_relays, routes_of
from loadtest.fleet.stats_sums import StatsSums
from loadtest.fleet.transport import TO_MASTER, listen
from loadtest.virtual_time import VirtualClock

NS_PER_S = 1_000_000_000
TICKS = 10
"""A coordinator is asked that often in half a second."""
PLAYED = "relay_0"
BEAT = {"state": "running", "current_cpu_usage": 40.0, "current_memory_usage": 70 << 20}
USERS = {"user_classes_count": {"Shop": 20}, "user_count": 20}
Frame = tuple[str, bytes]
"""(who sent it, a message of Locust's as it travels)."""


class Socket:
    """Takes messages as Locust's server does, makes bytes of them, and keeps those for `name`."""

    def __init__(self) -> None:
        self.kept: dict[str, list[bytes]] = {}

    def send_to_client(self, message: LocustMessage) -> None:
        """Send."""
        data = message.serialize()
        if message.node_id in self.kept:
            self.kept[message.node_id].append(data)


@dataclass
class Master:
    """A Locust master with a coordinator and its totals, on a virtual clock."""

    workers: list[str]
    seconds: int
    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        self.environment = Environment(events=Events())
        self.runner: Any = MasterRunner(self.environment, "127.0.0.1", 0)
        self.runner.greenlet.kill(block=False)
        self.runner.server.close()
        self.socket = Socket()
        self.runner.server = self.socket  # type: ignore[assignment]  # it is asked for no more than that
        self.outbox = Outbox(self.runner)
        self.coordinator = Coordinator(
            "run",
            duration_ns=(self.seconds + 10) * NS_PER_S,
            drain_s=1.0,
            count=lambda *_: 0,
            send=self.outbox.send,
            clock=self.clock,
            merge=Merge([(0.0, self.seconds / 2), (self.seconds / 2, float(self.seconds))]),
            wanted=Wanted(len(self.workers)),
        )
        listen_to_relays(self.runner, self.on_message, self.on_bundle)
        listen(self.runner, TO_MASTER, self.on_message)

    def begin(self) -> None:
        """All workers are there and ready."""
        for worker in self.workers:
            self.runner.clients[worker] = WorkerNode(worker)
            self.coordinator.on_hello(worker, Hello("run", 20, True))
        self.coordinator.tick()

    def on_message(self, worker: str, message: Message) -> None:
        """Take a report."""
        if isinstance(message, Report):
            self.coordinator.on_report(worker, message)

    def on_bundle(self, relay: str, bundle: Bundle) -> None:
        """Take many."""
        taken = self.coordinator.on_bundle(bundle)
        self.outbox.answer(relay, bundle, {}, taken=taken)

    def play(self, frames: list[Frame]) -> float:
        """Take the messages of half a second; the CPU it took, in seconds."""
        began_s = time.process_time()
        for sender, frame in frames:
            self.runner.handle_message(sender, LocustMessage.unserialize(frame))
        for _ in range(TICKS):
            self.coordinator.tick()
            self.outbox.flush()
            self.clock.advance(NS_PER_S // 2 // TICKS)
        return time.process_time() - began_s


def without(workers: int, endpoints: int, seconds: int) -> float:
    """CPU seconds that a master without relays spends in each second."""
    names = _names(workers)
    master = Master(names, seconds)
    master.begin()
    spent_s = sum(master.play(half) for half in halves(names, endpoints, seconds))
    assert master.coordinator.merge.total.scheduled == workers * seconds * endpoints * REQUESTS_PER_ENDPOINT
    return spent_s / seconds


def behind(workers: int, relays: int, endpoints: int, seconds: int) -> tuple[float, float]:
    """CPU seconds that (the master, each relay) spends in each second."""
    each = workers // relays
    names = _names(each)
    everybody = [_copied(name, relay) for relay in range(relays) for name in names]
    master = Master(everybody, seconds)
    routes = routes_of(master.runner)
    for number, worker in enumerate(everybody):
        routes.note(f"relay_{number // each}", worker)
    master.socket.kept = {PLAYED: []}
    master.begin()
    up: list[bytes] = []
    relay = Relay(
        PLAYED,
        to_master=up.append,
        to_worker=lambda _name, _frame: None,
        clock=master.clock,
        stats=StatsSums(),
    )
    for name in names:  # what is told once, when a run begins, is not counted
        relay.on_worker(name, _locusts("spawning_complete", USERS, name))
        relay.on_worker(name, _locusts("heartbeat", BEAT, name))
    up.clear()
    spent_above_s = spent_below_s = 0.0
    for half in halves(names, endpoints, seconds):
        began_s = time.process_time()
        for name, frame in half:
            relay.on_worker(name, frame)
        relay.beat()
        spent_below_s += time.process_time() - began_s
        frames = [copied for number in range(relays) for copied in _copies(up, number)]
        up.clear()
        spent_above_s += master.play(frames)
        answers, master.socket.kept[PLAYED] = master.socket.kept[PLAYED], []
        began_s = time.process_time()
        for answer in answers:
            relay.on_master(answer)
        spent_below_s += time.process_time() - began_s
    scheduled = master.coordinator.merge.total.scheduled
    assert scheduled == each * relays * seconds * endpoints * REQUESTS_PER_ENDPOINT
    return spent_above_s / seconds, spent_below_s / seconds


def halves(names: list[str], endpoints: int, seconds: int) -> Iterator[list[Frame]]:
    """What workers send in each half second: reports, heartbeats, and every three seconds Locust's statistics."""
    variants = [endpoint_second(endpoints, seed) for seed in range(VARIANTS)]
    stats = locusts_statistics(endpoints)
    for half in range(2 * seconds):
        packed: list[PackedSecond] = []
        for variant in variants:
            variant.index = half // 2
            packed.append(pack_second(variant))
        frames: list[Frame] = []
        for number, name in enumerate(names):
            made = [packed[number % len(packed)]] if half % 2 == 0 else []
            report = Report("run", half, made, 3, 0, 0.4, 0.0, left={"Shop": 0}, asked=["Shop"])
            frames.append((name, _locusts(TO_MASTER, encode_message(report), name)))
            if half % 2 == 0:
                frames.append((name, _locusts("heartbeat", BEAT, name)))
            if (half + number) % 6 == 0:
                frames.append((name, _locusts("stats", stats | USERS, name)))
        yield frames


def locusts_statistics(endpoints: int) -> dict[str, Any]:
    """A worker's statistics of three seconds."""
    draw, events, counted = random.Random(1), Events(), RequestStats()
    setup_distributed_stats_event_listeners(events, counted)
    for endpoint in range(endpoints):
        for _ in range(3 * REQUESTS_PER_ENDPOINT):
            counted.log_request("GET", f"/endpoint/{endpoint}", round(draw.lognormvariate(1.5, 0.4)), 512)
    data: dict[str, Any] = {}
    events.report_to_master.fire(client_id="", data=data)
    return data


def _copies(up: list[bytes], number: int) -> Iterator[Frame]:
    """What the relay sent, as another would have."""
    relay = f"relay_{number}"
    for frame in up:
        kind, data, name = msgspec.msgpack.decode(frame)
        if name != PLAYED:
            yield relay, _locusts(kind, data, _copied(name, number))
            continue
        said = decode_up(data)
        if isinstance(said, Bundle):
            workers = [
                msgspec.structs.replace(sums, worker=_copied(sums.worker, number)) for sums in said.workers
            ]
            said = msgspec.structs.replace(said, workers=workers)
        else:
            beating = [_copied(worker, number) for worker in said.beating]
            said = Presence(said.sent_ns, beating, said.hellos)
        yield relay, _locusts(kind, encode(said), relay)


def _names(workers: int) -> list[str]:
    return [f"m000_{number:032x}" for number in range(workers)]


def _copied(name: str, relay: int) -> str:
    """What a worker behind the first relay would be called behind another."""
    return f"m{relay:03d}{name[4:]}"


def _locusts(kind: str, data: object, name: str) -> bytes:
    return encode((kind, data, name))


def show(workers: int, relays: int, endpoints: int, seconds: int) -> None:
    """Print the figures."""
    above, below = behind(workers, relays, endpoints, seconds)
    few = max(1, workers // 10)
    alone = without(few, endpoints, seconds)
    print(f"{workers:,} workers x {endpoints} endpoints behind {relays} relays, in cores:")
    print(f"  the master            {above:.2f}, which is {above / workers * 1000:.3f} for 1,000 workers")
    print(
        f"  each relay            {below:.2f}, which is {below / (workers / relays) * 1000:.2f} for 1,000 workers"
    )
    print(f"  a master without them {alone / few * 1000:.2f} for 1,000 workers (measured with {few:,})")
