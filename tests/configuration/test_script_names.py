"""Scripts keep their names, or get another, where something else is imported under the one that they have."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.scenario_classes import scenario_classes
from loadtest.plan.plan_file import Plan

SCRIPT = """
from locust import User, task


class {}(User):
    @task
    def nothing(self):
        pass
"""
PLAN = """
peak_tps = 1
duration = "1s"

[profile]
curve = "constant"

[[scenario]]
user = "{}"
"""


def plan_of(user: str, folder: Path) -> tuple[Plan, Path]:
    path = folder / "plan.toml"
    path.write_text(PLAN.format(user))
    return Plan.load(str(path)), path


def imported_as(name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that is imported under `name`; whatever takes its place is forgotten when the test ends."""
    module = ModuleType(name)
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, name, module)
    return module


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Our own locustfile, imported by Locust, as in the master and the workers of `singlesday run`."""
    monkeypatch.delitem(sys.modules, "loadtest.locustfile", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = Path(__file__).parents[2] / "loadtest" / "locustfile.py"
    return imported_as("locustfile", file, monkeypatch)


def test_a_script_that_is_called_locustfile_is_played(tmp_path: Path, ours: ModuleType) -> None:
    (tmp_path / "locustfile.py").write_text(SCRIPT.format("Buyer"))
    [found] = scenario_classes(*plan_of("locustfile:Buyer", tmp_path))
    assert (found.__name__, found.__module__) == ("Buyer", "locustfile")
    assert sys.modules["locustfile"].__file__ == str(tmp_path / "locustfile.py")
    assert sys.modules["loadtest.locustfile"] is ours


def test_a_script_may_import_from_a_locustfile_beside_it(tmp_path: Path, ours: ModuleType) -> None:
    (tmp_path / "locustfile.py").write_text(SCRIPT.format("Base"))
    (tmp_path / "peak_of_a_shop.py").write_text(
        "from locustfile import Base\n\n\nclass Buyer(Base):\n    pass\n"
    )
    [found] = scenario_classes(*plan_of("peak_of_a_shop:Buyer", tmp_path))
    assert found.__mro__[1].__name__ == "Base"


def test_a_script_with_the_name_of_another_module_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = imported_as("a_shop", tmp_path / "elsewhere.py", monkeypatch)
    (tmp_path / "a_shop.py").write_text(SCRIPT.format("Buyer"))
    [found] = scenario_classes(*plan_of("a_shop:Buyer", tmp_path))
    assert (found.__name__, found.__module__) == ("Buyer", "scenario a_shop")
    assert sys.modules["a_shop"] is other


def test_a_folder_in_the_place_of_a_script_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_folder").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="shop_folder is a folder, not a script"):
        scenario_classes(*plan_of("shop_folder:Buyer", tmp_path))
