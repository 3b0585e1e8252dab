"""The CI templates and their how-to say only what there is."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from loadtest.cli.main import app
from loadtest.exit_codes import ExitCode

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "soak.yml"
GITLAB = ROOT / "docs" / "ci" / "gitlab-ci.yml"
HOW_TO = ROOT / "docs" / "ci.md"
FILES = [WORKFLOW, GITLAB, HOW_TO]
COMMAND = re.compile(r"\bsinglesday (?!run`)([a-z]+)((?: [^\n;`|&]*)?)")


def commands(path: Path) -> list[tuple[str, set[str]]]:
    """Every `singlesday` command in a file, with its flags; a line that ends in a backslash goes on."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    return [(name, set(re.findall(r"(?<!\S)--[a-z-]+", rest))) for name, rest in COMMAND.findall(text)]


def flags_of(command: str) -> set[str]:
    group: Any = get_command(app)
    return {flag for parameter in group.commands[command].params for flag in parameter.opts}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_command_and_flag_exists(path: Path) -> None:
    found = commands(path)
    assert found
    for command, flags in found:
        assert flags <= flags_of(command), command


def test_flags_named_beside_a_command_exist() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", HOW_TO.read_text(encoding="utf-8")))
    assert named <= flags_of("run")


@pytest.mark.parametrize("path", [WORKFLOW, GITLAB], ids=lambda path: path.name)
def test_a_template_soaks_compares_and_keeps_what_it_found(path: Path) -> None:
    assert yaml.safe_load(path.read_text(encoding="utf-8"))
    assert [command for command, _ in commands(path)][-2:] == ["run", "compare"]
    assert "result.json" in path.read_text(encoding="utf-8")


def test_the_soak_decides_how_the_workflow_ends() -> None:
    steps = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["soak"]["steps"]
    assert not any("continue-on-error" in step for step in steps)
    (soak,) = [step for step in steps if step.get("name") == "Soak"]
    assert "|" not in soak["run"], "a pipe would end with another program's exit code"


def test_every_exit_code_is_explained() -> None:
    rows = set(re.findall(r"^\| (\d+) \|", HOW_TO.read_text(encoding="utf-8"), re.MULTILINE))
    assert rows == {str(int(code)) for code in ExitCode}
