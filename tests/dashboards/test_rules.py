"""Recording and alert rules: promtool's unit tests, and a runbook for every alert."""

import subprocess
from pathlib import Path

import yaml

from tests.required import program

FOLDER = Path("dashboards/prometheus")
RUNBOOKS = Path("docs/runbooks.md")


def alerts() -> dict[str, str]:
    """Each alert's name and where its runbook is said to be."""
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"]}


def test_the_rules_pass_promtools_unit_tests() -> None:
    done = subprocess.run(
        [program("promtool"), "test", "rules", FOLDER / "rules_test.yml"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_raised_in_a_unit_test() -> None:
    tests = yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
    raised = {
        test["alertname"]
        for group in tests
        for test in group.get("alert_rule_test", [])
        if test["exp_alerts"]
    }
    assert raised == set(alerts())


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    headings = [line[3:] for line in RUNBOOKS.read_text().splitlines() if line.startswith("## ")]
    assert sorted(headings) == sorted(alerts())
    assert all(url == f"{RUNBOOKS}#{name.lower()}" for name, url in alerts().items())
