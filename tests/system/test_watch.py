"""`singlesday watch`: what it starts answers, and Ctrl-C leaves nothing behind."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from loadtest.cli.watch import prometheus_config
from tests.system.locust_fleet import answers, free_port, wait_until
from tests.target_service.service_process import ROOT, ask


def test_prometheus_is_told_to_scrape_both_every_second() -> None:
    config = json.loads(prometheus_config("127.0.0.1:1", "127.0.0.1:2"))
    assert config["global"]["scrape_interval"] == "1s"
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert targets == {"loadtest": ["127.0.0.1:1"], "orders": ["127.0.0.1:2"]}
    assert [Path(path).name for path in config["rule_files"]] == ["alerts.yml", "recording.yml"]


@pytest.mark.slow
def test_every_address_that_is_named_answers_and_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    log = tmp_path / "said.txt"
    command = [sys.executable, "-m", "loadtest.cli.main", "watch", "--out", str(tmp_path), "--workers", "1"]
    command += ["--web-port", str(free_port()), "--prometheus-port", str(free_port())]
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
    try:
        wait_until(lambda: "Ctrl-C" in log.read_text())
        addresses = re.findall(r"^  (.+?)  +(http://\S+)$", log.read_text(), re.MULTILINE)
        assert {"start a run", "watch it", "order service", "its metrics", "the run's metrics"} <= dict(
            addresses
        ).keys()
        for name, url in addresses:
            wait_until(lambda url=url: answers(url))  # type: ignore[misc]  # a lambda with a default
            if name == "dashboards":
                dashboard = ask(url, "GET", "/singlesday-order-service")
                assert "<svg" in dashboard.body.decode()
            if name == "watch it":
                assert ask(url.removesuffix("/peak"), "GET", "/peak/live").json["state"] == "idle"
        assert "dashboards" in dict(addresses) or shutil.which("prometheus") is None
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 4
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert not [
            child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE
        ]
    finally:
        process.kill()
        process.wait()
