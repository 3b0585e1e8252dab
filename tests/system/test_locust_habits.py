"""What people are used to from Locust, with a script of their own, in real processes: it works, or is refused."""

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadtest.measure.run_result import RunResult
from tests.ports import free_port
from tests.system.locust_fleet import answers, wait_until
from tests.system.locust_process import Target, target
from tests.timing import Others, Timing, unless_ended

SCRIPT = """
import sys
import gevent
from locust import LoadTestShape, events, tag, task
from locust.runners import WorkerRunner
from loadtest import FastHttpUser, open_loop
{top}

class Shopper(FastHttpUser):
    wait_time = open_loop()

    @task
    @tag("look")
    def look(self):
        self.client.get("/look{path}")
"""
PLAN = """
peak_tps = 10
duration = "2s"
virtual_users = 4
[profile]
curve = "constant"
[[scenario]]
user = "{module}:Shopper"
"""
LOCUST = [sys.executable, "-m", "locust"]
SINGLESDAY = [sys.executable, "-m", "loadtest.cli.main"]
SAYS_WHAT_IT_HEARS = """
@events.init.add_listener
def init(environment, **_):
    sys.stderr.write(f"init in {type(environment.runner).__name__}\\n")

@events.test_start.add_listener
def test_start(environment, **_):
    sys.stderr.write(f"test_start in {type(environment.runner).__name__}\\n")

@events.init_command_line_parser.add_listener
def arguments(parser):
    sys.stderr.write("arguments\\n")
    parser.add_argument("--basket-size", type=int, default=3)
"""


@dataclass
class Ended:
    """A process that is over."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def results(self) -> list[dict[str, Any]]:
        """What the runs came to, in the order they ended."""
        return [json.loads(path.read_bytes()) for path in sorted(self.folder.glob("runs/*/result.json"))]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Target]:
    write(tmp_path)
    with target() as running:
        yield running


def write(folder: Path, top: str = "", path: str = "", module: str = "script") -> None:
    """A script and a plan that names its class."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(SCRIPT.replace("{top}", top).replace("{path}", path))
    (folder / "plan.toml").write_text(PLAN.replace("{module}", module))


def ended(folder: Path, *command: str, **environment: str) -> Ended:
    others = Others()
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
    )
    for path in folder.glob("runs/*/result.json"):
        unless_ended(RunResult.read(path), others)  # the last worker was taken for lost
    return Ended(done.returncode, done.stdout, done.stderr, folder)


def headless(folder: Path, shop: Target, *flags: str, **environment: str) -> Ended:
    plan = () if "LOCUST_PLAN" in environment or "--config" in flags else ("--plan", "plan.toml")
    return ended(
        folder, *LOCUST, "-f", "script.py", "--headless", *plan, "-H", shop.url, *flags, **environment
    )


@contextlib.contextmanager
def web_ui(folder: Path, *flags: str) -> Iterator[str]:
    """Locust's web UI; its address."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [*LOCUST, *flags, "--web-port", str(port)]
    with (folder / "web.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(url) or process.poll() is not None, 40)
        yield url
    finally:
        process.kill()
        process.wait()


def swarm(url: str, form: Mapping[str, str]) -> dict[str, Any]:
    data = urllib.parse.urlencode({"user_count": "1", "spawn_rate": "1", **form}).encode()
    with urllib.request.urlopen(f"{url}/swarm", data, timeout=90) as answer:  # noqa: S310  # our own, on loopback
        answered: dict[str, Any] = json.load(answer)
        return answered


def result_in(folder: Path) -> dict[str, Any]:
    """The result of the run that is going on, once it has ended."""
    wait_until(lambda: list(folder.glob("runs/*/result.json")))
    (path,) = folder.glob("runs/*/result.json")
    result: dict[str, Any] = {}
    wait_until(lambda: result.update(json.loads(path.read_bytes())) or result.get("verdict"))
    return result


BAD = {
    "singlesday run": [*SINGLESDAY, "run", "plan.toml", "--target", "{url}"],
    "headless": [*LOCUST, "-f", "script.py", "--headless", "--plan", "plan.toml", "-H", "{url}"],
    "autostart": [*LOCUST, "-f", "script.py", "--autostart", "--plan", "plan.toml", "-H", "{url}"],
    "processes": [
        *LOCUST,
        "-f",
        "script.py",
        "--headless",
        "--processes",
        "2",
        "--plan",
        "plan.toml",
        "-H",
        "{url}",
    ],
}


@pytest.mark.slow(stays=["singlesday run"])
@pytest.mark.parametrize("door", BAD)
def test_a_class_that_is_not_there_ends_every_process_with_a_sentence(
    door: str, shop: Target, tmp_path: Path
) -> None:
    (tmp_path / "plan.toml").write_text(PLAN.replace("{module}:Shopper", "script:Shoper"))
    ports = ["--web-port", str(free_port())] if door == "autostart" else []
    command = [part.replace("{url}", shop.url) for part in BAD[door]]
    if door == "processes":
        ports = ["--master-bind-port", str(port := free_port()), "--master-port", str(port)]
    done = ended(tmp_path, *command, *ports)
    assert done.code == 2, done.err
    assert "plan.toml: scenario[0].user" in done.err
    assert "(did you mean Shopper?)" in done.err
    assert "Traceback" not in done.err + done.out
    assert shop.seen().received == 0


@pytest.mark.slow(held_by="test_a_class_that_is_not_there_ends_every_process_with_a_sentence")
def test_the_form_says_it_too(shop: Target, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN.replace("{module}:Shopper", "script:Shoper"))
    with web_ui(tmp_path, "-f", "script.py", "-H", shop.url) as url:
        told = swarm(url, {"plan": "plan.toml", "host": shop.url})
        assert told["success"] is False
        assert (told["field"], told["nearest"]) == ("plan", "Shopper")
        assert swarm(url, {"plan": "", "host": shop.url})["message"].startswith("--plan: expected")
    assert shop.seen().received == 0


OBJECTIVE = "p99(GET /look) < 5s"
STEPS = "class Steps(LoadTestShape):\n    def tick(self):\n        return None\n"


@pytest.fixture(scope="module")
def habitual(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A headless run with much that people are used to: Locust's file, flags, a shape, JSON on standard output."""
    folder = tmp_path_factory.mktemp("habitual")
    write(folder, STEPS)
    (folder / "my.ini").write_text(f"plan = plan.toml\nslo = [{OBJECTIVE}]\n")
    flags = ["-u", "200", "-r", "20", "-t", "1s", "-s", "1", "--json", "--console", "lines"]
    with target() as shop:
        return headless(folder, shop, "--config", "my.ini", *flags)


def assert_taken_from(where: str, done: Ended) -> None:
    (result,) = done.results
    assert result["run"]["plan"] == "plan"
    assert OBJECTIVE in [slo["expr"] for slo in result["slo"]]
    sources = result["run"]["configuration"]["sources"]
    assert (sources["plan"]["kind"], sources["objectives"]["kind"]) == (where, where)


def test_our_options_are_taken_from_locusts_file(habitual: Ended) -> None:
    assert_taken_from("file", habitual)


@pytest.mark.slow(held_by="test_our_options_are_taken_from_locusts_file")
def test_our_options_are_taken_from_the_environment(shop: Target, tmp_path: Path) -> None:
    assert_taken_from("environment", headless(tmp_path, shop, LOCUST_PLAN="plan.toml", LOCUST_SLO=OBJECTIVE))


def test_flags_and_shapes_that_do_not_count_are_named_once(habitual: Ended) -> None:
    assert habitual.err.count("ignored are -u, -r, -t, -s and the script's Steps") == 1
    assert habitual.results[-1]["arrivals"]["planned"] == 20


def test_standard_output_is_json_alone_where_json_was_asked_for(habitual: Ended) -> None:
    assert_json_alone(habitual)


@pytest.mark.slow(held_by="test_standard_output_is_json_alone_where_json_was_asked_for")
def test_it_is_json_alone_with_locusts_own_console_too(shop: Target, tmp_path: Path) -> None:
    assert_json_alone(headless(tmp_path, shop, "--skip-log", "--json", "--console", "locust"))


def assert_json_alone(done: Ended) -> None:
    assert json.loads(done.out)[0]["name"] == "/look"
    assert re.search("PASS|INVALID|DEGRADED|FAIL", done.err)


@pytest.mark.slow(held_by="test_what_a_script_ends_is_said_to_be_ended_by_it")
def test_a_scripts_own_exit_code_stays_where_the_verdict_is_a_pass(shop: Target, tmp_path: Path) -> None:
    write(
        tmp_path,
        "@events.quitting.add_listener\ndef gate(environment, **_):\n    environment.process_exit_code = 3\n",
    )
    done = headless(tmp_path, shop)
    assert done.code == (done.results[-1]["exit_code"] or 3)
    done = headless(tmp_path, shop, "--slo", "p99(GET /look) < 1us")
    assert done.code in {10, 11}
    done = ended(tmp_path, *(part.replace("{url}", shop.url) for part in BAD["singlesday run"]))
    assert done.code == (done.results[-1]["exit_code"] or 3)


@pytest.mark.slow(stays=["init", "request"])
@pytest.mark.parametrize("event", ["init", "test_start", "request", "test_stop", "quitting"])
def test_a_listener_that_raises_never_leaves_a_green_run(event: str, shop: Target, tmp_path: Path) -> None:
    write(
        tmp_path,
        f"@events.{event}.add_listener\ndef broken(**_):\n    raise KeyError('a listener of the script')\n",
    )
    done = headless(tmp_path, shop)
    assert done.code != 0
    assert "a listener of the script" in done.err
    if event == "init":
        assert (done.code, done.results) == (2, [])
        said = "error: a listener of the script raised on init; its traceback is in the log"
        assert done.err.rstrip().endswith(said)
        run = ended(tmp_path, *(part.replace("{url}", shop.url) for part in BAD["singlesday run"]))
        assert (run.code, run.results) == (2, [])
        assert run.err.count("error: ") == run.err.count(said), "the one sentence and no other"
    if event == "test_start":
        assert (done.code, done.results[-1]["arrivals"]["started"]) == (12, 0)
    if event == "request":
        assert done.results[-1]["arrivals"]["ok"] == 0


def test_a_listener_that_raises_in_workers_alone_is_told_of_in_the_console(
    shop: Target, tmp_path: Path
) -> None:
    top = (
        "@events.init.add_listener\ndef broken(environment, **_):\n"
        "    if isinstance(environment.runner, WorkerRunner):\n        raise KeyError('mine')\n"
    )
    write(tmp_path, top)
    run = ended(tmp_path, *(part.replace("{url}", shop.url) for part in BAD["singlesday run"]))
    assert run.code == 12
    assert "its workers left" in run.out
    said = (
        "worker-1: exit code 2: error: a listener of the script raised on init; its traceback is in the log"
    )
    assert said in run.out


def test_a_scripts_own_argument_may_be_called_as_one_of_ours(shop: Target, tmp_path: Path) -> None:
    top = (
        "@events.init_command_line_parser.add_listener\ndef arguments(parser):\n"
        "    parser.add_argument('--duration', type=int, default=7)\n"
        "@events.test_start.add_listener\ndef told(environment, **_):\n"
        "    assert environment.parsed_options.duration == 7\n"
    )
    write(tmp_path, top)
    run = ended(
        tmp_path, *(part.replace("{url}", shop.url) for part in BAD["singlesday run"]), "--duration", "1s"
    )
    assert run.results[-1]["arrivals"]["ok"] == 10
    done = headless(tmp_path, shop)
    assert done.code == 2
    assert "Traceback" not in done.err
    assert done.err.rstrip().endswith(
        "error: --duration: the script adds what is an option already; give its arguments other names"
    )


def test_what_a_script_ends_is_said_to_be_ended_by_it(shop: Target, tmp_path: Path) -> None:
    write(
        tmp_path,
        "@events.test_start.add_listener\ndef soon(environment, **_):\n"
        "    gevent.spawn_later(1.5, enough, environment)\n"
        "def enough(environment):\n    environment.runner.quit()\n",
    )
    (tmp_path / "plan.toml").write_text(PLAN.replace("{module}", "script").replace('"2s"', '"40s"'))
    done = headless(tmp_path, shop)
    assert done.code == 12, done.err
    assert done.results[-1]["run"]["duration_s"] < 30
    assert "the script stopped it (script.py:" in done.results[-1]["validity"]["reasons"][0]
    assert list(tmp_path.glob("runs/*/report.html"))


def test_a_script_is_found_by_its_path_beside_its_plan_and_hears_what_it_would_under_plain_locust(
    shop: Target, tmp_path: Path, timing: Timing
) -> None:
    write(tmp_path / "tests" / "load", SAYS_WHAT_IT_HEARS, module="load-test")
    done = ended(tmp_path, *SINGLESDAY, "run", "tests/load/plan.toml", "--target", shop.url)
    assert_all_was_heard(done, timing)


@pytest.mark.slow(
    held_by="test_a_script_is_found_by_its_path_beside_its_plan_and_hears_what_it_would_under_plain_locust"
)
def test_a_scripts_listeners_hear_it_in_each_of_locusts_processes(
    shop: Target, tmp_path: Path, timing: Timing
) -> None:
    write(tmp_path, SAYS_WHAT_IT_HEARS)
    command = [part.replace("{url}", shop.url) for part in BAD["processes"]]
    ports = ["--master-bind-port", str(port := free_port()), "--master-port", str(port)]
    assert_all_was_heard(ended(tmp_path, *command, *ports), timing)


def assert_all_was_heard(done: Ended, timing: Timing) -> None:
    logs = "".join(path.read_text() for path in done.folder.glob("runs/*/*.log"))
    said = (done.err + logs).splitlines()
    for event in ("init", "test_start"):
        assert f"{event} in MasterRunner" in said
        assert f"{event} in WorkerRunner" in said
    assert "arguments" in said
    assert done.results[-1]["arrivals"]["planned"] == 20, done.err
    with timing:  # a late generator drops some
        assert done.results[-1]["arrivals"]["started"] == 20, done.err


@pytest.mark.slow(
    held_by="test_a_script_is_found_by_its_path_beside_its_plan_and_hears_what_it_would_under_plain_locust"
)
def test_a_script_is_found_by_its_name_beside_its_plan(shop: Target, tmp_path: Path, timing: Timing) -> None:
    write(tmp_path / "tests" / "load")
    done = ended(tmp_path, *SINGLESDAY, "run", "tests/load/plan.toml", "--target", shop.url, "--quiet")
    assert done.results[-1]["arrivals"]["planned"] == 20, done.err
    with timing:  # a late generator drops some
        assert done.results[-1]["arrivals"]["started"] == 20, done.err


@pytest.mark.slow(held_by="test_the_class_picker_plays_the_plan")
def test_each_class_keeps_its_own_host_until_one_is_given_for_all(tmp_path: Path, timing: Timing) -> None:
    with target() as one, target() as other:
        for module, host in (("one", one.url), ("other", other.url)):
            write(tmp_path, module=module)
            script = (tmp_path / f"{module}.py").read_text().replace("Shopper", module.title())
            (tmp_path / f"{module}.py").write_text(
                script.replace("wait_time =", f"host = {host!r}\n    wait_time =")
            )
        plan = PLAN.replace("{module}:Shopper", "one:One") + '[[scenario]]\nuser = "other:Other"\n'
        (tmp_path / "plan.toml").write_text(plan)
        flags = ("-f", "one.py", "--headless", "--plan", "plan.toml")
        assert ended(tmp_path, *LOCUST, *flags).results
        given = ended(tmp_path, *LOCUST, *flags, "-H", one.url)
        assert f"--host {one.url} counts for every class: other:Other has {other.url}" in given.err
        received = one.seen().received, other.seen().received
        assert all(received)
        with timing:  # a late generator drops some
            assert received == (60, 20)


def test_the_class_picker_plays_the_plan(shop: Target, tmp_path: Path, timing: Timing) -> None:
    (tmp_path / "script.py").write_text(
        (tmp_path / "script.py").read_text() + "\nclass Returner(Shopper):\n    pass\n"
    )
    form = {"plan": "plan.toml", "host": shop.url, "shape_class": "Default"}
    with web_ui(tmp_path, "-f", "script.py", "--class-picker", "--plan", "plan.toml", "-H", shop.url) as url:
        assert "Shopper is not picked" in swarm(url, form | {"user_classes": "Returner"})["message"]
        assert "shape_class: expected Default" in swarm(url, form | {"shape_class": "Mine"})["message"]
        assert swarm(url, form | {"user_classes": "Shopper"})["success"] is True
        arrivals = result_in(tmp_path)["arrivals"]
    assert arrivals["planned"] == 20
    assert shop.seen().received == arrivals["started"]
    with timing:  # a late generator drops some
        assert arrivals["started"] == 20


def test_a_scripts_own_argument_is_a_field_of_the_form(shop: Target, tmp_path: Path) -> None:
    write(tmp_path, SAYS_WHAT_IT_HEARS, path='?size=" + str(self.environment.parsed_options.basket_size) + "')
    form = {"plan": "plan.toml", "host": shop.url, "basket_size": "7"}
    with web_ui(tmp_path, "-f", "script.py", "--plan", "plan.toml", "-H", shop.url) as url:
        wrong = swarm(url, form | {"basket_size": "many"})
        assert wrong["message"] == "basket_size: expected a whole number, got 'many'"
        assert swarm(url, form)["success"] is True
        assert list(result_in(tmp_path)["endpoints"]) == ["GET /look?size=7"]
