"""What becomes of the arrivals of scripts as strangers write them, end to end: real processes and sockets."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtest.exit_codes import ExitCode
from loadtest.measure.run_result import RunResult
from loadtest.testing import ScriptedServer, ServedConnection, response_bytes
from tests.ports import free_port
from tests.timing import Others, Timing, unless_taken

HEAD = """
import gevent, gevent.pool, itertools, os
from locust import SequentialTaskSet, TaskSet, run_single_user, task
from locust.contrib.fasthttp import FastHttpSession
from locust.exception import StopUser
from loadtest import FastHttpUser, nothing_to_do, open_loop
"""
SECRET = b'{"error": "no such basket", "password": "hunter2-hunter2"}'


def answer(path: str, hang: Callable[[], bool]) -> bytes | None:
    """What the target answers; None for never."""
    if path.startswith("/hang") and hang():
        return None
    if path.startswith("/slow"):
        time.sleep(0.2)
    if path.startswith("/fail"):
        return response_bytes(SECRET, "503 Service Unavailable")
    return response_bytes(b"ok")


def target(hang_after: int = 0) -> ScriptedServer:
    """A target that answers by path; `/hang` is answered so many times and then never again."""
    asked: list[int] = []

    def hang() -> bool:
        asked.append(1)
        return len(asked) > hang_after

    def serve(connection: ServedConnection) -> None:
        while True:
            path = connection.read_request().split(b" ", 2)[1].decode()
            answered = answer(path, hang)
            if answered is None:
                connection.wait_for_close()
                return
            connection.send(answered)

    return ScriptedServer(serve)


@dataclass
class Ended:
    """A run that has ended."""

    code: int
    result: RunResult
    output: str
    took_s: float


def play(
    folder: Path,
    script: str,
    server: ScriptedServer,
    *,
    rate: float = 20,
    duration_s: int = 2,
    plan: str = "",
) -> Ended:
    """Play a script's `Buyer` in one process, as somebody without our commands would."""
    (folder / "shop.py").write_text(HEAD + script)
    (folder / "plan.toml").write_text(
        f'peak_tps = {rate}\nduration = "{duration_s}s"\nvirtual_users = 20\narrivals = "uniform"\n'
        f'patience_s = 2.0\n[profile]\ncurve = "constant"\n[[scenario]]\nuser = "shop:Buyer"\n{plan}'
    )
    command = [sys.executable, "-m", "locust", "-f", "shop.py", "--headless", "--console", "quiet"]
    command += ["--plan", "plan.toml", "-H", server.url, "--run-dir", "run"]
    began_s = time.monotonic()
    others = Others()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    took_s = time.monotonic() - began_s
    written = folder / "run" / "result.json"
    assert written.exists(), done.stderr
    result = RunResult.read(written)
    unless_taken(result, others)
    return Ended(done.returncode, result, done.stdout + done.stderr, took_s)


def test_a_target_that_falls_silent_halfway_is_in_every_figure(tmp_path: Path) -> None:
    script = """
class Buyer(FastHttpUser):
    wait_time = open_loop()
    @task
    def buy(self):
        self.client.post("/hang", json={})
"""
    with target(hang_after=20) as server:
        ended = play(tmp_path, script, server, plan='[[slo]]\nexpr = "p99(POST /hang) < 500ms"\n')
    endpoint = ended.result.endpoints["POST /hang"]
    arrivals = ended.result.arrivals
    assert ended.code == ExitCode.SLO_FAIL, ended.output
    assert (arrivals.ok, arrivals.cancelled + arrivals.dropped) == (20, 20)
    assert endpoint.unanswered == endpoint.errors["unanswered"] == arrivals.cancelled
    assert endpoint.evidence["unanswered"].count == endpoint.unanswered
    assert endpoint.response_ms.p99 > 1_000
    assert endpoint.ok_response_ms.count == 20
    assert arrivals.started == arrivals.ok + arrivals.failed + arrivals.empty + arrivals.cancelled


def test_every_outcome_of_one_script_is_counted_and_named(tmp_path: Path) -> None:
    script = """
turn = itertools.count()

def outcome(user):
    number = next(turn) % 5
    if number == 0:
        user.client.get("/ok")
    elif number == 1:
        gevent.pool.Pool(2).map(user.client.get, ["/ok", "/fail?token=hunter2-hunter2"])
    elif number == 2:
        [][7]
    elif number == 3:
        nothing_to_do()

class Buyer(FastHttpUser):
    wait_time = open_loop()
    tasks = [outcome]
"""
    with target() as server:
        ended = play(tmp_path, script, server)
    arrivals = ended.result.arrivals
    assert (arrivals.started, arrivals.ok, arrivals.failed, arrivals.failed_in_script, arrivals.empty) == (
        40,
        16,
        16,
        8,
        8,
    )
    (raised,) = ended.result.script_errors
    assert (raised.scenario, raised.error, raised.count) == (
        "Buyer",
        "IndexError: list index out of range",
        8,
    )
    assert raised.where.startswith("shop.py:")
    assert raised.where.endswith(" in outcome")
    (evidence,) = ended.result.endpoints["GET /fail?token=hunter2-hunter2"].evidence.values()
    assert (evidence.status, evidence.count) == (503, 8)
    assert "no such basket" in evidence.body
    assert "hunter2" not in evidence.body + evidence.request
    assert sum(count for _, count in evidence.per_second) == 8


def test_users_that_cannot_start_end_the_run_at_once(tmp_path: Path, timing: Timing) -> None:
    script = """
accounts = list(range(10))

class Buyer(FastHttpUser):
    wait_time = open_loop()
    def on_start(self):
        self.account = accounts.pop()
    @task
    def buy(self):
        self.client.get("/ok")
"""
    with target() as server:
        ended = play(tmp_path, script, server)
        assert not server.requests
    assert ended.code == ExitCode.ABORTED
    with timing:
        assert ended.took_s < 55, "a minute of waiting is what it is not"
    assert (
        "on_start failed for 10 of 20 users of Buyer: IndexError: pop from empty list (shop.py:"
        in (ended.result.validity.reasons[0])
    )
    users = ended.result.generator.users["Buyer"]
    assert (users.wanted, users.ready, users.failed) == (20, 10, 10)


@pytest.mark.slow(held_by="test_every_outcome_of_one_script_is_counted_and_named")
def test_a_pattern_covers_names_beyond_the_limit(tmp_path: Path) -> None:
    script = """
number = itertools.count()

class Buyer(FastHttpUser):
    wait_time = open_loop()
    @task
    def look(self):
        n = next(number)
        self.client.get(f"/{'slow' if n >= 550 else 'item'}/{n}", name=f"/item/{n}")
"""
    with target() as server:
        ended = play(
            tmp_path,
            script,
            server,
            rate=100,
            duration_s=6,
            plan='[[slo]]\nexpr = "p99(GET /item/*) < 100ms"\n[[slo]]\nexpr = "requests(GET /item/7*) > 100"\n',
        )
    assert ended.result.endpoints["* (too many to list)"].requests == 100
    pattern = ended.result.patterns["GET /item/*"]
    assert pattern.requests == 600
    assert pattern.response_ms.p99 > 190
    assert ended.result.patterns["GET /item/7*"].requests == 11


def test_a_second_session_and_a_figure_leave_other_times_alone(tmp_path: Path, timing: Timing) -> None:
    script = """
class Buyer(FastHttpUser):
    wait_time = open_loop()
    def on_start(self):
        self.prices = FastHttpSession(self.host, self.environment.events.request, self)
        self.client.get("/login")
    @task
    def look(self):
        self.environment.events.request.fire(request_type="FIGURE", name="basket", response_time=42,
            response_length=0, exception=None, context={})
        self.prices.get("/slow")
        self.client.get("/ok")
"""
    with target() as server:
        ended = play(tmp_path, script, server, rate=5)
    endpoints = ended.result.endpoints
    with timing:
        assert endpoints["GET /ok"].response_ms.p50 < 150, "from its own beginning"
    assert endpoints["GET /slow"].response_ms.p50 > 190
    assert endpoints["figure FIGURE basket"].response_ms.p50 == pytest.approx(42, rel=0.01)
    assert "GET /login" not in endpoints
    assert sum(point.requests for point in ended.result.timeline) == 20


@pytest.mark.parametrize("waits", ["", "wait_time = open_loop()"], ids=["closed", "open"])
def test_one_user_in_a_debugger_is_shown_at_once_with_payloads(
    tmp_path: Path, waits: str, timing: Timing
) -> None:
    with target() as server:
        script = f"""
class Buyer(FastHttpUser):
    host = "{server.url}"
    {waits}
    @task
    def look(self):
        self.client.get("/ok")
        self.client.post("/echo", json={{"pages": 1}})
        raise StopUser

run_single_user(Buyer, include_length=True, include_payload=True)
"""
        (tmp_path / "shop.py").write_text(HEAD + script)
        began_s = time.monotonic()
        done = subprocess.run(
            [sys.executable, "shop.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300
        )
        took_s = time.monotonic() - began_s
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("GET", "POST"))]
    assert [line.split()[1] for line in lines] == ["/ok", "/echo"]
    assert "pages" in lines[1]
    with timing:
        assert took_s < 20, "the wait for a worker's runner would be 30 s"


CLOCK = "import time\nnow_ns = time.time_ns\ntime.time_ns = lambda: now_ns() + {offset_s} * 10**9\n"


def fleet_with_a_clock_off(folder: Path, server: ScriptedServer, offset_s: int) -> Ended:
    """A master and one worker whose wall clock is ahead by so much."""
    script = """
class Buyer(FastHttpUser):
    wait_time = open_loop()
    @task
    def buy(self):
        self.client.get("/ok")
"""
    (folder / "shop.py").write_text(HEAD + script)
    (folder / "plan.toml").write_text(
        'peak_tps = 20\nduration = "2s"\nvirtual_users = 5\n[profile]\ncurve = "constant"\n'
        '[[scenario]]\nuser = "shop:Buyer"\n'
    )
    off = folder / "off"
    off.mkdir()
    (off / "sitecustomize.py").write_text(CLOCK.format(offset_s=offset_s))
    port = free_port()
    locust = [sys.executable, "-m", "locust", "-f", "shop.py"]
    flags = ["--headless", "--console", "quiet", "--plan", "plan.toml", "-H", server.url, "--run-dir", "run"]
    master = subprocess.Popen(
        [*locust, "--master", "--master-bind-port", str(port), "--expect-workers", "1", *flags],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    worker = subprocess.Popen(
        [*locust, "--worker", "--master-port", str(port)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(off)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    others = Others()
    try:
        output, _ = master.communicate(timeout=300)
    finally:
        for process in (master, worker):
            process.kill()
            process.communicate()
    result = RunResult.read(folder / "run" / "result.json")
    unless_taken(result, others)
    return Ended(master.returncode, result, output, 0.0)


def test_a_worker_whose_clock_is_off_starts_in_time_and_is_noted(tmp_path: Path, timing: Timing) -> None:
    with target() as server:
        ended = fleet_with_a_clock_off(tmp_path, server, 5)
    timing.heard(ended.result)
    with timing:
        assert ended.result.arrivals.ok == 40, ended.output
    (worker,) = ended.result.generator.per_worker
    with timing:
        assert worker["clock_offset_ms"] == pytest.approx(5_000, abs=500)
    assert any("ahead of the master's" in note for note in ended.result.generator.worker_notes)
    with timing:
        assert ended.result.generator.dispatch_lag_ms.p50 < 1_000, "not five seconds late"


@pytest.mark.slow(held_by="test_a_worker_whose_clock_is_off_starts_in_time_and_is_noted")
def test_a_worker_whose_clock_is_of_no_use_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    with target() as server:
        ended = fleet_with_a_clock_off(tmp_path, server, -90)
        assert not server.requests
    assert ended.code == ExitCode.ABORTED
    assert "behind the master's, more than 60 s: set it right" in ended.result.validity.reasons[0]
    assert json.loads((tmp_path / "run" / "result.json").read_text())["exit_code"] == ExitCode.ABORTED
