"""A real Prometheus in a folder of its own, for tests."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import pytest

from tests.ports import free_port
from tests.required import program
from tests.system.locust_fleet import answers, wait_until
from tests.target_service.service_process import ask

SCRAPE_S = 1
MOST_STARTS = 5
"""Another program may take a port that was free, before Prometheus does."""
PATIENCE_S = 100.0


@contextlib.contextmanager
def prometheus(folder: Path, targets: Mapping[str, str], *flags: str, port: int = 0) -> Iterator[str]:
    """Its URL while it scrapes `targets` (job -> host:port) every second, with our recording and alert rules.

    It answers at `port`, if one is given.
    """
    rules = Path("dashboards/prometheus").resolve()
    jobs = "".join(
        f"  - job_name: {job}\n    static_configs: [{{targets: ['{target}']}}]\n"
        for job, target in targets.items()
    )
    config = folder / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: {SCRAPE_S}s, evaluation_interval: 1s}}\n"
        f"rule_files: ['{rules}/recording.yml', '{rules}/alerts.yml']\n"
        f"scrape_configs:\n{jobs}"
    )
    command = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    command += ["--log.level=warn", *flags]
    for _ in range(1 if port else MOST_STARTS):
        address = f"127.0.0.1:{port or free_port()}"
        with (
            (folder / "prometheus.log").open("ab") as log,
            _ended_at_last([*command, f"--web.listen-address={address}"], log) as process,
        ):
            wait_until(lambda: process.poll() is not None or _is_ready(address, config), PATIENCE_S)  # noqa: B023
            if process.poll() is None:
                yield f"http://{address}"
                return
    pytest.fail((folder / "prometheus.log").read_text())


@contextlib.contextmanager
def _ended_at_last(command: list[str], log: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
        process.terminate()
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()


def _is_ready(address: str, config: Path) -> bool:
    """Whether ours is: another's may have been first at the port."""
    url = f"http://{address}"
    if not answers(url) or ask(url, "GET", "/-/ready").status != 200:
        return False
    flags: dict[str, str] = ask(url, "GET", "/api/v1/status/flags").json["data"]
    return flags["config.file"] == str(config)
