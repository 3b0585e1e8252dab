"""What real connections cost a master, with and without relays between: CPU-seconds of its process, over sockets.

    python -m benchmarks.connections [--connections 200] [--relays 1] [--seconds 10] [--endpoints 20]

The master is a `singlesday run --expect-workers`, each relay a `singlesday relay`, with a run token, so that all is
encrypted, as between machines. The workers are the smallest that the protocol allows, all in this process: each has
a connection of its own, joins, says hello, and from then on sends what a real one does: a report twice a second, of
which every other carries a second of its endpoints, a heartbeat each second, Locust's statistics every three.

It is played twice, without relays and with them, and each time the CPU of master and relays is read from the system
over the same seconds of the run. Reports acknowledged within them are counted too: a master that cannot keep up takes
in fewer, so CPU for each thousand reports is the figure to compare, also on a machine that others use.
"""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
import zmq

from benchmarks.master import VARIANTS, endpoint_second
from benchmarks.relays import BEAT, locusts_statistics
from loadtest.cli.children import wait_until
from loadtest.cli.run import free_port
from loadtest.cli.worker import listens
from loadtest.environment import TOKEN_VARIABLE
from loadtest.fleet.build import build_of
from loadtest.fleet.curve import encrypt
from loadtest.fleet.messages import (
    Ack,
    Assign,
    Halt,
    Hello,
    PackedSecond,
    Report,
    UserCount,
    decode,
    encode,
    pack_second,
)
from loadtest.fleet.transport import TO_MASTER, TO_WORKER
from loadtest.place import Place

SINGLESDAY = [sys.executable, "-m", "loadtest.cli.main"]
USERS = 20
BEFORE_S = 3.0
"""Seconds of the run before those that are measured: the beginning is told once, and not what is measured."""
BEGIN_S = 300.0
"""How long the run's beginning is waited for."""
LEAST_S = 12.0
"""How long a run takes besides the seconds that are measured, until nobody waits for its end any more."""
HALF_S = 0.5
PLAN = """
name = "connections"
peak_tps = {peak}
duration = "{seconds}s"
virtual_users = {users}
[profile]
curve = "constant"
[[scenario]]
user = "looks:Look"
"""
SCRIPT = """
from locust import task
from loadtest import FastHttpUser, open_loop

class Look(FastHttpUser):
    wait_time = open_loop()

    @task
    def look(self):
        self.client.get("/")
"""


class Cost(NamedTuple):
    """What was spent while `reports` were acknowledged."""

    master_s: float
    relays_s: float
    reports: int
    seconds: float

    def told(self, title: str) -> str:
        """A line for people."""
        thousands = self.reports / 1000
        return (
            f"  {title:<16} {self.reports:>7,} reports in {self.seconds:4.1f} s; for 1,000 of them the master "
            f"{self.master_s / thousands:6.3f} s of CPU, all relays {self.relays_s / thousands:6.3f} s"
        )


@dataclass
class Smallest:
    """The smallest worker that a master leads: it sends nothing to any target, and reports that it did."""

    name: str
    number: int
    socket: Any
    run_id: str = ""
    assigned_ns: int = 0
    """When it was told its arrivals, on the steady clock; 0 before."""
    reports: int = 0
    half: int = 0
    over: bool = False


@dataclass
class Crowd:
    """Workers, one connection each. `packed` are seconds to report, as they travel but for their number."""

    token: str
    endpoints: int
    workers: list[Smallest] = field(default_factory=list)
    acknowledged: int = 0
    began_ns: int = 0
    """When the last worker was assigned its arrivals."""
    turn: int = 0
    """Whose turn it is to speak, counted on; as many in half a second as there are workers."""

    def __post_init__(self) -> None:
        self.context = zmq.Context()
        self.context.max_sockets = 20_000
        self.poller = zmq.Poller()
        self.by_socket: dict[Any, Smallest] = {}
        self.stats = locusts_statistics(self.endpoints) | {
            "user_classes_count": {"Look": USERS},
            "user_count": USERS,
        }
        self.variants = [endpoint_second(self.endpoints, seed) for seed in range(VARIANTS)]
        self.packed: dict[int, list[PackedSecond]] = {}
        self.build = build_of()

    def join(self, ports: list[int], connections: int) -> None:
        """Connect, spread over the ports."""
        for number in range(connections):
            name = f"smallest_{secrets.token_hex(16)}"
            made = self.context.socket(zmq.DEALER)
            made.linger = 0
            made.identity = name.encode()
            encrypt(made, self.token, serves=False)
            made.connect(f"tcp://127.0.0.1:{ports[number % len(ports)]}")
            worker = Smallest(name, number, made)
            self.workers.append(worker)
            self.by_socket[made] = worker
            self.poller.register(made, zmq.POLLIN)
            self.say(worker, "client_ready", "2.47.0")

    def say(self, worker: Smallest, kind: str, data: object) -> None:
        """Send one of Locust's messages."""
        with suppress(zmq.Again):
            worker.socket.send(msgspec.msgpack.encode((kind, data, worker.name)), zmq.NOBLOCK)

    def listen(self, wait_ms: int) -> None:
        """Answer what has come."""
        for ready, _ in self.poller.poll(wait_ms):
            worker = self.by_socket[ready]
            with suppress(zmq.Again):
                while True:
                    kind, data, _ = msgspec.msgpack.decode(worker.socket.recv(zmq.NOBLOCK))
                    self.hear(worker, kind, data)

    def hear(self, worker: Smallest, kind: str, data: Any) -> None:
        """Do what a worker does."""
        if kind == "spawn":
            self.say(worker, "spawning", None)
            worker.run_id = data["parsed_options"]["singlesday_run"][0]
            self.say(
                worker, "spawning_complete", {"user_classes_count": {"Look": USERS}, "user_count": USERS}
            )
        elif kind == "quit":
            worker.over = True
        elif kind == TO_WORKER:
            match decode(data):
                case Assign() if not worker.assigned_ns:
                    worker.assigned_ns = self.began_ns = time.monotonic_ns()
                case Ack():
                    self.acknowledged += 1
                case Halt(at_ns=at_ns):
                    self.report(worker, ended_ns=at_ns)

    def beat(self, worker: Smallest) -> None:
        """What a worker says twice a second."""
        worker.half += 1
        if worker.half % 2:
            self.say(worker, "heartbeat", BEAT | {"state": "running" if worker.run_id else "ready"})
        if worker.half % 6 == 0 and worker.assigned_ns:  # before, what counts is to be heard in time
            self.say(worker, "stats", self.stats)
        if worker.assigned_ns:
            self.report(worker)
        elif worker.run_id:
            counts = [UserCount("Look", USERS, USERS)]
            hello = Hello(worker.run_id, USERS, True, counts, 1, 0, 0, self.build)
            self.say(worker, TO_MASTER, encode(hello))

    def report(self, worker: Smallest, ended_ns: int | None = None) -> None:
        """Say what happened in the second before, every other time."""
        number, worker.reports = worker.reports, worker.reports + 1
        seconds = [self.second(number // 2, worker.number)] if number % 2 == 0 else []
        report = Report(
            worker.run_id,
            number,
            seconds,
            3,
            0,
            0.4,
            0.0,
            final=ended_ns is not None,
            ended_ns=ended_ns or 0,
            left={"Look": 0},
            asked=["Look"],
        )
        self.say(worker, TO_MASTER, encode(report))

    def second(self, index: int, number: int) -> PackedSecond:
        """One of some dozens of seconds that look alike."""
        if index not in self.packed:
            for variant in self.variants:
                variant.index = index
            self.packed = {index: [pack_second(variant) for variant in self.variants]}
        return self.packed[index][number % VARIANTS]

    def play_until_s(self, until_s: float) -> None:
        """Serve everybody, spread over each half second, until an instant of the steady clock or the end of all."""
        everybody = len(self.workers)
        while time.monotonic() < until_s and not all(worker.over for worker in self.workers):
            due = int(time.monotonic() / HALF_S * everybody)
            for turn in range(max(self.turn, due - everybody), due):  # who is late by a whole round skips it
                self.beat(self.workers[turn % everybody])
            self.turn = due
            self.listen(5)

    @property
    def who_is_waiting(self) -> str:
        """How far the run's beginning has come: Locust waits until it has heard all within three seconds."""
        told = sum(bool(worker.run_id) for worker in self.workers)
        begun = sum(bool(worker.assigned_ns) for worker in self.workers)
        return (
            f"of {len(self.workers)} workers the master has told {told} of the run and given {begun} their arrivals "
            f"within {BEGIN_S:.0f} s: it, the relays or this process had too little CPU to be heard in time"
        )

    @property
    def assigned(self) -> bool:
        """Whether the run has begun for everybody."""
        return all(worker.assigned_ns for worker in self.workers)

    def close(self) -> None:
        """Let go of all connections."""
        for worker in self.workers:
            worker.socket.close(0)
        self.context.term()


def cost(connections: int, relays: int, endpoints: int, seconds: int) -> Cost:
    """Play a run with so many workers and read what it cost over `seconds` of it."""
    token = secrets.token_urlsafe()
    with ExitStack() as open_, tempfile.TemporaryDirectory() as folder, target() as url:
        ports = [free_port() for _ in range(1 + relays)]
        place = Path(folder)
        whole_s = round(BEFORE_S) + seconds
        plan = PLAN.format(peak=connections, seconds=whole_s, users=USERS * connections)
        (place / "connections.toml").write_text(plan)
        (place / "looks.py").write_text(SCRIPT)
        run = ["run", "connections.toml", "--target", url, "--expect-workers", str(connections)]
        master = open_.enter_context(
            command(place, "master", token, *run, "--bind", f"127.0.0.1:{ports[0]}", "--quiet")
        )
        between = [
            open_.enter_context(
                command(place, f"relay-{port}", token, "relay", "--master", f"127.0.0.1:{ports[0]}", "--bind",
                        f"127.0.0.1:{port}")
            )
            for port in ports[1:]
        ]  # fmt: skip
        for port in ports:
            await_listening(port)
        crowd = open_.enter_context(closing(Crowd(token, endpoints)))
        crowd.join(ports[1:] or ports, connections)
        give_up_s = time.monotonic() + BEGIN_S
        while not crowd.assigned:
            if time.monotonic() >= give_up_s:
                raise SystemExit(
                    f"{crowd.who_is_waiting}; the master says:\n{(place / 'master').read_text()}"
                )
            crowd.play_until_s(time.monotonic() + 0.2)
        begin_s = crowd.began_ns / 1e9 + BEFORE_S
        crowd.play_until_s(begin_s)
        before, before_s, reports = [spent_s(master), spent_s(*between)], time.monotonic(), crowd.acknowledged
        crowd.play_until_s(begin_s + seconds - 1)
        after, after_s = [spent_s(master), spent_s(*between)], time.monotonic()
        reports = crowd.acknowledged - reports
        crowd.play_until_s(after_s + LEAST_S)
        return Cost(after[0] - before[0], after[1] - before[1], reports, after_s - before_s)


def spent_s(*commands: "subprocess.Popen[bytes]") -> float:
    """CPU seconds of processes and their children so far."""
    spent = 0.0
    for process in commands:
        whole = psutil.Process(process.pid)
        for each in [whole, *whole.children(recursive=True)]:
            with suppress(psutil.Error):
                used = each.cpu_times()
                spent += used.user + used.system
    return spent


@contextmanager
def command(folder: Path, name: str, token: str, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A `singlesday` command, ended afterwards."""
    with (folder / name).open("wb") as said:
        process = subprocess.Popen(
            [*SINGLESDAY, *words],
            cwd=folder,
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            env=os.environ | {TOKEN_VARIABLE: token, "PYTHONPATH": str(Path(__file__).parents[1])},
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def target() -> Iterator[str]:
    """Something that answers; nobody sends it any load. A process of its own, since Locust patches threads here."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await_listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def await_listening(port: int) -> None:
    """Wait until somebody listens at a port of loopback. Raises TimeoutError."""
    if not wait_until(lambda: listens(Place("127.0.0.1", port)), 60, interval_s=0.1):
        raise TimeoutError(f"nobody listens at port {port}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--relays", type=int, default=1)
    parser.add_argument("--endpoints", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    print(
        f"{options.connections:,} connections, {options.endpoints} endpoints, load {os.getloadavg()[0]:.1f}:"
    )
    found = {
        relays: cost(options.connections, relays, options.endpoints, options.seconds)
        for relays in (0, options.relays)
    }
    for relays, each in found.items():
        print(each.told(f"{relays} relays" if relays else "without relays"))
    plain, behind = found.values()
    ratio = (plain.master_s / plain.reports) / (behind.master_s / behind.reports)
    print(f"  behind relays a report costs its master {ratio:.1f} times less")


if __name__ == "__main__":
    main()
