"""A plan's `[scenario.feeder]` gives its class the rows, whatever they come from, and says what is wrong with it."""

import json
import sqlite3
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.configuration.scenario_classes import check_scenarios, scenario_classes
from loadtest.plan.plan_error import PlanError
from loadtest.plan.plan_file import Plan

numbers = count()
SCRIPT = """
from locust import task
from loadtest import FastHttpUser

class Buyer(FastHttpUser):
    @task
    def buy(self):
        self.client.post("/orders", json=self.feeder.next())
"""
GENERATOR = """
def rows(worker, workers):
    while True:
        yield {"buyer": f"made {worker} of {workers}"}
"""
SOURCES = {
    "csv": 'csv = "buyers.csv"',
    "json_lines": 'json_lines = "buyers.jsonl"',
    "sqlite": 'sqlite = "buyers.db"\ntable = "buyers"',
    "generator": 'generator = "{module}_rows:rows"',
}


def planned(folder: Path, monkeypatch: pytest.MonkeyPatch, feeder: str) -> Any:
    """The class of a plan with a feeder, whose files lie beside it."""
    plan, path = plan_of(folder, monkeypatch, feeder)
    (found,) = scenario_classes(plan, path)
    return found


def plan_of(folder: Path, monkeypatch: pytest.MonkeyPatch, feeder: str) -> tuple[Plan, Path]:
    """A plan with a feeder, and its file, beside which the feeder's lie."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    module = f"buyers_{next(numbers)}"
    (folder / f"{module}.py").write_text(SCRIPT)
    (folder / f"{module}_rows.py").write_text(GENERATOR)
    (folder / "buyers.csv").write_text("buyer\n1001\n1002\n")
    (folder / "buyers.jsonl").write_text(
        "".join(json.dumps({"buyer": one}) + "\n" for one in ("1001", "1002"))
    )
    with sqlite3.connect(folder / "buyers.db") as database:
        database.execute("CREATE TABLE buyers (buyer TEXT)")
        database.executemany("INSERT INTO buyers VALUES (?)", [("1001",), ("1002",)])
    database.close()
    path = folder / "plan.toml"
    path.write_text(
        'peak_tps = 5\nduration = "3s"\n[profile]\ncurve = "constant"\n[[scenario]]\n'
        f'user = "{module}:Buyer"\n[scenario.feeder]\n{feeder.replace("{module}", module)}\n'
    )
    return Plan.from_json(Plan.load(path).to_json()), path  # as a worker gets it


@pytest.mark.parametrize("source", SOURCES)
def test_a_class_has_the_rows_that_its_plan_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    buyer = planned(tmp_path, monkeypatch, SOURCES[source])
    given = [buyer.feeder.next() for _ in range(3)]
    wanted = ["made 0 of 1"] * 3 if source == "generator" else ["1001", "1002", "1001"]
    assert given == [{"buyer": one} for one in wanted]


def test_its_options_are_those_of_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buyer = planned(tmp_path, monkeypatch, SOURCES["csv"] + '\nat_end = "refuse"')
    assert [buyer.feeder.next()["buyer"] for _ in range(2)] == ["1001", "1002"]
    with pytest.raises(ValueError, match="all 2 rows"):
        buyer.feeder.next()


@pytest.mark.parametrize(
    ("feeder", "said"),
    [
        ("", "expected one of csv, json_lines, sqlite, generator, got none"),
        ('sqlite = "buyers.db"', "sqlite: expected together with table"),
        ('csv = "buyers.csv"\ntable = "x"', "table: expected together with sqlite"),
        ('csv = "buyers.csv"\nskew = 9', "skew: expected a number <= 5, got 9"),
        ('csv = "buyers.csv"\nshare = "some"', 'share: expected one of whole, split, got "some"'),
        ('csv = "buyers.csv"\norder = "random"\nat_end = "refuse"', "rows drawn at random never run out"),
        ('csv = "buyers.csv"\nsek = 1', "unknown key sek"),
        ('generator = "a:b"\norder = "random"', "generator: expected without other keys"),
        ('generator = "numbers"', 'expected "module:function"'),
        ('generator = "nowhere:rows"', "there is no nowhere"),
        ('generator = "{module}_rows:row"', "has no row .did you mean rows"),
        ('csv = "nowhere.csv"', "nowhere.csv: cannot be read"),
        ('sqlite = "buyers.csv"\ntable = "buyers"', "expected a table of an SQLite file"),
    ],
)
def test_a_feeder_that_cannot_be_is_told_by_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feeder: str, said: str
) -> None:
    with pytest.raises((PlanError, ConfigError), match=rf"plan.toml: scenario\[0\].feeder.*{said}"):
        planned(tmp_path, monkeypatch, feeder)


def check(plan: Plan, path: Path, workers: int) -> None:
    check_scenarios(RunConfig(plan=plan, plan_name=str(path), workers=workers))


@pytest.mark.parametrize("source", ["csv", "json_lines", "sqlite"])
def test_a_split_file_has_a_row_for_each_worker_or_no_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    plan, path = plan_of(tmp_path, monkeypatch, SOURCES[source] + '\nshare = "split"')
    check(plan, path, workers=2)
    said = rf"scenario\[0\].feeder.{source}: buyers.*: expected at least a row for each of 3 workers, got 2"
    with pytest.raises(ConfigError, match=said):
        check(plan, path, workers=3)


@pytest.mark.parametrize("share", ["split", "whole"])
def test_a_file_that_refuses_after_its_last_row_has_one_for_each_user_or_no_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: str
) -> None:
    feeder = SOURCES["csv"] + f'\nat_end = "refuse"\nshare = "{share}"'
    plan, path = plan_of(tmp_path, monkeypatch, feeder)
    few = plan.with_overrides(virtual_users=2)
    check(few, path, workers=2 if share == "split" else 1)
    said = r'feeder.csv: buyers.csv: at_end = "refuse": expected at least \d+ rows'
    with pytest.raises(ConfigError, match=said):
        check(plan, path, workers=1)


def test_a_file_that_a_script_itself_reads_is_held_against_the_workers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, path = plan_of(tmp_path, monkeypatch, SOURCES["csv"])
    script = tmp_path / f"{plan.scenarios[0].user.partition(':')[0]}.py"
    script.write_text(
        SCRIPT.replace(
            "\nclass",
            '\nfrom loadtest import feeders\nMINE = feeders.csv("buyers.csv", share="split")\nclass',
        )
    )
    check(plan, path, workers=2)
    with pytest.raises(
        ConfigError, match=r"Buyer: buyers.csv: expected at least a row for each of 3 workers"
    ):
        check(plan, path, workers=3)
