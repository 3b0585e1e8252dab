"""A real Prometheus in a folder of its own, for tests."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.ports import free_port
from tests.required import program
from tests.system.locust_fleet import answers, wait_until
from tests.target_service.service_process import ask

SCRAPE_S = 1


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
    address = f"127.0.0.1:{port or free_port()}"
    command = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={address}", "--log.level=warn", *flags]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(f"http://{address}"))
        wait_until(lambda: ask(f"http://{address}", "GET", "/-/ready").status == 200)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)
