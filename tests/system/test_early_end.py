"""Processes that get no further than their imports: one sentence, exit code 2 or 130, and nobody is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from loadtest.cli import entry
from loadtest.exit_codes import INTERRUPTED, ExitCode
from tests.system.locust_fleet import wait_until

SCRIPT = """
import time
from locust import events, task
from loadtest import FastHttpUser, open_loop
{top}
class Shopper(FastHttpUser):
    wait_time = open_loop()
    {body}

    @task({weight})
    def look(self):
        self.client.get("/look")
"""
PLAN = """
peak_tps = 10
duration = "2s"
[profile]
curve = "constant"
[[scenario]]
user = "script:Shopper"
"""
LOCUST = [sys.executable, "-m", "locust", "-f", "script.py", "--headless", "--plan", "plan.toml"]


def write(folder: Path, *, top: str = "", body: str = "", weight: str = "1") -> None:
    text = SCRIPT.replace("{top}", top).replace("{body}", body).replace("{weight}", weight)
    (folder / "script.py").write_text(text)
    (folder / "plan.toml").write_text(PLAN)


def ended(folder: Path, *flags: str) -> tuple[int, str]:
    done = subprocess.run(
        [*LOCUST, *flags], cwd=folder, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stderr


WRONG = {
    "a package that is not there": (
        {"top": "import no_such_package"},
        r"ModuleNotFoundError: No module named 'no_such_package' (script.py:5 in <module>)",
    ),
    "a file of data that is not there": (
        {"top": "open('users.csv')"},
        "No such file or directory: 'users.csv'",
    ),
    "a class of no weight": ({"body": "weight = 0"}, "There are no users with weight > 0"),
    "a weight that is none": ({"weight": "'many'"}, "(script.py:6 in <module>)"),
}


@pytest.mark.slow(stays=["a package that is not there", "a class of no weight"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_script_that_locust_cannot_use_ends_with_a_sentence(wrong: str, tmp_path: Path) -> None:
    parts, sentence = WRONG[wrong]
    write(tmp_path, **parts)
    code, said = ended(tmp_path, "-H", "http://127.0.0.1:1")
    assert code == ExitCode.USAGE, said
    assert sentence in said
    assert "Traceback" not in said


def test_a_host_that_a_script_sets_on_init_is_the_one_that_is_checked(tmp_path: Path) -> None:
    listener = "@events.init.add_listener\ndef _(environment, **_): environment.host = 'http://127.0.0.1:1'\n"
    write(tmp_path, top=listener)
    code, said = ended(tmp_path)
    assert (code, ": http://127.0.0.1:1: nothing answers there" in said) == (ExitCode.USAGE, True), said


def test_ctrl_c_while_a_script_is_imported_shows_no_traceback(tmp_path: Path) -> None:
    # At work, not asleep: what a signal does in the moment in which gevent falls asleep is gevent's affair.
    write(tmp_path, top="open('importing', 'w').close(); [None for _ in iter(time.monotonic, 0)]")
    with subprocess.Popen(LOCUST, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until((tmp_path / "importing").exists)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode == INTERRUPTED
    assert said.endswith("stopped by Ctrl-C before anything began\n"), said
    assert "Traceback" not in said


def test_ctrl_c_before_a_command_begins_shows_none_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("loadtest.cli.main.main", interrupted)
    with pytest.raises(SystemExit) as exit_:
        entry.main()
    assert exit_.value.code == INTERRUPTED
    assert capsys.readouterr().err == "stopped by Ctrl-C before anything began\n"


@pytest.mark.slow(held_by="test_killed_run_leaves_no_process_behind")
def test_a_refused_run_leaves_no_worker_behind(tmp_path: Path) -> None:
    write(tmp_path)
    code, said = ended(tmp_path, "--processes", "2", "-H", "http://127.0.0.1:1")
    assert code == ExitCode.USAGE, said
    assert not running_in(tmp_path)


def running_in(folder: Path) -> list[int]:
    """The processes that work in a folder."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd") == str(folder):
                found.append(pid)
    return found
