"""The CI templates and their how-to say only what there is."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from loadtest.cli.main import app
from loadtest.exit_codes import INTERRUPTED, ExitCode
from tests.required import program

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
IMAGE = ROOT / ".github" / "workflows" / "image.yml"
WORKFLOW = ROOT / ".github" / "workflows" / "soak.yml"
RELEASE = ROOT / ".github" / "workflows" / "release.yml"
GITLAB = ROOT / "docs" / "ci" / "gitlab-ci.yml"
HOW_TO = ROOT / "docs" / "ci.md"
FILES = [WORKFLOW, IMAGE, GITLAB, HOW_TO]
SCHEMAS = [*((path, "vendor.github-workflows") for path in WORKFLOWS), (GITLAB, "vendor.gitlab-ci")]
COMMAND = re.compile(r"\bsinglesday (?:\"[^\"]*\" )?(?!run`)([a-z]+)\b(?!:)((?: [^\n;`|&]*)?)")


def commands(path: Path) -> list[tuple[str, set[str]]]:
    """Every `singlesday` command in a file, with its flags; a line that ends in a backslash goes on."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    return [(name, set(re.findall(r"(?<!\S)--[a-z-]+", rest))) for name, rest in COMMAND.findall(text)]


def flags_of(command: str) -> set[str]:
    """A command's flags; of a command that has commands of its own, theirs."""
    group: Any = get_command(app)
    found = group.commands[command]
    below = getattr(found, "commands", {}).values()
    return {flag for one in (found, *below) for parameter in one.params for flag in parameter.opts}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_command_and_flag_exists(path: Path) -> None:
    found = commands(path)
    assert found
    for command, flags in found:
        assert flags <= flags_of(command), command


def test_flags_named_beside_a_command_exist() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", HOW_TO.read_text(encoding="utf-8")))
    assert named <= flags_of("run") | flags_of("compare")


@pytest.mark.parametrize("path", [WORKFLOW, GITLAB], ids=lambda path: path.name)
def test_a_template_soaks_compares_and_keeps_what_it_found(path: Path) -> None:
    assert yaml.safe_load(path.read_text(encoding="utf-8"))
    assert [command for command, _ in commands(path)][-2:] == ["run", "compare"]
    assert "--save-baseline baselines" in path.read_text(encoding="utf-8")


def test_the_soak_decides_how_the_workflow_ends() -> None:
    steps = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["soak"]["steps"]
    assert not any("continue-on-error" in step for step in steps)
    (soak,) = [step for step in steps if step.get("name") == "Soak"]
    assert "|" not in soak["run"], "a pipe would end with another program's exit code"


def test_every_exit_code_is_explained() -> None:
    rows = set(re.findall(r"^\| (\d+) \|", HOW_TO.read_text(encoding="utf-8"), re.MULTILINE))
    assert rows == {str(int(code)) for code in (*ExitCode, INTERRUPTED)}


@pytest.mark.parametrize(("path", "schema"), SCHEMAS, ids=lambda value: Path(value).name)
def test_a_template_follows_its_forges_schema(path: Path, schema: str) -> None:
    command = [program("check-jsonschema"), "--builtin-schema", schema, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_only_the_image_may_write_packages_and_no_workflow_may_write_anything_else() -> None:
    for path in WORKFLOWS:
        permissions = yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"]
        written = {what for what, right in permissions.items() if right == "write"}
        assert written == ({"packages"} if path == IMAGE else set()), path


@pytest.mark.parametrize("path", [IMAGE, GITLAB], ids=lambda path: path.name)
def test_an_image_is_tried_out_before_it_is_published(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    steps = [text.index(f"docker {step}") for step in ("build", "run", "login", "push")]
    assert steps == sorted(steps)
    (target,) = set(re.findall(r"docker build --target (\S+)", text))
    assert f" AS {target}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [WORKFLOW, IMAGE, GITLAB], ids=lambda path: path.name)
def test_no_registry_is_named_but_what_the_forge_says(path: Path) -> None:
    assert not re.search(r"\b[\w-]+\.(io|com|org|dev)\b", path.read_text(encoding="utf-8"))


def test_the_soak_runs_on_the_runner_itself_where_there_is_no_image() -> None:
    job = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["soak"]
    assert job["container"]["image"] == "${{ vars.SINGLESDAY_IMAGE }}"
    (install,) = [step for step in job["steps"] if step.get("name") == "Install"]
    assert install["if"] == "${{ !vars.SINGLESDAY_IMAGE }}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_an_action_is_pinned_to_a_commit_and_says_which_release_that_is(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        if used := re.search(r"\buses: (?!\./)(\S+)(.*)", line):
            assert re.search(r"@[0-9a-f]{40}$", used[1]), line
            assert re.match(r" # v\d+\.\d+\.\d+", used[2]), line


def test_every_dependency_is_held_and_no_address_is_named() -> None:
    lines = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    held = {line.partition("==")[0].lower().replace("_", "-") for line in lines if not line.startswith("#")}
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+]+", line) for line in lines if not line.startswith("#"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.split(r"[\[<>=;]", one)[0].strip().lower() for one in wanted} - {"singlesday-loadtest"}
    assert names <= held


def test_what_makes_the_packages_is_held_and_installed_as_held() -> None:
    held = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8")
    assert {"build", "cibuildwheel", "twine"} <= set(re.findall(r"^([\w-]+)==", held, re.MULTILINE))
    wheels = (ROOT / ".github" / "workflows" / "wheels.yml").read_text(encoding="utf-8")
    installs = re.findall(r"pip install (.*)", wheels)
    assert installs
    assert all(one.startswith("--constraint .ci/constraints.txt ") for one in installs)
    assert "PIP_CONSTRAINT" in (ROOT / ".ci" / "packages").read_text(encoding="utf-8")


def test_nothing_is_published_that_the_tests_of_every_change_have_not_passed() -> None:
    jobs = yaml.safe_load(RELEASE.read_text(encoding="utf-8"))["jobs"]
    assert "bash .ci/run" in [step.get("run") for step in jobs["check"]["steps"]]
    assert "check" in jobs["publish"]["needs"]


def test_the_installed_package_is_tested_by_programs_that_are_there() -> None:
    script = (ROOT / ".ci" / "packages").read_text(encoding="utf-8")
    (called,) = re.findall(r"\$root/(\S+\.py)", script)
    assert (ROOT / called).exists()
    for path in (ROOT / ".ci").iterdir():
        if path.suffix != ".txt":
            assert subprocess.run(["bash", "-n", str(path)]).returncode == 0
