"""What `--help` and `show` print: every command explains itself within the terminal's width."""

import pytest
import typer
from typer.testing import CliRunner

from loadtest.cli.main import app
from loadtest.plan.plan_file import shipped_plans

PASSED_ON = {"serve"}
"""Commands whose `--help` is another program's."""
TOP = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group
COMMANDS = {
    f"{name} {inner}".strip(): command
    for name, group in TOP.items()
    for inner, command in getattr(group, "commands", {"": group}).items()
    if name not in PASSED_ON
}


def printed(*arguments: str, width: int = 80) -> str:
    ended = CliRunner(env={"COLUMNS": str(width)}).invoke(app, list(arguments))
    assert ended.exit_code == 0, ended.output
    return ended.output


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_words_for_every_option(name: str) -> None:
    text = printed(*name.split(), "--help")
    assert f"Example: singlesday {name}" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    assert all(getattr(p, "help", "") for p in COMMANDS[name].params), f"an option of {name} has no words"


def test_the_options_of_run_stand_in_groups() -> None:
    text = printed("run", "--help")
    for group in ("Plan", "Load generator", "Target", "Objectives", "Output", "Metrics", "Web UI"):
        assert f"─ {group} ─" in text
    groups = {p.name: getattr(p, "rich_help_panel", None) for p in COMMANDS["run"].params}
    assert {name for name, group in groups.items() if group is None} == {"plan"}, "an option is in no group"


def test_completion_can_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--install-completion" in printed("--help")
    # Typer's own variable: the shell is named instead of looked for among the processes above the test's.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    shown = CliRunner().invoke(app, ["--show-completion", "bash"], prog_name="singlesday").output
    assert "_SINGLESDAY_COMPLETE" in shown


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("plan", shipped_plans())
def test_show_lists_curve_scenarios_requests_and_objectives_within_the_width(plan: str, width: int) -> None:
    text = printed("show", plan, width=width)
    assert max(map(len, text.splitlines())) <= width
    for words in ("scenario", "share", "at its peak", "requests/s", "objective", "every run"):
        assert words in text
