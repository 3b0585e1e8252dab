"""A plan's `[scenario.feeder]` gives its class the rows, whatever they come from, and says what is wrong with it."""

import json
import sqlite3
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.scenario_classes import scenario_classes
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
    plan = Plan.from_json(Plan.load(path).to_json())  # as a worker gets it
    (found,) = scenario_classes(plan, path)
    return found


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
        ('csv = "buyers.csv"\norder = "random"\nat_end = "refuse"', "a drawn row has no end"),
        ('csv = "buyers.csv"\nsek = 1', "unknown key sek"),
        ('generator = "a:b"\norder = "random"', "generator: expected alone"),
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
