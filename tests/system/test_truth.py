"""Does a run tell the truth? Real processes against a target whose faults are known exactly.

Most scenes are light (100 arrivals/s) and long, so they are played side by side, begun before the first test
that needs one; only those the selected tests ask for are played. The one with a hog on the
generator's core comes last, alone.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from json import loads
from pathlib import Path

import msgspec
import pytest
import zmq

from loadtest.cli.recover import recover_folder
from loadtest.measure.run_result import Arrivals, Quantiles, RunResult
from tests.system.locust_process import LocustRun, Seen, Target, locust_run, target, write_plan
from tests.timing import Others, Timing

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


# The scenes.


def _stalled(folder: Path, stall_s: float = 2.5) -> Findings:
    """A stall of 2.5 s in 15 s at 100/s, met by 30 users."""
    flags = ["--stall-at", str(2 * stall_s), "--stall", str(stall_s)]
    return play(folder, flags, rate=100, duration_s=round(6 * stall_s), virtual_users=30)


def _stalled_for_longer(folder: Path) -> Findings:
    """A stall of 5 s in 30 s, as docs/design.md has it."""
    return _stalled(folder, 5)


def _stopped_target(folder: Path) -> Findings:
    def stop_for_two_seconds(aimed: Target, run: LocustRun, marks: dict[str, float]) -> None:
        aimed.await_first_request()
        time.sleep(3)
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
        aimed.await_first_request()
        time.sleep(4)
        run.workers[0].kill()
        marks["killed"] = time.monotonic()

    return play(folder, ["--delay-ms", "50"], act=kill_one, workers=2, rate=200, duration_s=15)


def _stopped_worker(folder: Path) -> Findings:
    def stop_one(aimed: Target, run: LocustRun, marks: dict[str, float]) -> None:
        aimed.await_first_request()
        time.sleep(3)
        run.workers[0].send_signal(signal.SIGSTOP)
        time.sleep(5)
        run.workers[0].send_signal(signal.SIGCONT)
        marks["woken"] = time.monotonic()

    return play(folder, [], act=stop_one, workers=2, rate=200, duration_s=16)


def _late_worker(folder: Path) -> Findings:
    def add_one(aimed: Target, run: LocustRun, marks: dict[str, float]) -> None:
        aimed.await_first_request()
        time.sleep(2)
        run.add_worker()
        marks["added"] = time.monotonic()

    return play(folder, [], act=add_one, workers=1, rate=200, duration_s=10)


def _killed_master(folder: Path) -> Findings:
    def kill_master(aimed: Target, run: LocustRun, marks: dict[str, float]) -> None:
        aimed.await_first_request()
        time.sleep(3)
        run.master.kill()
        marks["killed"] = time.monotonic()
        time.sleep(6)

    return play(folder, [], act=kill_master, workers=2, ends=False, rate=200, duration_s=60)


def _garbage(folder: Path) -> Findings:
    def throw_garbage(aimed: Target, run: LocustRun, marks: dict[str, float]) -> None:
        aimed.await_first_request()
        for junk in (b"\xc1\xc1\xc1", b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b""):
            with socket.create_connection(("127.0.0.1", run.port)) as stranger:
                stranger.sendall(junk)
        marks["messages"] = _strange_messages(run.port)

    return play(folder, [], act=throw_garbage, workers=1, rate=100, duration_s=8)


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
    "stopped_target": _stopped_target,
    "slow_target": _slow_target,
    "foreign_stalled": _foreign_stalled,
    "foreign": _foreign,
    "killed_worker": _killed_worker,
    "stopped_worker": _stopped_worker,
    "late_worker": _late_worker,
    "killed_master": _killed_master,
    "garbage": _garbage,
}
"""In the order they are begun: first those that measure times."""
AT_ONCE = 5
"""Scenes side by side: a process of Locust takes a core for over a second to start."""
Scenes = dict[str, "Future[Findings]"]


@pytest.fixture(scope="module")
def scenes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenes]:
    """Every scene that a selected test asks for, playing."""
    calls = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    wanted = {call.params["found"] for call in calls if call is not None and "found" in call.params}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(play_scene, tmp_path_factory.mktemp(name))
            for name, play_scene in SCENES.items()
            if name in wanted
        }


@pytest.fixture
def found(request: pytest.FixtureRequest, scenes: Scenes, timing: Timing, tmp_path: Path) -> Findings:
    """What the scene named by the test's `@scene` left behind; it plays again where its times were not its own."""
    name = request.param
    if timing.last:
        scenes[name] = Future()
        scenes[name].set_result(SCENES[name](tmp_path))
    findings = scenes[name].result()
    timing.told(findings.taken)
    if findings.written is not None:
        timing.heard(findings.written)
    return findings


def scene(*names: str) -> pytest.MarkDecorator:
    """Give a test the findings of a scene, or of each of several, as `found`."""
    return pytest.mark.parametrize("found", names, indirect=True)


pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]


@pytest.mark.slow(stays=["stalled"])
@scene("stalled", "stalled_for_longer")
def test_response_time_tells_of_a_stall_what_was_lost_by_it(found: Findings, timing: Timing) -> None:
    """A sixth of all arrivals wait 0 to the stall's length, evenly: 5 % of all wait longer than 0.7 of it."""
    orders, stall_ms = found.result.endpoints["POST /call"], found.result.run.duration_s / 6 * 1000
    assert orders.requests == 100 * found.result.run.duration_s
    with timing:
        assert orders.response_ms.p95 == pytest.approx(0.7 * stall_ms, rel=0.05)
        assert orders.response_ms.max == pytest.approx(stall_ms, rel=0.05)
        assert generator_did_well(found.result), found.result.validity.reasons


@pytest.mark.slow(stays=["stalled"])
@scene("stalled", "stalled_for_longer")
def test_service_time_alone_would_lie_about_a_stall(found: Findings, timing: Timing) -> None:
    """Only the 30 requests in flight meet the stall: their share is too small for p95 to notice."""
    with timing:
        assert found.result.endpoints["POST /call"].service_ms.p95 < 100


@pytest.mark.slow(stays=["stalled"])
@scene("stalled", "stalled_for_longer")
def test_every_second_of_the_plan_started_in_the_books_whatever_the_target_did(found: Findings) -> None:
    assert identity_holds(found.result.arrivals)
    seconds = round(found.result.run.duration_s)
    assert [point.scheduled for point in found.result.timeline[:seconds]] == [100] * seconds
    assert found.seen.received == found.result.arrivals.started == 100 * seconds


@scene("stopped_target")
def test_a_target_stopped_for_two_seconds_is_seen_to_two_percent(found: Findings, timing: Timing) -> None:
    """The longest wait is of the arrival right after the stop: 2 s, less up to one gap of 10 ms."""
    stopped_ms = (found.marks["woken"] - found.marks["stopped"]) * 1000
    orders = found.result.endpoints["POST /call"]
    with timing:
        assert orders.response_ms.max == pytest.approx(stopped_ms, rel=0.02)
        assert orders.response_ms.p90 == pytest.approx(
            stopped_ms - 1_000, rel=0.05
        )  # 100 of 1,000 wait longer


@scene("slow_target")
def test_a_slow_target_fails_its_objective_in_a_valid_run(found: Findings, timing: Timing) -> None:
    with timing:
        assert generator_did_well(found.result), found.result.validity.reasons
    if found.result.validity.verdict == "VALID":
        assert (found.result.verdict, found.code) == ("FAIL", 10)
    failed = [slo for slo in found.result.slo if not slo.passed]
    assert [slo.expr for slo in failed] == ["p99(POST /call) < 100ms"]
    assert failed[0].observed is not None
    with timing:
        assert 150 <= failed[0].observed < 200


@scene("foreign")
def test_users_of_every_kind_serve_every_arrival_once(found: Findings, timing: Timing) -> None:
    """Five classes at 25/s for 6 s; four send one request an arrival, the fifth sends two."""
    result = found.result
    assert identity_holds(result.arrivals)
    with timing:  # no worker was taken for lost
        assert (result.arrivals.planned, result.arrivals.ok) == (750, 750), found.log
    assert {name: endpoint.requests for name, endpoint in result.endpoints.items()} == {
        "POST /call": 600,
        "POST /first": 150,
        "POST /second": 150,
        "arrival OursTwice": 150,
    }
    assert found.seen.received == 900


@scene("foreign")
def test_a_journey_has_its_requests_apart_and_itself_as_a_whole(found: Findings, timing: Timing) -> None:
    first, second, whole = (
        found.result.endpoints[name].response_ms
        for name in ("POST /first", "POST /second", "arrival OursTwice")
    )
    with timing:
        assert whole.mean == pytest.approx(first.mean + second.mean, rel=0.35)
        assert whole.mean > max(first.mean, second.mean)


@scene("foreign")
def test_locusts_own_statistics_count_every_request_of_every_client_once(found: Findings) -> None:
    entries = loads((found.folder / "locust.json").read_text())
    assert {entry["name"]: entry["num_requests"] for entry in entries} == {
        "/call": 600,
        "/first": 150,
        "/second": 150,
    }
    assert sum(entry["num_failures"] for entry in entries) == 0


@scene("foreign_stalled")
def test_a_client_that_knows_nothing_of_arrivals_is_measured_from_intent_too(
    found: Findings, timing: Timing
) -> None:
    """800 arrivals, 200 of them in a stall of 2 s: a tenth of all wait longer than 1.2 s."""
    orders = found.result.endpoints["POST /call"]
    assert orders.requests == found.seen.received == 800
    with timing:
        assert orders.response_ms.p90 == pytest.approx(1_200, rel=0.05)
        assert orders.service_ms.p90 < 100
    (entry,) = loads((found.folder / "locust.json").read_text())
    assert entry["num_requests"] == 800
    assert entry["max_response_time"] == pytest.approx(orders.response_ms.max, rel=0.02)


@scene("killed_worker")
def test_a_killed_worker_is_replaced_by_the_others_within_five_seconds(
    found: Findings, timing: Timing
) -> None:
    noticed = [at_s for at_s, text in found.result.events if "was lost" in text]
    assert len(noticed) == 1
    killed_s = found.marks["killed"] - found.seen.received_ns[0] / NS
    with timing:
        assert noticed[0] - killed_s < 3.0
    after = rates(found.seen)[int(killed_s) + 5 : 14]
    with timing:
        assert len(after) > 3
        assert sum(after) >= 0.99 * 200 * len(after), f"planned 200/s, received {rates(found.seen)}"
        assert min(after) >= 160, "there must be no second dip"


@scene("killed_worker")
def test_what_died_with_a_worker_is_counted_as_lost_and_the_run_says_so(found: Findings) -> None:
    arrivals = found.result.arrivals
    assert identity_holds(arrivals)
    assert arrivals.planned == 3_000
    assert 0 < arrivals.lost < 700
    assert found.result.validity.verdict in {"DEGRADED", "INVALID"}
    assert any("worker" in reason and "lost" in reason for reason in found.result.validity.reasons)
    unreported = found.seen.received - arrivals.started
    assert 0 <= unreported <= arrivals.lost, "only what the dead worker had not reported is unknown"


@scene("stopped_worker")
def test_a_worker_stopped_and_woken_serves_nothing_twice_and_comes_back(
    found: Findings, timing: Timing
) -> None:
    arrivals = found.result.arrivals
    assert identity_holds(arrivals)
    with timing:  # the other worker was not taken for lost too, which ends a run
        assert arrivals.planned == 3_200
    assert any("was lost" in text for _, text in found.result.events)
    assert any("joined" in text for _, text in found.result.events)
    assert found.seen.received == arrivals.started, "each request that was sent is in the books, once"
    assert any("was paused" in text for _, text in found.result.events)
    woken_ns = int(found.marks["woken"] * NS)
    in_the_next_tenth = [at for at in found.seen.received_ns if woken_ns <= at < woken_ns + NS // 10]
    with timing:
        assert len(in_the_next_tenth) < 100, "two seconds of its share, 200, must not come at once"
    woken_s = int(found.marks["woken"] - found.seen.received_ns[0] / NS)
    after = rates(found.seen)[woken_s + 3 : 15]
    with timing:
        assert sum(after) >= 0.99 * 200 * len(after)


@scene("late_worker")
def test_a_worker_that_joins_late_takes_its_share_without_a_gap_or_a_duplicate(
    found: Findings, timing: Timing
) -> None:
    arrivals = found.result.arrivals
    assert identity_holds(arrivals)
    with timing:
        assert (arrivals.planned, arrivals.lost, arrivals.ok) == (2_000, 0, 2_000)
    assert found.seen.received == 2_000
    assert all(worker["started"] > 0 for worker in found.result.generator.per_worker)
    assert len(found.result.generator.per_worker) == 2


@scene("killed_master")
def test_load_stops_within_three_seconds_of_the_masters_death(found: Findings, timing: Timing) -> None:
    last_s = found.seen.received_ns[-1] / NS
    with timing:
        assert last_s - found.marks["killed"] < 3.0
    assert found.seen.received > 500
    told = recover_folder(found.folder / "run")
    assert "later reports of 2 workers" in told
    assert "`singlesday resume" in told
    arrivals = RunResult.read(found.folder / "run" / "result.json").arrivals
    assert identity_holds(arrivals)
    assert arrivals.started == found.seen.received, "the workers' own records know of every request"


@scene("garbage")
def test_garbage_on_the_control_port_changes_nothing(found: Findings, timing: Timing) -> None:
    assert found.marks["messages"] == 7
    with timing:
        assert generator_did_well(found.result), found.log
    assert (found.result.arrivals.planned, found.result.arrivals.ok) == (800, 800)
    assert found.result.generator.workers == 1


def slower(found: Findings, factor: float) -> Findings:
    """The same with every latency longer by a factor."""
    return _with_latencies(found, lambda figures: (_times(figures[0], factor), _times(figures[1], factor)))


def by_intent(found: Findings) -> Findings:
    """The same from a harness that lost the difference: service times are response times."""
    return _with_latencies(found, lambda figures: (figures[0], figures[0]))


def _times(quantiles: Quantiles, factor: float) -> Quantiles:
    figures = msgspec.structs.asdict(quantiles)
    return Quantiles(
        **{name: value if name == "count" else value * factor for name, value in figures.items()}
    )


def _with_latencies(
    found: Findings, change: Callable[[tuple[Quantiles, Quantiles]], tuple[Quantiles, Quantiles]]
) -> Findings:
    result = msgspec.json.decode(msgspec.json.encode(found.result), type=RunResult)
    for endpoint in result.endpoints.values():
        endpoint.response_ms, endpoint.service_ms = change((endpoint.response_ms, endpoint.service_ms))
    for slo in result.slo:
        slo.observed = None if slo.observed is None else 2 * slo.observed
    return replace(found, written=result)


def noticed_late(found: Findings) -> Findings:
    """The same with everything said of the run, and the first request, four seconds apart from where they were."""
    result = msgspec.json.decode(msgspec.json.encode(found.result), type=RunResult)
    result.events = [(at_s + 4, text) for at_s, text in result.events]
    return replace(found, written=result)


def thinned(found: Findings) -> Findings:
    """The same where one request in twenty never came."""
    return replace(
        found, seen=replace(found.seen, received_ns=[at for n, at in enumerate(_at(found)) if n % 20])
    )


def still_loaded(found: Findings) -> Findings:
    """The same with a last request four seconds later."""
    return replace(found, seen=replace(found.seen, received_ns=[*_at(found), _at(found)[-1] + 4 * NS]))


def _at(found: Findings) -> list[int]:
    return found.seen.received_ns


Check = Callable[[Findings, Timing], None]
OFF: list[tuple[str, Check, Callable[[Findings], Findings]]] = [
    ("stalled", test_response_time_tells_of_a_stall_what_was_lost_by_it, lambda found: slower(found, 1.1)),
    ("stalled", test_service_time_alone_would_lie_about_a_stall, by_intent),
    (
        "stopped_target",
        test_a_target_stopped_for_two_seconds_is_seen_to_two_percent,
        lambda found: slower(found, 1.05),
    ),
    ("slow_target", test_a_slow_target_fails_its_objective_in_a_valid_run, lambda found: slower(found, 1.0)),
    (
        "foreign_stalled",
        test_a_client_that_knows_nothing_of_arrivals_is_measured_from_intent_too,
        by_intent,
    ),
    ("killed_worker", test_a_killed_worker_is_replaced_by_the_others_within_five_seconds, noticed_late),
    ("killed_worker", test_a_killed_worker_is_replaced_by_the_others_within_five_seconds, thinned),
    ("killed_master", test_load_stops_within_three_seconds_of_the_masters_death, still_loaded),
]


@pytest.mark.parametrize(
    ("found", "check", "off"),
    OFF,
    indirect=["found"],
    ids=[f"{name}-{n}" for n, (name, *_) in enumerate(OFF)],
)
def test_what_judges_a_scenes_times_fails_where_they_are_off(
    found: Findings, check: Check, off: Callable[[Findings], Findings]
) -> None:
    with pytest.raises(AssertionError) as failed:
        check(off(found), Timing.on_a_quiet_machine())
    assert failed.type is AssertionError, failed.value


HOG = "import time\nend = time.monotonic() + 5\nwhile time.monotonic() < end: pass"
"""Uses up a core for five seconds, so that the run can be judged in peace afterwards."""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux to pin processes to a core")
def test_hogs_on_the_generators_core_make_the_run_invalid_and_it_says_why(
    tmp_path: Path, timing: Timing
) -> None:
    """Once it runs, four hogs leave a generator of lower priority a fortieth of its core; it needs a tenth."""
    core = min(os.sched_getaffinity(0))
    pinned = ["taskset", "-c", str(core)]
    hogs: list[subprocess.Popen[bytes]] = []
    try:
        path = write_plan(tmp_path, rate=2_500, duration_s=8)
        with target() as aimed, locust_run(tmp_path, path, aimed.url, prefix=pinned) as run:
            aimed.await_first_request()
            os.setpriority(os.PRIO_PROCESS, run.master.pid, 10)
            hogs += [subprocess.Popen([*pinned, sys.executable, "-c", HOG]) for _ in range(4)]
            code, result = run.finish()
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    with timing:  # others may slow down the master's own part so much that it gives the run up
        assert (code, result.verdict) == (11, "INVALID")
    reasons = result.validity.reasons
    assert any("late (p99)" in reason and "CPU" in reason for reason in reasons), reasons
    assert identity_holds(result.arrivals)
