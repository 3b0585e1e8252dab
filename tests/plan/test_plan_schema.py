"""The schema of plan files and their reference, held against plans that are read."""

import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from loadtest.plan import plan_file
from loadtest.plan.feeder_table import SOURCES
from loadtest.plan.plan_file import Plan
from loadtest.plan.plan_schema import plan_keys, plan_schema
from loadtest.plan.plan_tables import TABLES

ROOT = Path(__file__).parents[2]
PLANS = sorted((ROOT / "loadtest").glob("*/**/*.toml"))
SMALLEST: dict[str, Any] = {
    "peak_tps": 2,
    "duration": "3s",
    "profile": {"curve": "constant"},
    "scenario": [{"user": "checkout:Checkout"}],
}
REPEATED = {"scenario", "slo"}


@pytest.fixture(scope="module")
def validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(plan_schema())


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_every_plan_that_we_ship_follows_the_schema(
    validator: jsonschema_rs.Draft202012Validator, path: Path
) -> None:
    validator.validate(tomllib.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "wrong",
    [
        {"peak_tps": 0},
        {"peak_tsp": 3},
        {"duration": "three seconds"},
        {"arrivals": "random"},
        {"profile": {}},
        {"profile": {"curve": "constant", "csv": "curve.csv"}},
        {"profile": {"knots": [["0s", 1, 2]]}},
        {"scenario": [{"per_transaction": 1}]},
        {"slo": [{"expr": 3}]},
        {"targets": {"shop": -1}},
    ],
    ids=str,
)
def test_what_a_plans_types_refuse_the_schema_refuses_too(
    validator: jsonschema_rs.Draft202012Validator, wrong: dict[str, Any]
) -> None:
    assert validator.is_valid(SMALLEST)
    assert not validator.is_valid(SMALLEST | wrong)


@pytest.mark.parametrize("missing", ["profile", "scenario"])
def test_a_plan_without_a_needed_table_is_refused(
    validator: jsonschema_rs.Draft202012Validator, missing: str
) -> None:
    assert not validator.is_valid({name: value for name, value in SMALLEST.items() if name != missing})


@pytest.mark.parametrize("table", TABLES)
def test_every_key_says_what_it_means_and_gives_an_example(table: str) -> None:
    keys = list(plan_keys(table))
    assert [told.name for told in keys] == list(TABLES[table].__struct_fields__)
    for told in keys:
        assert told.meaning.endswith(".")
        assert told.example or told.name in TABLES, told.name


@pytest.mark.parametrize("table", TABLES)
def test_every_example_is_one(
    validator: jsonschema_rs.Draft202012Validator, table: str, tmp_path: Path
) -> None:
    """Each is put into the smallest plan, which stays a plan."""
    for told in plan_keys(table):
        if not told.example:
            continue
        example = tomllib.loads(told.example)
        plan = SMALLEST | (example if not table else {})
        if table == "profile" and told.name in {"curve", "knots", "knots_tps", "csv"}:
            plan["profile"] = example
        elif table == "profile":
            plan["profile"] = {"knots": [[0, 1], [3, 1]]} | example
        elif table == "feeder":
            alone = told.name in SOURCES and told.name != "sqlite"
            needed = {"sqlite": "shop.db", "table": "buyers"} if told.name in {"sqlite", "table"} else {}
            feeder = example if alone else needed or {"csv": "buyers.csv"}
            plan["scenario"] = [SMALLEST["scenario"][0] | {"feeder": feeder | example}]
        elif table:
            needed = {"scenario": SMALLEST["scenario"][0], "slo": {"expr": "p99 < 1s"}}.get(table, {})
            plan[table] = [needed | example] if table in REPEATED else needed | example
        validator.validate(plan)


def test_a_key_without_a_default_is_required() -> None:
    defaults = {told.name: told.default for told in plan_keys("scenario")}
    assert defaults["user"] == "required"
    assert defaults["per_transaction"].startswith("1, or the highest")


def test_the_starters_plan_is_a_plan() -> None:
    plan = Plan.load(ROOT / "loadtest" / "starter" / "checkout.toml")
    assert plan.name == "checkout"
    assert plan_file.shipped_plans()
