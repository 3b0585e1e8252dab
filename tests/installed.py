"""The package as a user gets it: run by the Python it is installed in, in a folder without a checkout.

`.ci/packages` calls it for the wheel and for the sdist, each in an environment that holds nothing else. So it needs
no pytest, and it imports nothing of this folder's.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

SINGLESDAY = str(Path(sys.executable).with_name("singlesday"))


def check(truth: object, what: str) -> None:
    """Say what holds, or end with what does not."""
    if not truth:
        sys.exit(f"not so: {what}")
    sys.stdout.write(f"ok: {what}\n")


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.1)
    check(condition(), what)


def page(url: str) -> str:
    """What a URL answers with, empty while nothing does."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own
        return str(answer.read(), "utf-8")
    return ""


def the_package_is_whole() -> None:
    import loadtest  # noqa: PLC0415

    folder = Path(loadtest.__file__).parent
    check("site-packages" in folder.parts, f"the package is an installed one, in {folder}")
    check((folder / "py.typed").exists(), "its types are there")
    check(list(folder.glob("plan/plans/*.toml")), "the shipped plans are there")
    check(list(folder.glob("_shipped/dashboards/json/*.json")), "Grafana's dashboards are there")
    check(list(folder.glob("_shipped/dashboards/prometheus/*.yml")), "the rules for Prometheus are there")


def a_run_leaves_a_report() -> None:
    command = [SINGLESDAY, "run", "smoke", "--peak-tps", "20", "--duration", "3s", "--out", "runs"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    # Whether this machine keeps the schedule is not the question: 0 is PASS, 10 FAIL, 11 INVALID.
    check(
        ended.returncode in {0, 10, 11},
        f"a run ends with a verdict: {ended.returncode} {ended.stderr[-2000:]}",
    )
    (folder,) = Path("runs").iterdir()
    audit = json.loads((folder / "result.json").read_text())["audit"]
    check(audit["stored"] == audit["acknowledged"] > 0 == audit["lost"], f"its books balance: {audit}")
    check("</html>" in (folder / "report.html").read_text(), "it leaves a report")
    shutil.rmtree("runs")


def watch_says_where_to_look_and_ends() -> None:
    web = free_port()
    command = [SINGLESDAY, "watch", "--out", "watched", "--web-port", web, "--prometheus-port", free_port()]
    with Path("watch.log").open("w") as log:
        watching = subprocess.Popen(command, stdout=log, stderr=log)
    said = Path("watch.log").read_text
    try:
        wait_until(lambda: page(f"http://127.0.0.1:{web}/peak"), 60, "`singlesday watch` serves its page")
        if shutil.which("prometheus"):
            wait_until(lambda: "Prometheus" in said(), 30, "it names Prometheus")
        watching.send_signal(signal.SIGINT)
        check(watching.wait(60) == 0, "it ends on Ctrl-C")
    finally:
        watching.kill()
        shutil.rmtree("watched", ignore_errors=True)


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    the_package_is_whole()
    a_run_leaves_a_report()
    watch_says_where_to_look_and_ends()
