"""`singlesday run` and plain Locust as a user runs them: real processes, real sockets, a real database."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psutil
import pytest

from loadtest.cli.children import wait_until
from loadtest.cli.peak import FRACTIONS
from loadtest.cli.service import Service
from loadtest.exit_codes import ExitCode
from loadtest.measure.run_result import RunResult
from tests.ports import free_port
from tests.system.run_process import kill_tree
from tests.timing import Others, Timing, unless_taken

LOCUSTFILE = Path(__file__).parents[2] / "loadtest" / "locustfile.py"


def singlesday(
    *arguments: str, timeout_s: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadtest.cli.main", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, env=os.environ | environment
    )


def only_run(out: Path) -> Path:
    (folder,) = out.iterdir()
    return folder


def result_of(folder: Path) -> RunResult:
    return RunResult.read(folder / "result.json")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    running = Service(f"sqlite:///{tmp_path / 'orders.db'}", tmp_path / "service.log")
    yield running
    running.stop()


def test_run_starts_the_service_drives_the_plan_and_balances_the_books(
    tmp_path: Path, timing: Timing
) -> None:
    summary = tmp_path / "job.md"
    plan = ("smoke", "--peak-tps", "50", "--duration", "4s", "--service-workers", "1")

    others = Others()
    done = singlesday(
        "run", *plan, "--csv", "--out", str(tmp_path / "runs"), GITHUB_STEP_SUMMARY=str(summary)
    )
    folder = only_run(tmp_path / "runs")
    result = result_of(folder)
    unless_taken(result, others)
    assert done.returncode == ExitCode.PASS, done.stdout + done.stderr
    assert "PASS" in done.stdout
    assert "report.html" in done.stdout
    arrivals = result.arrivals
    assert arrivals.planned == arrivals.scheduled + arrivals.lost
    assert arrivals.scheduled == arrivals.started + arrivals.dropped
    assert arrivals.started == arrivals.ok + arrivals.failed + arrivals.cancelled
    assert arrivals.lost == arrivals.failed == arrivals.dropped == 0
    assert result.audit is not None
    assert result.audit.balanced
    assert result.audit.stored == result.audit.acknowledged == result.transactions.count
    with timing:
        for point in result.timeline:
            assert point.started == pytest.approx(point.scheduled, abs=max(2, 0.01 * point.scheduled))
    assert {path.name for path in folder.iterdir()} >= {
        "result.json",
        "report.html",
        "junit.xml",
        "summary.md",
        "latency.hlog",
        "ledger",
        "service.log",
        "locust_stats.csv",
        "locust_stats_history.csv",
        "locust_failures.csv",
        "locust_exceptions.csv",
    }
    assert summary.read_text().count("## PASS: smoke") == 1
    assert "| audit | passed" in summary.read_text()


@pytest.mark.slow(held_by="test_a_signal_during_the_probe_ends_it_at_once_12")
def test_a_shipped_plan_is_sized_by_a_probe_and_plays_what_the_probe_says(tmp_path: Path) -> None:
    done = singlesday("run", "smoke", "--duration", "2s", "--out", str(tmp_path / "runs"))
    said = re.search(
        r"At full speed \(closed loop\) ([\d,]+) TPS.*the plan will peak at ([\d,]+) TPS \((\d+)% of",
        done.stdout,
    )
    assert said is not None, done.stdout + done.stderr
    full, peak, share = (int(number.replace(",", "")) for number in said.groups())
    assert share in {round(100 * fraction) for fraction in FRACTIONS}
    assert peak == pytest.approx(full * share / 100, abs=1.5)
    folder = only_run(tmp_path / "runs")
    assert result_of(folder).run.settings["peak_tps"] == peak
    assert not list(folder.glob("probe.db*")), "the probe's orders are not the run's"


@pytest.mark.slow(held_by="test_a_shipped_plan_plays_squeezed")
def test_a_run_of_parcels_speaks_of_parcels_and_claims_no_audit(tmp_path: Path) -> None:
    done = singlesday(
        "run", "logistics", "--peak-tps", "20", "--duration", "6s", "--out", str(tmp_path / "runs")
    )
    folder = only_run(tmp_path / "runs")
    result = result_of(folder)
    assert result.transactions.count > 0, done.stdout + done.stderr
    assert result.audit is None
    for text in (done.stdout, *((folder / name).read_text() for name in ("summary.md", "report.html"))):
        assert "parcels/s" in text
        assert "orders/s" not in text
        assert "only orders can be checked" in text
        assert "balanced" not in text
    junit = ElementTree.parse(folder / "junit.xml")  # noqa: S314 - our own
    skipped = junit.find(".//testsuite[@name='audit']//skipped")
    assert skipped is not None
    assert "only orders can be checked" in skipped.attrib["message"]
    again = singlesday("audit", str(folder))
    assert again.returncode == ExitCode.USAGE, again.stdout + again.stderr
    assert "not checked: the run created no orders" in again.stderr


def write_plan(folder: Path, text: str) -> str:
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


BAD_INPUT = {
    "unknown plan": (["run", "singles-dya"], "singles-day"),
    "malformed plan": (["run", "PLAN"], "plan.toml"),
    "peak of zero": (["run", "smoke", "--peak-tps", "0"], "--peak-tps"),
    "peak that is no number": (["run", "smoke", "--peak-tps", "many"], "--peak-tps"),
    "duration that is none": (["run", "smoke", "--duration", "soon"], "--duration"),
    "unreachable target": (["run", "smoke", "--target", "http://127.0.0.1:FREE"], "nothing answers"),
    "target without a scheme": (["run", "smoke", "--target", "127.0.0.1"], "http://127.0.0.1:8080"),
    "host that is not allowed": (["run", "smoke", "--target", "http://example.com"], "not allowed"),
    "web port in use": (["run", "smoke", "--web", "--web-port", "BUSY"], "--web-port"),
    "objective with a typo": (["run", "smoke", "--slo", "p99(POST /orders) < 250mz"], "250mz"),
    "phase that the plan does not have": (["run", "smoke", "--slo", "p99(*) during spike < 1s"], "spike"),
    "store of a target": (
        ["run", "smoke", "--target", "http://127.0.0.1:1", "--store", "sqlite:///x"],
        "--store",
    ),
    "metrics of no target": (["run", "smoke", "--service-metrics", "http://127.0.0.1:1/metrics"], "--target"),
    "run folder without a result": (["report", "nowhere"], "nowhere"),
}


@pytest.mark.slow(stays=["unknown plan", "unreachable target", "web port in use"])
@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_refused_before_any_traffic(case: str, tmp_path: Path) -> None:
    arguments, named = BAD_INPUT[case]
    out = tmp_path / "runs"
    with occupied_port() as busy:
        plan = write_plan(tmp_path, 'name = "broken"\npeak_tps = "high"\n')
        names = {"PLAN": plan, "BUSY": str(busy), "FREE": str(free_port())}
        filled = [fill(argument, names) for argument in arguments]
        if arguments[0] == "run":
            filled += ["--out", str(out)]
        done = singlesday(*filled)
    assert done.returncode == ExitCode.USAGE, done.stdout + done.stderr
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists(), "a run folder was made for a run that cannot start"


def fill(argument: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        argument = argument.replace(name, value)
    return argument


class occupied_port:  # noqa: N801 - a context manager, read as a phrase
    """A port of loopback that somebody listens on."""

    def __enter__(self) -> int:
        import socket  # noqa: PLC0415

        self._socket = socket.create_server(("127.0.0.1", 0))
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._socket.close()


@pytest.mark.slow(stays=["2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_load_within_two_seconds_and_leaves_everything_written(
    number: signal.Signals, tmp_path: Path, timing: Timing
) -> None:
    command = [sys.executable, "-m", "loadtest.cli.main", "run", "smoke", "--peak-tps", "20", "--json"]
    command += ["--service-workers", "1"]
    with (tmp_path / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [*command, "--out", str(tmp_path / "runs")], stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("{") and json.loads(line)["t_s"] >= 2:
                break
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        seen = process.stdout.read().splitlines()
        code = process.wait(300)
    finally:
        kill_tree(process)
        process.stdout.close()
    folder, said = only_run(tmp_path / "runs"), (tmp_path / "stderr").read_text()
    result = result_of(folder)
    assert code == result.exit_code == ExitCode.ABORTED
    assert f"stopped by {'Ctrl-C' if number is signal.SIGINT else 'SIGTERM'}" in said
    assert f"singlesday resume {folder}" in said
    assert json.loads(seen[-1])["verdict"] == "ABORTED"
    assert all(json.loads(line) for line in seen), "something else than JSON on stdout"
    assert result.verdict == "ABORTED"
    assert result.arrivals.planned == result.arrivals.scheduled + result.arrivals.lost
    assert result.arrivals.scheduled == result.arrivals.started + result.arrivals.dropped
    with timing:
        assert max(point.t_s for point in result.timeline) < 6
    assert (folder / "report.html").exists()
    assert result.audit is not None
    assert result.audit.balanced
    assert wait_until(lambda: not any(child.is_running() for child in children), 90)


def locust(*arguments: str, **kwargs: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs)


def all_said(first: subprocess.Popen[str], *others: subprocess.Popen[str]) -> str:
    """What the first of some processes said, once all have ended; kills those that do not."""
    try:
        output, _ = first.communicate(timeout=300)
        for other in others:
            other.communicate(timeout=300)
    finally:
        for process in (first, *others):
            process.kill()
            process.communicate()
    return output


def test_plain_headless_locust_plays_a_plan_and_its_own_table_agrees(
    service: Service, tmp_path: Path
) -> None:
    others = Others()
    process = locust(
        "--headless",
        "--plan=smoke",
        "--duration=3s",
        f"--host={service.url}",
        f"--out={tmp_path / 'runs'}",
        f"--json-file={tmp_path / 'locust.json'}",
        f"--csv={tmp_path / 'locust'}",
        env=os.environ | {"GITHUB_STEP_SUMMARY": str(tmp_path / "job.md")},
    )
    output = all_said(process)
    result = result_of(only_run(tmp_path / "runs"))
    unless_taken(result, others)
    assert process.returncode == ExitCode.PASS, output
    stats = {
        row["name"]: row["num_requests"] for row in json.loads((tmp_path / "locust.json.json").read_text())
    }
    ours = {name.partition(" ")[2]: endpoint.requests for name, endpoint in result.endpoints.items()}
    assert stats == ours
    assert rows_of(tmp_path / "locust_stats.csv") == ours
    assert (tmp_path / "job.md").read_text().count("## PASS: smoke") == 1


def rows_of(stats_csv: Path) -> dict[str, int]:
    """Requests by name, as in Locust's own CSV."""
    with stats_csv.open(newline="") as file:
        rows = {row["Name"]: int(row["Request Count"]) for row in csv.DictReader(file)}
    rows.pop("Aggregated")
    return rows


@pytest.mark.slow(held_by="test_users_of_every_kind_serve_every_arrival_once")
def test_master_and_workers_as_locust_users_start_them(service: Service, tmp_path: Path) -> None:
    others = Others()
    port = free_port()
    common = [f"--master-port={port}"]
    master = locust(
        "--headless",
        "--master",
        f"--master-bind-port={port}",
        "--expect-workers=2",
        "--plan=smoke",
        "--duration=4s",
        f"--host={service.url}",
        f"--out={tmp_path / 'runs'}",
    )
    workers = [locust("--worker", *common) for _ in range(2)]
    output = all_said(master, *workers)
    result = result_of(only_run(tmp_path / "runs"))
    unless_taken(result, others)
    assert master.returncode == ExitCode.PASS, output
    assert result.generator.workers == 2
    assert all(worker["started"] > 0 for worker in result.generator.per_worker)


@pytest.mark.slow(held_by="test_several_targets_stand_behind_the_first_ones_name")
def test_several_targets_share_the_connections(service: Service, tmp_path: Path) -> None:
    other = Service(f"sqlite:///{tmp_path / 'other.db'}", tmp_path / "other.log")
    out = tmp_path / "runs"
    arguments = ["run", "smoke", "--peak-tps", "40", "--duration", "4s", "--out", str(out)]
    try:
        singlesday(*arguments, "--target", service.url, "--target", other.url)
        answered = [requests_answered_by(running) for running in (service, other)]
    finally:
        other.stop()
    result = result_of(only_run(out))
    assert result.run.targets == [service.url, other.url]
    assert all(answered)
    assert sum(answered) == sum(endpoint.requests for endpoint in result.endpoints.values())


def requests_answered_by(service: Service) -> int:
    """How many requests of the API a service has counted itself."""
    page = urllib.request.urlopen(f"{service.admin_url}/metrics", timeout=90).read().decode()  # noqa: S310
    counts = re.findall(r'^orders_request_seconds_count\{[^}]*traffic="shadow"\} (\S+)$', page, re.MULTILINE)
    return round(sum(map(float, counts)))


def test_nothing_of_a_run_listens_beyond_loopback() -> None:
    process = locust(f"--web-port={free_port()}", f"--host=http://127.0.0.1:{free_port()}")
    try:
        listener = psutil.Process(process.pid)
        assert wait_until(lambda: bool(listening(listener)), 120)
        assert {address for address, _ in listening(listener)} == {"127.0.0.1"}
    finally:
        process.kill()
        process.communicate()


def listening(process: psutil.Process) -> list[tuple[str, int]]:
    connections = process.net_connections(kind="tcp")
    return [(c.laddr[0], c.laddr[1]) for c in connections if c.status == psutil.CONN_LISTEN]


def test_killed_run_leaves_no_process_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loadtest.cli.main", "run", "smoke", "--peak-tps", "10", "--quiet"]
    command += ["--service-workers", "1"]
    process = subprocess.Popen([*command, "--out", str(tmp_path)], stdout=subprocess.DEVNULL)
    parent = psutil.Process(process.pid)
    try:
        assert wait_until(lambda: len(parent.children(recursive=True)) >= 4, 300)
        children = parent.children(recursive=True)
    except BaseException:
        kill_tree(process)
        raise
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert wait_until(lambda: not any(child.is_running() for child in children), 90)


def test_a_process_whose_parent_has_ended_before_it_begins_does_not_begin() -> None:
    another = os.getppid()
    begin = f"from loadtest.cli.children import prepare; prepare({another}, ()); print('begun')"
    ended = subprocess.run([sys.executable, "-c", begin], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (ExitCode.INTERNAL_ERROR, "")
