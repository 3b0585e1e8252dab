"""`singlesday init`: what it writes is complete, true and never overwrites anything."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from loadtest.cli.init import STARTER
from loadtest.cli.main import app
from loadtest.configuration.check import check
from loadtest.configuration.inspection import inspect_apart
from loadtest.configuration.run_config import RunConfig
from loadtest.plan.plan_file import Plan
from tests.docs.test_ci import commands, flags_of
from tests.required import program

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("begun") / "rehearsal"
    result = CliRunner().invoke(app, ["init", str(folder)])
    assert result.exit_code == 0, result.output
    assert "singlesday run" in result.output
    assert "only at the root of a repository" in " ".join(result.output.split())
    return folder


def test_all_files_are_written(begun: Path) -> None:
    assert {path.relative_to(begun).as_posix() for path in begun.rglob("*") if path.is_file()} == set(
        STARTER.values()
    )


def test_the_plan_and_its_script_can_be_run_as_they_are(begun: Path) -> None:
    path = begun / "checkout.toml"
    check(RunConfig(plan=Plan.load(path), plan_name=str(path), conducted=True), inspect_apart)


def test_the_script_is_a_locustfile_of_plain_locust(begun: Path) -> None:
    command = [sys.executable, "-m", "locust", "-f", "checkout.py", "--list"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=begun, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Checkout" in done.stdout


def test_the_ci_file_follows_its_forges_schema(begun: Path) -> None:
    path = begun / ".github" / "workflows" / "load-test.yml"
    command = [program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    for line in path.read_text(encoding="utf-8").splitlines():
        if "uses:" in line:
            assert re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_the_compose_file_follows_the_specification(begun: Path) -> None:
    document = yaml.safe_load((begun / "compose.yml").read_text(encoding="utf-8"))
    from compose_spec.models import ComposeSpecification  # noqa: PLC0415 - a third of a second in each worker

    ComposeSpecification.model_validate(document)
    assert document["services"]["load"]["depends_on"].keys() <= document["services"].keys()


@pytest.mark.parametrize("place", ["compose.yml", ".github/workflows/load-test.yml", "checkout.toml"])
def test_every_command_and_flag_exists(begun: Path, place: str) -> None:
    found = commands(begun / place)
    assert found
    for command, flags in found:
        assert command == "serve" or flags <= flags_of(command), command


@pytest.mark.parametrize("place", STARTER.values())
def test_what_is_there_already_is_never_overwritten(tmp_path: Path, place: str) -> None:
    theirs = tmp_path / place
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_text("theirs")
    result = CliRunner().invoke(app, ["init", str(tmp_path)])
    assert result.exit_code == 2
    assert place in result.output.replace("\n", "")
    assert theirs.read_text() == "theirs"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [theirs]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(app, ["init", str(tmp_path / "file" / "below")])
    assert result.exit_code == 2
    assert "error:" in result.output
