"""The documentation: it builds without a warning, and its scripts, plans and commands are real."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.plan.plan_file import Plan
from tests.docs.test_ci import commands, flags_of

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
RECIPES = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")


def blocks(language: str) -> dict[str, str]:
    """The recipes' files by their names. Raises `ValueError` where two have one name: only one would be tested."""
    found = re.findall(rf'^```{language} title="(\S+)"\n(.*?)^```$', RECIPES, re.MULTILINE | re.DOTALL)
    names = [name for name, _ in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"docs/recipes.md has more than one {', '.join(sorted(twice))}")
    return dict(found)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_builds_without_a_warning_and_has_a_page_for_each_file(site: Path) -> None:
    for page in PAGES:
        place = site if page.stem == "index" else site / page.stem
        assert (place / "index.html").exists()


def test_the_reference_is_drawn_from_the_code(site: Path) -> None:
    plans, flags, python = (
        (site / "reference" / name / "index.html").read_text()
        for name in ("plan-files", "commands", "python")
    )
    assert "patience_s" in plans
    assert "How long an arrival may wait for an idle user" in plans
    assert "--slo" in flags
    assert "loadtest.drive.user.FastHttpUser" in python


@pytest.mark.slow(stays=["checkout.py", "named_buyers.py"])
@pytest.mark.parametrize("name", blocks("python"))
def test_a_recipes_script_is_a_locustfile_that_loads(name: str, tmp_path: Path) -> None:
    for file, text in {**blocks("csv"), name: blocks("python")[name]}.items():
        (tmp_path / file).write_text(text)
    command = [sys.executable, "-m", "locust", "-f", name, "--list"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=_environment())
    assert done.returncode == 0, done.stderr
    assert re.search(r"^class (\w+)", blocks("python")[name], re.MULTILINE)[1] in done.stdout  # type: ignore[index]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("name", blocks("toml"))
def test_a_recipes_plan_is_a_plan(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(blocks("toml")[name])
    assert Plan.load(tmp_path / name).name == Path(name).stem


def test_a_recipes_command_and_its_flags_exist() -> None:
    found = commands(ROOT / "docs" / "recipes.md")
    assert found
    for command, flags in found:
        assert flags <= flags_of(command), command
