"""Which runs need no process that looks at their classes: those of our own classes, of which all is known."""

import pkgutil
from importlib import import_module
from inspect import isclass
from pathlib import Path
from typing import Any

import pytest
from locust import User

from loadtest import scenarios
from loadtest.configuration.inspection import SHOPS_OWN, inspect_apart, is_known
from loadtest.configuration.run_config import RunConfig
from loadtest.configuration.scenario_classes import check_scenarios
from loadtest.plan.plan_file import Plan

PLAN = """
peak_tps = 5
duration = "2s"
virtual_users = 5
[profile]
curve = "constant"
[[scenario]]
user = "{user}"
"""


def asked(user: str, folder: Path, more: str = "", **options: Any) -> RunConfig:
    path = folder / "plan.toml"
    path.write_text(PLAN.format(user=user) + more)
    return RunConfig(plan=Plan.load(str(path)), plan_name=str(path), conducted=True).but(**options)


def test_they_are_all_of_our_classes_that_a_plan_can_name() -> None:
    found = set()
    for module in pkgutil.iter_modules(scenarios.__path__, "loadtest.scenarios."):
        for name, value in vars(import_module(module.name)).items():
            is_its_own = isclass(value) and issubclass(value, User) and value.__module__ == module.name
            if is_its_own and not value.abstract and value.tasks:
                found.add(f"{module.name}:{name}")
    assert found == SHOPS_OWN


@pytest.mark.parametrize("user", sorted(SHOPS_OWN))
def test_nothing_is_wrong_with_any_of_them(user: str, tmp_path: Path) -> None:
    config = asked(user, tmp_path)
    assert is_known(config)
    assert set(check_scenarios(config)) <= {user}
    assert inspect_apart(config) == {}


@pytest.mark.parametrize(
    ("user", "more", "options"),
    [
        ("loadtest.scenarios.shop:OrderOnli", "", {}),
        ("shop:OrderOnly", "", {}),
        ("loadtest.scenarios.shop:OrderOnly", '[[scenario]]\nuser = "mine:Buyer"\n', {}),
        ("loadtest.scenarios.shop:OrderOnly", 'feeder = {csv = "rows.csv"}\n', {}),
        ("loadtest.scenarios.shop:OrderOnly", "", {"targets": ["http://127.0.0.1:1"]}),
        ("loadtest.scenarios.shop:OrderOnly", "", {"tags": ["checkout"]}),
        ("loadtest.scenarios.shop:OrderOnly", "", {"exclude_tags": ["checkout"]}),
        ("loadtest.scenarios.shop:OrderOnly", "", {"left_out": ["OrderOnly"]}),
        ("loadtest.scenarios.shop:OrderOnly", "", {"conducted": False}),
    ],
)
def test_all_others_are_looked_at(user: str, more: str, options: dict[str, Any], tmp_path: Path) -> None:
    assert not is_known(asked(user, tmp_path, more, **options))


def test_a_module_beside_the_plan_that_takes_the_name_of_ours_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "loadtest").mkdir()
    assert not is_known(asked("loadtest.scenarios.shop:OrderOnly", tmp_path))
