"""Every mistake at every door: exit code 2 or the form's sentence, no traceback, and nothing sent to the target."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loadtest.exit_codes import ExitCode
from tests.configuration.doors import DOORS, PLAN, SCRIPT, Asked, Sink, write_run

TWO_SCENARIOS = PLAN + '[[scenario]]\nuser = "{second}"\n'
LOCUSTS = frozenset({"locust --headless", "locust --autostart", "locust --master", "the web form"})
WITH_A_PLAN = LOCUSTS | {"singlesday run"}
WITH_A_TARGET = WITH_A_PLAN | {"singlesday capacity"}
RESUMED = WITH_A_PLAN | {"singlesday resume"}
"""Where a script may have become wrong since its run was begun."""
WATCH = frozenset({"singlesday watch"})


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong with a run that is otherwise right."""

    said: str
    """What the refusal has to say."""
    plan: str = PLAN
    script: str = SCRIPT
    options: dict[str, str] = field(default_factory=dict)
    doors: frozenset[str] = WITH_A_PLAN


def script(old: str, new: str) -> str:
    assert old in SCRIPT
    return SCRIPT.replace(old, new)


def plan(old: str, new: str) -> str:
    assert old in PLAN
    return PLAN.replace(old, new)


MISTAKES: dict[str, Mistake] = {
    "no plan of that name": Mistake("did you mean smoke", options={"plan": "smoek"}),
    "no such plan file": Mistake("nosuch.toml", options={"plan": "nosuch.toml"}),
    "a plan that is no TOML": Mistake("expected TOML", plan="peak_tps = = 5"),
    "a key that no plan has": Mistake("did you mean peak_tps", plan="peak_tsp = 5\n" + PLAN),
    "a plan without a profile": Mistake("curve", plan=plan('curve = "constant"', "")),
    "a curve that is not there": Mistake("constatn", plan=plan("constant", "constatn")),
    "a class that is not there": Mistake(
        "did you mean Shopper", plan=plan("Shopper", "Shoper"), doors=RESUMED
    ),
    "a module that is not there": Mistake(
        "no shopp", plan=plan("{module}", "shopp_that_is_nowhere"), doors=RESUMED
    ),
    "a module that raises": Mistake(
        "RuntimeError: no data", script="raise RuntimeError('no data')", doors=RESUMED
    ),
    "a module that ends the process": Mistake("SystemExit", script="raise SystemExit(3)", doors=RESUMED),
    "a module that is no Python": Mistake("SyntaxError", script="class Shopper(:", doors=RESUMED),
    "a module that misses a package": Mistake(
        "no_such_package", script="import no_such_package", doors=RESUMED
    ),
    "a class that is no user": Mistake(
        "expected a Locust user class", script="class Shopper: pass", doors=RESUMED
    ),
    "a class that is abstract": Mistake(
        "is abstract", script=script("    wait_time", "    abstract = True\n    wait_time"), doors=RESUMED
    ),
    "a class without tasks": Mistake("@task", script=script("    @task\n", ""), doors=RESUMED),
    "two classes of one name": Mistake(
        "a class name that no other scenario has", plan=TWO_SCENARIOS.replace("{second}", "other:Shopper")
    ),
    "one class twice": Mistake(
        "a class name that no other scenario has", plan=TWO_SCENARIOS.replace("{second}", "{module}:Shopper")
    ),
    "an objective of the plan": Mistake("p99", plan=PLAN + '[[slo]]\nexpr = "p99(GET /ok) <"\n'),
    "an objective in a phase that is not there": Mistake(
        "spike", options={"slo": "p99(GET /ok) during spike < 1s"}, doors=WITH_A_TARGET
    ),
    "an objective in a phase after what is played": Mistake(
        "duration: expected more than 2s, where phase peak of `p99.* during peak.*time.scale",
        plan=PLAN.replace(
            'curve = "constant"', 'knots = [["0s", 1], ["3s", 1]]\nphases = [["2s", "3s", "peak"]]'
        )
        + '[[slo]]\nexpr = "p99(GET /ok) < 1s during peak"\n',
        options={"duration": "1s"},
        doors=WITH_A_TARGET - {"singlesday capacity"},
    ),
    "an objective asked for": Mistake("slo", options={"slo": "p99 of everything"}, doors=WITH_A_TARGET),
    "an abort condition": Mistake("abort", plan=PLAN + '[abort]\nunless = ["errors <"]\n'),
    "a feeder's file that is not there": Mistake(
        r"scenario\[0\].feeder: .*nowhere.csv: cannot be read",
        plan=PLAN + '[scenario.feeder]\ncsv = "nowhere.csv"\n',
        doors=RESUMED,
    ),
    "a feeder of two files": Mistake(
        r"scenario\[0\].feeder: expected one of csv",
        plan=PLAN + '[scenario.feeder]\ncsv = "a.csv"\njson_lines = "b"\n',
    ),
    "an address that is none": Mistake("expected an address", options={"host": "shop"}, doors=WITH_A_TARGET),
    "an address of another kind": Mistake(
        "expected an address", options={"host": "ftp://127.0.0.1"}, doors=WITH_A_TARGET
    ),
    "an address without a scheme for HTTP": Mistake(
        "expected an address", options={"host": "127.0.0.1:80"}, doors=WITH_A_TARGET
    ),
    "a port that is none": Mistake(
        "[Pp]ort", options={"host": "http://127.0.0.1:99999"}, doors=WITH_A_TARGET
    ),
    "nobody there": Mistake(
        "nothing answers there", options={"host": "http://127.0.0.1:1"}, doors=WITH_A_TARGET | RESUMED
    ),
    "a host that nobody allowed": Mistake(
        "not allowed", options={"host": "http://shop.invalid"}, doors=WITH_A_TARGET | RESUMED
    ),
    "a wildcard for hosts": Mistake("wildcard", options={"allow_host": "*"}),
    "a path for a host": Mistake("without the path", options={"allow_host": "http://shop.invalid/x"}),
    "a rate that its owner did not agree to": Mistake(
        "at most 2 requests", plan=PLAN + '[targets]\n"127.0.0.1" = 2\n'
    ),
    "a peak that is no number": Mistake("peak-tps: expected", options={"peak_tps": "lots"}),
    "a peak below zero": Mistake("peak-tps: expected", options={"peak_tps": "-1"}),
    "a peak without end": Mistake("peak-tps: expected", options={"peak_tps": "inf"}),
    "a duration that is none": Mistake("duration", options={"duration": "soon"}, doors=WITH_A_TARGET),
    "a duration without end": Mistake(
        "duration: expected a finite number of seconds", options={"duration": "9" * 400}, doors=WITH_A_TARGET
    ),
    "a pause without end between checkpoints": Mistake(
        "--checkpoint: expected a finite number of seconds",
        options={"checkpoint": "9" * 400},
        doors=frozenset({"singlesday run"}),
    ),
    "a first rate without end": Mistake(
        "--start-tps: expected a number above 0",
        options={"start_tps": "inf"},
        doors=frozenset({"singlesday capacity"}),
    ),
    "a duration of nothing": Mistake("duration: expected more than 0 s", options={"duration": "0s"}),
    "a time scale of nothing": Mistake("time-scale", options={"time_scale": "0"}),
    "a seed that is no whole number": Mistake("seed", options={"seed": "1.5"}),
    "a seed below zero": Mistake("seed: expected a whole number >= 0", options={"seed": "-1"}),
    "a share above one": Mistake("trace.fraction: expected a share", options={"trace_fraction": "2"}),
    "an --out that is a file": Mistake("--out", options={"out": __file__}, doors=WITH_A_TARGET | WATCH),
    "a page of metrics that is not there": Mistake(
        "service.metrics", options={"service_metrics": "http://127.0.0.1:1/metrics"}, doors=RESUMED
    ),
    "a receiver that is none": Mistake("remote-write", options={"remote_write": "shop"}),
    "a receiver in half a bracket": Mistake(
        "remote-write: expected", options={"remote_write": "http://[::1/api"}
    ),
    "a receiver at no port": Mistake(
        "remote-write: expected.*65535", options={"remote_write": "http://127.0.0.1:99999"}
    ),
    "a store that is none": Mistake("store", options={"audit_store": "mysql://x"}, doors=LOCUSTS),
    "a store in half a bracket": Mistake("store", options={"audit_store": "mysql://[x"}, doors=LOCUSTS),
    "tags that leave no task": Mistake("--tags buy", options={"tags": "buy"}, doors=LOCUSTS),
    "tags that take every task away": Mistake("look", options={"exclude_tags": "look"}, doors=LOCUSTS),
    "a port of the web UI that others have": Mistake(
        "--web-port [0-9]+: the port is in use", options={"web_port": "{taken}"}, doors=WATCH
    ),
    "a port of the web UI that is none": Mistake(
        "--web-port 99999: expected a port", options={"web_port": "99999"}, doors=WATCH
    ),
    "a resumption of nothing": Mistake("--resume", options={"resume": ""}, doors=LOCUSTS),
}
CASES = [(name, door) for name, mistake in MISTAKES.items() for door in DOORS if door in mistake.doors]


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.close()


def asked(mistake: Mistake, sink: Sink, folder: Path) -> Asked:
    path, _ = write_run(folder, mistake.plan, mistake.script)
    (folder / "other.py").write_text(SCRIPT, encoding="utf-8")
    options = {"host": sink.url, "out": str(folder / "runs"), **mistake.options}
    taken = sink.url.rpartition(":")[2]
    return Asked(path, {name: text.replace("{taken}", taken) for name, text in options.items()})


def test_there_are_enough_of_both() -> None:
    assert len(MISTAKES) >= 20
    assert len(DOORS) >= 8


@pytest.mark.parametrize(("name", "door"), CASES)
def test_a_mistake_is_refused_at_the_door(
    name: str, door: str, sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    mistake = MISTAKES[name]
    refusal = DOORS[door](asked(mistake, sink, tmp_path), monkeypatch)
    assert refusal.code == ExitCode.USAGE, refusal.said
    assert re.search(mistake.said, refusal.said), refusal.said
    assert "Traceback" not in refusal.said
    assert sink.received() == b""
    assert not (tmp_path / "runs").exists(), "a run folder was made"
