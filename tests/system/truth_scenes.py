"""Scenes that show whether a run tells the truth: real processes, and a target whose faults are known exactly."""

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import zmq

from loadtest.measure.run_result import Arrivals, RunResult
from tests.system.locust_process import LocustRun, Seen, Target, locust_run, target, write_plan
from tests.timing import Others

NS = 1_000_000_000
FOREIGN = ("Ours", "LocustFast", "LocustHttp", "PlainSocket")


@dataclass(frozen=True)
class Findings:
    """What a scene left behind."""

    code: int
    written: RunResult | None
    """None where the master was killed."""
    seen: Seen
    log: str
    marks: dict[str, float] = field(default_factory=dict)
    """Instants of the machine's monotonic clock, in seconds."""
    folder: Path = Path()
    taken: str | None = None
    """By whom the cores were taken while it played, if they were."""

    @property
    def result(self) -> RunResult:
        """The run's result."""
        assert self.written is not None, self.log
        return self.written


def identity_holds(arrivals: Arrivals) -> bool:
    """The identity of docs/design.md, exactly."""
    return (
        arrivals.planned == arrivals.scheduled + arrivals.lost
        and arrivals.scheduled == arrivals.started + arrivals.dropped
        and arrivals.started == arrivals.ok + arrivals.failed + arrivals.empty + arrivals.cancelled
    )


def generator_did_well(result: RunResult) -> bool:
    """True unless the generator itself is to blame; other programs on a test machine's cores are not its fault."""
    return all("other programs used" in reason for reason in result.validity.reasons)


def rates(seen: Seen) -> list[int]:
    """Requests received in each whole second since the first."""
    counts = [0] * (int((seen.received_ns[-1] - seen.received_ns[0]) / NS) + 1)
    for at_ns in seen.received_ns:
        counts[(at_ns - seen.received_ns[0]) // NS] += 1
    return counts


def play(
    folder: Path,
    flags: list[str],
    *,
    act: Callable[[Target, LocustRun, dict[str, float]], None] | None = None,
    workers: int = 0,
    ends: bool = True,
    **plan: object,
) -> Findings:
    """One run from beginning to end; `act` does what the scene is about while it goes on."""
    path = write_plan(folder, **plan)  # type: ignore[arg-type]
    others = Others()
    marks: dict[str, float] = {}
    with target(*flags) as aimed, locust_run(folder, path, aimed.url, workers=workers, json=True) as run:
        if act is not None:
            act(aimed, run, marks)
        code, result = run.finish() if ends else (run.master.wait(), None)
        return Findings(code, result, aimed.seen(), run.log, marks, folder, others.taken())


def under_load(aimed: Target, for_s: float) -> None:
    """Wait until load has flowed for so long: what a scene does comes in the midst of it."""
    aimed.await_first_request()
    time.sleep(for_s)


# The scenes.


def _stalled(folder: Path, stall_s: float = 2.0) -> Findings:
    """A stall of 2 s in 12 s at 100/s, met by 30 users."""
    flags = ["--stall-at", str(2 * stall_s), "--stall", str(stall_s)]
    return play(folder, flags, rate=100, duration_s=round(6 * stall_s), virtual_users=30)


def _stalled_for_longer(folder: Path) -> Findings:
    """A stall of 5 s in 30 s, as docs/design.md has it."""
    return _stalled(folder, 5)


def _stopped_target(folder: Path) -> Findings:
    def stop_for_two_seconds(aimed: Target, run: LocustRun, marks: dict[str, float]) -> None:
        under_load(aimed, 3)
        marks["stopped"] = time.monotonic()
        aimed.process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        aimed.process.send_signal(signal.SIGCONT)
        marks["woken"] = time.monotonic()

    return play(folder, [], act=stop_for_two_seconds, rate=100, duration_s=10)


def _slow_target(folder: Path) -> Findings:
    slos = ["p99(POST /call) < 100ms", "errors(*) < 0.1%"]
    return play(folder, ["--delay-ms", "150"], rate=100, duration_s=5, slos=slos)


def _foreign(folder: Path) -> Findings:
    return play(folder, [], rate=25, duration_s=6, users=[*FOREIGN, "OursTwice"], virtual_users=50)


def _foreign_stalled(folder: Path) -> Findings:
    """A client that knows nothing of arrivals, with fewer users than arrivals wait in the stall."""
    flags = ["--stall-at", "2", "--stall", "2"]
    return play(folder, flags, rate=100, duration_s=8, users=["PlainSocket"], virtual_users=20)


def _killed_worker(folder: Path) -> Findings:
    def kill_one(aimed: Target, run: LocustRun, marks: dict[str, float]) -> None:
        under_load(aimed, 3)
        run.workers[0].kill()
        marks["killed"] = time.monotonic()

    return play(folder, ["--delay-ms", "50"], act=kill_one, workers=2, rate=200, duration_s=13)


def _stopped_worker(folder: Path) -> Findings:
    def stop_one(aimed: Target, run: LocustRun, marks: dict[str, float]) -> None:
        under_load(aimed, 2)
        run.workers[0].send_signal(signal.SIGSTOP)
        time.sleep(5)
        run.workers[0].send_signal(signal.SIGCONT)
        marks["woken"] = time.monotonic()

    return play(folder, [], act=stop_one, workers=2, rate=200, duration_s=14)


def _late_worker(folder: Path) -> Findings:
    def add_one(aimed: Target, run: LocustRun, marks: dict[str, float]) -> None:
        under_load(aimed, 2)
        run.add_worker()
        marks["added"] = time.monotonic()

    return play(folder, [], act=add_one, workers=1, rate=200, duration_s=10)


def _killed_master(folder: Path) -> Findings:
    def kill_master(aimed: Target, run: LocustRun, marks: dict[str, float]) -> None:
        under_load(aimed, 3)
        run.master.kill()
        marks["killed"] = time.monotonic()
        time.sleep(4.5)  # load that has not stopped after three would be seen

    return play(folder, [], act=kill_master, workers=2, ends=False, rate=200, duration_s=60)


def _garbage(folder: Path) -> Findings:
    def throw_garbage(aimed: Target, run: LocustRun, marks: dict[str, float]) -> None:
        aimed.await_first_request()
        for junk in (b"\xc1\xc1\xc1", b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b""):
            with socket.create_connection(("127.0.0.1", run.port)) as stranger:
                stranger.sendall(junk)
        marks["messages"] = _strange_messages(run.port)

    return play(folder, [], act=throw_garbage, workers=1, rate=100, duration_s=5)


def _strange_messages(port: int) -> float:
    """What a stranger sends who speaks ZeroMQ: frames that are not Locust's, and Locust's that are not ours."""
    frames = [
        b"\xc1\xc1\xc1",
        msgspec.msgpack.encode("hello"),
        msgspec.msgpack.encode([1, 2]),
        msgspec.msgpack.encode(["stats", None, "stranger"]),
        msgspec.msgpack.encode(["exception", 7, "stranger"]),
        msgspec.msgpack.encode(["singlesday_to_master", b"\xc1\xc1", "stranger"]),
        msgspec.msgpack.encode(["singlesday_to_master", {"type": "Report"}, "stranger"]),
    ]
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.IDENTITY, b"stranger")
    dealer.setsockopt(zmq.LINGER, 1000)
    dealer.connect(f"tcp://127.0.0.1:{port}")
    for frame in frames:
        dealer.send(frame)
    dealer.close()
    context.term()
    return float(len(frames))


SCENES: dict[str, Callable[[Path], Findings]] = {
    "stalled": _stalled,
    "stalled_for_longer": _stalled_for_longer,
    "stopped_worker": _stopped_worker,
    "killed_worker": _killed_worker,
    "stopped_target": _stopped_target,
    "foreign_stalled": _foreign_stalled,
    "late_worker": _late_worker,
    "killed_master": _killed_master,
    "foreign": _foreign,
    "slow_target": _slow_target,
    "garbage": _garbage,
}
"""In the order they are begun: first the long ones, so that few end alone."""
