"""What docker-compose.yml starts, started here as plain processes: same commands, environment and configuration.

Names of services become 127.0.0.1, ports become free ones, files of the image and secrets become files of the
test; nothing else is changed. So a flag that compose passes and a program does not know cannot stay unseen.
"""

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

from tests.contract.postgres_server import postgres_server
from tests.required import program
from tests.system.locust_fleet import answers, free_port, wait_until
from tests.target_service.service_process import ROOT, ask

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
SECRETS = {
    "ORDERS_ADMIN_TOKEN": "admin-secret",
    "LOADTEST_TOKEN": "a-run-token-of-the-test",
    "LOADTEST_WEB_TOKEN": "web-secret",
    "LOADTEST_METRICS_TOKEN": "metrics-secret",
    "ORDERS_DB_PASSWORD": "",
}
PORTS = ("8080", "8081", "5557", "8089", "9646")


class Topology:
    """Compose's services as processes of ours."""

    def __init__(self, folder: Path, database: str) -> None:
        self._folder = folder
        self._ports = {port: str(free_port()) for port in PORTS}
        self._database = database
        self._stack = contextlib.ExitStack()

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self._ports[port]}"

    def start(self, name: str) -> "subprocess.Popen[bytes]":
        service = SERVICES[name]
        environment = {key: self._here(str(value)) for key, value in service.get("environment", {}).items()}
        stores = {"ORDERS_STORE", "LOADTEST_AUDIT_STORE"} & environment.keys()
        environment |= dict.fromkeys(stores, self._database)
        command = [sys.executable, "-m", *(self._here(part) for part in service["command"])]
        log = self._stack.enter_context((self._folder / f"{name}.log").open("ab"))
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | environment
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def prometheus(self) -> str:
        """Prometheus with compose's file: DNS look-ups become addresses, secrets files of ours."""
        text = (ROOT / "deploy/compose/prometheus.yml").read_text()
        config = yaml.safe_load(text.replace("/etc/prometheus", str(ROOT / "dashboards/prometheus")))
        for job in config["scrape_configs"]:
            [lookup] = job.pop("dns_sd_configs")
            job["static_configs"] = [{"targets": [f"127.0.0.1:{self._ports[str(lookup['port'])]}"]}]
            secret = self._folder / Path(job["authorization"]["credentials_file"]).name
            secret.write_text(SECRETS[secret.name.upper()])
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
        wait_until(lambda: answers(f"http://{address}"))
        return f"http://{address}"

    def close(self) -> None:
        self._stack.close()

    def _here(self, text: str) -> str:
        text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: SECRETS[match[1]], text)
        text = re.sub(r"(?<![-\w])(orders|master)(?=:\d|$)", "127.0.0.1", text)
        text = text.replace("/locustfile.py", "loadtest/locustfile.py").replace(
            "/runs", str(self._folder / "runs")
        )
        return re.sub(r"\b\d{4}\b", lambda match: self._ports.get(match[0], match[0]), text)


@pytest.fixture
def topology(tmp_path: Path) -> Iterator[Topology]:
    program("prometheus")
    with postgres_server() as server:
        started = Topology(tmp_path, server.create_database("orders"))
        try:
            yield started
        finally:
            started.close()


def orders_are_ready(topology: Topology) -> bool:
    return answers(topology.url("8080")) and ask(topology.url("8080"), "GET", "/readyz").status == 200


def knows(prometheus: str, metric: str) -> bool:
    return bool(ask(prometheus, "GET", f"/api/v1/query?query={metric}").json["data"]["result"])


@pytest.mark.slow
def test_the_whole_of_compose_runs_as_processes_and_prometheus_sees_it(topology: Topology) -> None:
    topology.start("orders")
    wait_until(lambda: orders_are_ready(topology))
    topology.start("master")
    web = topology.url("8089")
    wait_until(lambda: answers(web) and ask(web, "GET", "/peak/health").status == 200)
    topology.start("worker")
    prometheus = topology.prometheus()
    assert ask(web, "GET", "/peak/live").status == 401
    assert ask(topology.url("9646"), "GET", "/metrics").status == 401
    authorized = {"Authorization": "Basic YW55OndlYi1zZWNyZXQ="}  # any:web-secret
    wait_until(lambda: b'"worker_count": 1' in ask(web, "GET", "/", headers=authorized).body)
    form = {**authorized, "Content-Type": "application/x-www-form-urlencoded"}
    started = ask(web, "POST", "/swarm", "plan=smoke&peak_tps=20&duration=4s", form).json
    assert started["success"], started
    wait_until(lambda: ask(web, "GET", "/peak/live", headers=authorized).json["state"] == "done", 30)
    assert ask(web, "GET", "/peak/live", headers=authorized).json["failures"] == 0
    wait_until(lambda: ask(web, "GET", "/peak/live", headers=authorized).json["finished"], 30)
    assert "balanced" in ask(web, "GET", "/peak/live", headers=authorized).json["audit"]
    wait_until(lambda: knows(prometheus, "loadtest_transactions_total"))
    wait_until(lambda: knows(prometheus, "orders_created_total"))


@pytest.mark.slow
def test_the_ci_profile_ends_with_the_verdicts_exit_code(topology: Topology) -> None:
    topology.start("orders")
    wait_until(lambda: orders_are_ready(topology))
    # Whether this machine keeps the schedule is not the question: 0 is PASS, 10 FAIL, 11 INVALID.
    assert topology.start("ci").wait(60) in {0, 10, 11}
