"""What docker-compose.yml starts, started here as plain processes: same commands, environment and configuration.

Names of services become 127.0.0.1, ports become free ones, files of the image and secrets become files of the
test; nothing else is changed. So a flag that compose passes and a program does not know cannot stay unseen.
"""

import base64
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.compose.make_secrets import values
from tests.contract.postgres_server import postgres_server
from tests.ports import free_port
from tests.required import program
from tests.system.locust_fleet import answers, wait_until
from tests.target_service.service_process import ROOT, ask

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
CONTAINER = """
mount --bind "$0" /mnt
mount -o remount,bind,ro /
exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --inh-caps -all,+dac_read_search \\
    --ambient-caps -all,+dac_read_search --bounding-set -all,+dac_read_search -- "$@"
"""
"""What a service of ours gets there: the image's user, no right of root's, and a file system that it cannot write
to but for its volumes, here one folder ($0, as /mnt). It may read all: Python may lie in root's own folder."""
PATIENCE_S = 100.0
PORTS = ("8080", "8081", "5557", "8089", "9646")


pytestmark = pytest.mark.timeout(900)
"""More than all that is waited for."""


def contained(volume: Path) -> list[str]:
    """The words before a command that start it as in its container, where this machine lets us; else none."""
    inside = ["unshare", "--mount", "sh", "-ec", CONTAINER, str(volume)]
    if os.getuid() == 0 and subprocess.run([*inside, "true"], capture_output=True).returncode == 0:
        os.chown(volume, 10001, 10001)
        return inside
    return []


class Ports(dict[str, str]):
    """For each of compose's ports one that is free, chosen when somebody first speaks of it: soon it is taken."""

    def __missing__(self, port: str) -> str:
        return self.setdefault(port, str(free_port()))


class Topology:
    """Compose's services as processes of ours."""

    def __init__(self, folder: Path, database: str, made: Path) -> None:
        self._folder = folder
        folder.chmod(0o755)
        self.volume = folder / "volume"
        self.volume.mkdir()
        self._inside = contained(self.volume)
        self._mounted = Path("/mnt") if self._inside else self.volume
        self.secrets = values((made / ".env").read_text())
        self._files = made / "secrets"
        self._ports = Ports()
        self._database = database
        self._stack = contextlib.ExitStack()
        self.left_empty: set[str] = set()
        """Variables that a test leaves out on purpose."""

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self._ports[port]}"

    def start(self, name: str) -> "subprocess.Popen[bytes]":
        service = SERVICES[name]
        environment = {key: self._here(str(value)) for key, value in service.get("environment", {}).items()}
        stores = {"ORDERS_STORE", "LOADTEST_AUDIT_STORE"} & environment.keys()
        environment |= dict.fromkeys(stores, self._database)
        if "ORDERS_STORE" in environment:
            environment["ORDERS_STORE_WAIT_S"] = "60"  # no order is refused because the machine is busy
        assert {key for key, value in environment.items() if not value} <= self.left_empty
        command = [*self._inside, sys.executable, "-m", *(self._here(part) for part in service["command"])]
        log = self._stack.enter_context((self._folder / f"{name}.log").open("ab"))
        # The container's environment: what compose sets and what the image does (ENV), nothing of this machine's.
        environment |= {
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self._mounted),
        }
        environment |= {"TMPDIR": str(self._mounted), "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def healthy(self, name: str) -> bool:
        """What compose asks, and those wait for who depend on the service."""
        kind, python, *words = SERVICES[name]["healthcheck"]["test"]
        assert (kind, python) == ("CMD", "python")
        done = subprocess.run([sys.executable, *map(self._here, words)], capture_output=True)
        return done.returncode == 0

    def prometheus(self) -> str:
        """Prometheus with compose's file: DNS look-ups become addresses, secrets files of ours."""
        text = (ROOT / "deploy/compose/prometheus.yml").read_text()
        config = yaml.safe_load(text.replace("/etc/prometheus", str(ROOT / "dashboards/prometheus")))
        for job in config["scrape_configs"]:
            [lookup] = job.pop("dns_sd_configs")
            job["static_configs"] = [{"targets": [f"127.0.0.1:{self._ports[str(lookup['port'])]}"]}]
            secret = self._files / Path(job["authorization"]["credentials_file"]).name
            job["authorization"]["credentials_file"] = str(secret)
        path = self._folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        address = f"127.0.0.1:{free_port()}"
        command = [
            program("prometheus"),
            f"--config.file={path}",
            f"--storage.tsdb.path={self._folder / 'data'}",
        ]
        log = self._stack.enter_context((self._folder / "prometheus.log").open("wb"))
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.terminate)
        wait_until(lambda: answers(f"http://{address}"), PATIENCE_S)
        return f"http://{address}"

    def close(self) -> None:
        self._stack.close()

    def _here(self, text: str) -> str:
        text = re.sub(r"\$\{(\w+):[?-][^}]*\}", lambda match: self.secrets.get(match[1], ""), text)
        text = re.sub(r"(?<![-\w])(orders|master)(?=:\d|$)", "127.0.0.1", text)
        text = text.replace("/locustfile.py", str(ROOT / "loadtest/locustfile.py"))
        text = re.sub(r"^/runs", str(self._mounted / "runs"), text)
        return re.sub(
            r"\b\d{4}\b", lambda match: self._ports[match[0]] if match[0] in PORTS else match[0], text
        )


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A checkout after `make compose-env`."""
    folder = tmp_path / "checkout"
    (folder / "deploy/compose").mkdir(parents=True)
    for name in (".env.example", "deploy/compose/make_secrets.py"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([sys.executable, str(folder / "deploy/compose/make_secrets.py")], check=True)
    return folder


@pytest.fixture
def topology(tmp_path: Path, made: Path) -> Iterator[Topology]:
    program("prometheus")
    with (
        postgres_server() as server,
        contextlib.closing(Topology(tmp_path, server.create_database("orders"), made)) as started,
    ):
        yield started


@pytest.fixture
def no_database(tmp_path: Path, made: Path) -> Iterator[Topology]:
    """For what ends before it asks for one."""
    dsn = f"postgresql://postgres@127.0.0.1:{free_port()}/orders"
    with contextlib.closing(Topology(tmp_path, dsn, made)) as started:
        yield started


def knows(prometheus: str, metric: str) -> bool:
    return bool(ask(prometheus, "GET", f"/api/v1/query?query={metric}").json["data"]["result"])


def test_the_whole_of_compose_runs_as_processes_and_prometheus_sees_it(topology: Topology) -> None:
    topology.start("orders")
    wait_until(lambda: topology.healthy("orders"), PATIENCE_S)
    topology.start("master")
    web = topology.url("8089")
    wait_until(lambda: topology.healthy("master"), PATIENCE_S)
    topology.start("worker")
    prometheus = topology.prometheus()
    assert ask(web, "GET", "/peak/live").status == 401
    assert ask(topology.url("9646"), "GET", "/metrics").status == 401
    password = f"any:{topology.secrets['LOADTEST_WEB_TOKEN']}".encode()
    authorized = {"Authorization": f"Basic {base64.b64encode(password).decode()}"}
    wait_until(
        lambda: b'"worker_count": 1' in ask(web, "GET", "/peak/locust", headers=authorized).body, PATIENCE_S
    )
    form = {**authorized, "Content-Type": "application/x-www-form-urlencoded"}
    started = ask(web, "POST", "/swarm", "plan=smoke&peak_tps=20&duration=3s", form).json
    assert started["success"], started
    wait_until(lambda: ask(web, "GET", "/peak/live", headers=authorized).json["state"] == "done", PATIENCE_S)
    assert ask(web, "GET", "/peak/live", headers=authorized).json["failures"] == 0
    wait_until(lambda: ask(web, "GET", "/peak/live", headers=authorized).json["finished"], PATIENCE_S)
    assert "passed" in ask(web, "GET", "/peak/live", headers=authorized).json["audit"]
    wait_until(lambda: knows(prometheus, "loadtest_transactions_total"), PATIENCE_S)
    wait_until(lambda: knows(prometheus, "orders_created_total"), PATIENCE_S)


@pytest.mark.slow(held_by="test_the_whole_of_compose_runs_as_processes_and_prometheus_sees_it")
def test_the_ci_profile_ends_with_the_verdicts_exit_code(topology: Topology) -> None:
    topology.start("orders")
    wait_until(lambda: topology.healthy("orders"), PATIENCE_S)
    # Whether this machine keeps the schedule is not the question: 0 is PASS, 10 FAIL, 11 INVALID.
    assert topology.start("ci").wait(PATIENCE_S) in {0, 10, 11}


@pytest.mark.slow(held_by="test_the_whole_of_compose_runs_as_processes_and_prometheus_sees_it")
def test_the_ci_profile_needs_nothing_of_the_rests(topology: Topology) -> None:
    theirs = {"LOADTEST_TOKEN", "LOADTEST_WEB_TOKEN", "GRAFANA_ADMIN_PASSWORD"}
    topology.secrets = {name: value for name, value in topology.secrets.items() if name not in theirs}
    topology.start("orders")
    wait_until(lambda: topology.healthy("orders"), PATIENCE_S)
    assert topology.start("ci").wait(PATIENCE_S) in {0, 10, 11}


@pytest.mark.slow(stays=["LOADTEST_TOKEN"])
@pytest.mark.parametrize("missing", ["LOADTEST_TOKEN", "LOADTEST_WEB_TOKEN"])
def test_a_master_without_a_password_does_not_start(no_database: Topology, missing: str) -> None:
    no_database.left_empty = {missing}
    no_database.secrets[missing] = ""
    assert no_database.start("master").wait(PATIENCE_S) == 2
    assert missing in (no_database.volume.parent / "master.log").read_text()


def test_compose_env_draws_each_password_once_and_keeps_what_is_there(made: Path) -> None:
    text = (made / ".env").read_text()
    drawn = values(text)
    assert all(len(value) >= 32 for value in drawn.values())
    assert len(set(drawn.values())) == len(drawn) == 6
    assert (made / ".env").stat().st_mode & 0o777 == 0o600
    assert (made / "secrets").stat().st_mode & 0o777 == 0o700
    (made / ".env").write_text(text.replace(drawn["ORDERS_DB_PASSWORD"], "mine"))
    subprocess.run([sys.executable, str(made / "deploy/compose/make_secrets.py")], check=True)
    assert values((made / ".env").read_text()) == drawn | {"ORDERS_DB_PASSWORD": "mine"}
    for path in (made / "secrets").iterdir():
        assert path.read_text() == values((made / ".env").read_text())[path.name.upper()]
        assert path.stat().st_mode & 0o777 == 0o444, "a container's user is another than the file's"
