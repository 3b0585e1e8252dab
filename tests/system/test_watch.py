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
from loadtest.exit_codes import ExitCode
from tests.ports import free_port
from tests.required import program
from tests.system.locust_fleet import answers, wait_until
from tests.system.run_process import kill_tree
from tests.target_service.service_process import ROOT, ask


def test_prometheus_is_told_to_scrape_both_every_second() -> None:
    config = json.loads(prometheus_config("127.0.0.1:1", "127.0.0.1:2"))
    assert config["global"]["scrape_interval"] == "1s"
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert targets == {"loadtest": ["127.0.0.1:1"], "orders": ["127.0.0.1:2"]}
    assert [Path(path).name for path in config["rule_files"]] == ["alerts.yml", "recording.yml"]


class Watching:
    """`singlesday watch` with one worker in a process; ends it, and what is left of it, at the end."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "said.txt"
        command = [sys.executable, "-m", "loadtest.cli.main", "watch", "--out", str(folder), "--workers", "1"]
        command += ["--web-port", str(free_port()), "--prometheus-port", str(free_port())]
        with self.log.open("wb") as said:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)

    def __enter__(self) -> "Watching":
        try:
            wait_until(lambda: "Ctrl-C" in self.said or self.process.poll() is not None)
            assert "Ctrl-C" in self.said, self.said
            self.children = psutil.Process(self.process.pid).children(recursive=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        kill_tree(self.process)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def child(self, *words: str) -> psutil.Process:
        """The part that has all these words in its command line."""
        return next(child for child in self.children if set(words) <= set(child.cmdline()))

    def left(self) -> list[psutil.Process]:
        """The parts that still run."""
        running = [child for child in self.children if child.is_running()]
        return [child for child in running if child.status() != psutil.STATUS_ZOMBIE]


def test_every_address_that_is_named_answers_and_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    with Watching(tmp_path) as watching:
        addresses = re.findall(r"^  (.+?)  +(http://\S+)$", watching.said, re.MULTILINE)
        assert {"start a run", "watch it", "order service", "its metrics", "the run's metrics"} <= dict(
            addresses
        ).keys()
        for name, url in addresses:
            wait_until(lambda url=url: answers(url))  # type: ignore[misc]  # a lambda with a default
            if name == "watch it":
                assert ask(url.removesuffix("/peak"), "GET", "/peak/live").json["state"] == "idle"
        assert "Prometheus" in dict(addresses) or shutil.which("prometheus") is None
        assert len(watching.children) >= 4
        watching.process.send_signal(signal.SIGINT)
        assert watching.process.wait(90) == 0
        wait_until(lambda: not watching.left(), 60)


PARTS = {
    "order service": ["target_service"],
    "web-ui": ["--master"],
    "worker-1": ["--worker"],
    "Prometheus": ["--enable-feature=exemplar-storage"],
}


@pytest.mark.slow(stays=["worker-1"])
@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_dies_is_named_and_the_others_are_ended(tmp_path: Path, name: str) -> None:
    if name == "Prometheus":
        program("prometheus")
    with Watching(tmp_path) as watching:
        watching.child(*PARTS[name]).kill()
        assert watching.process.wait(120) == ExitCode.INTERNAL_ERROR, watching.said
        assert f"error: {name} ended by itself (signal SIGKILL)" in watching.said
        wait_until(lambda: not watching.left(), 60)


@pytest.mark.slow(held_by="test_a_part_that_dies_is_named_and_the_others_are_ended")
def test_the_last_lines_of_a_part_that_cannot_start_are_its_own(tmp_path: Path) -> None:
    program("prometheus")
    folder = tmp_path / "watch"
    folder.mkdir()
    (folder / "prometheus.log").write_text("words of another day\n")
    (folder / "prometheus").write_text("a file where its data should be\n")
    with Watching(tmp_path) as watching:
        assert watching.process.wait(120) == ExitCode.INTERNAL_ERROR, watching.said
    assert "error: Prometheus ended by itself (exit code " in watching.said
    assert "not a directory" in watching.said
    assert "another day" not in watching.said


@pytest.mark.slow(held_by="test_a_part_that_dies_is_named_and_the_others_are_ended")
def test_a_service_that_cannot_start_is_said_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "watch" / "orders.db").mkdir(parents=True)
    command = [sys.executable, "-m", "loadtest.cli.main", "watch", "--out", str(tmp_path)]
    command += ["--web-port", str(free_port()), "--prometheus-port", str(free_port())]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == ExitCode.INTERNAL_ERROR
    assert "error: the order service did not start:" in ended.stderr
    assert "orders.db" in ended.stderr
    assert "Traceback" not in ended.stderr
