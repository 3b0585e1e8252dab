"""The configuration is the only way in: every field of it, and what each door sets it to."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from locust.argument_parser import LocustArgumentParser, get_empty_argument_parser, setup_parser_arguments
from typer.testing import CliRunner

from loadtest.cli import main
from loadtest.cli.resume import resumable
from loadtest.configuration.run_config import RunConfig
from loadtest.configuration.run_document import write_document
from loadtest.fleet import checkpoint as checkpoints
from loadtest.plan.plan_file import Plan
from loadtest.plugin.options import add_options, config_of, sources_of
from tests.cli.test_resume import checkpoint

RUN = [
    "run", "smoke", "--peak-tps", "7", "--slo", "requests(*) > 1", "--target", "http://127.0.0.1:1", "--allow-host",
    "shop.test", "--store", "sqlite:///x.db", "--service-metrics", "http://127.0.0.1:2/metrics", "--workers", "2",
    "--expect-workers", "1", "--bind", "127.0.0.2:7", "--min-workers", "2",
    "--auditor", "own:Books",
    "--service-workers", "2", "--out", "there", "--checkpoint", "9s", "--quiet", "--csv", "--metrics-port", "5",
    "--remote-write", "http://127.0.0.1:3/w", "--web", "--web-port", "6",
]  # fmt: skip
LOCUST = [
    "--plan", "smoke", "--peak-tps", "7", "--slo", "requests(*) > 1", "-H", "http://127.0.0.1:1", "--allow-host",
    "shop.test", "--audit-store", "sqlite:///x.db", "--service-metrics", "http://127.0.0.1:2/metrics", "--master",
    "--expect-workers", "3", "--out", "there", "--run-dir", "here", "--checkpoint", "9s", "--console", "quiet",
    "--csv", "x", "--metrics-port", "5", "--remote-write", "http://127.0.0.1:3/w", "--web-port", "6", "--tags", "t",
    "--exclude-tags", "u", "--min-workers", "2", "--resume", "Picked",
]  # fmt: skip

NOT_HERE = object()
"""The door leaves the field as it is: what it is for cannot be asked for there."""
FOUND = object()
"""No door asks for it: it is found on the way."""

FIELDS: dict[str, dict[str, Any]] = {
    "version": {"run": FOUND, "locust": FOUND},
    "plan": {
        "run": Plan.load("smoke").with_overrides(peak_tps=7),
        "locust": Plan.load("smoke").with_overrides(peak_tps=7),
    },
    "plan_name": {"run": "smoke", "locust": "smoke"},
    "overrides": {"run": {"peak_tps": "7"}, "locust": {"peak_tps": "7"}},
    "auto_peak": {"run": False, "locust": NOT_HERE},
    "objectives": {"run": ["requests(*) > 1"], "locust": ["requests(*) > 1"]},
    "left_out": {"run": NOT_HERE, "locust": ["Other"]},
    "tags": {"run": NOT_HERE, "locust": ["t"]},
    "exclude_tags": {"run": NOT_HERE, "locust": ["u"]},
    "targets": {"run": ["http://127.0.0.1:1"], "locust": ["http://127.0.0.1:1"]},
    "hosts": {"run": FOUND, "locust": FOUND},
    "allow_hosts": {"run": ["shop.test"], "locust": ["shop.test"]},
    "service": {"run": FOUND, "locust": FOUND},
    "through": {"run": FOUND, "locust": FOUND},
    "store": {"run": "sqlite:///x.db", "locust": NOT_HERE},
    "audit_store": {"run": NOT_HERE, "locust": "sqlite:///x.db"},
    "auditor": {"run": "own:Books", "locust": NOT_HERE},
    "service_metrics": {"run": "http://127.0.0.1:2/metrics", "locust": "http://127.0.0.1:2/metrics"},
    "workers": {"run": 3, "locust": 3},
    "workers_elsewhere": {"run": 1, "locust": NOT_HERE},
    "min_workers": {"run": 2, "locust": 2},
    "bind": {"run": "127.0.0.2", "locust": NOT_HERE},
    "control_port": {"run": 7, "locust": NOT_HERE},
    "service_workers": {"run": 2, "locust": NOT_HERE},
    "out": {"run": "there", "locust": "there"},
    "folder": {"run": "there/", "locust": "here"},
    "resume": {"run": NOT_HERE, "locust": True},
    "checkpoint_s": {"run": 9.0, "locust": 9.0},
    "console": {"run": "quiet", "locust": "quiet"},
    "csv": {"run": True, "locust": True},
    "metrics_port": {"run": 5, "locust": 5},
    "remote_write": {"run": "http://127.0.0.1:3/w", "locust": "http://127.0.0.1:3/w"},
    "web": {"run": True, "locust": True},
    "web_port": {"run": 6, "locust": 6},
    "conducted": {"run": True, "locust": False},
    "sources": {"run": FOUND, "locust": FOUND},
    "withheld": {"run": FOUND, "locust": FOUND},
}


PROCESSES = ["--workers", "3", "--service-workers", "2"]
FURTHER_DOORS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "capacity": (
        ["capacity", *PROCESSES, "--duration", "7s", "--target", "http://127.0.0.1:1", "--slo", "requests(*) > 1"],
        {
            "plan_name": "steady", "objectives": ["requests(*) > 1"], "workers": 3,
            "targets": ["http://127.0.0.1:1"], "service_workers": 2, "conducted": True,
        },
    ),
    "watch": (
        ["watch", *PROCESSES, "--out", "there", "--web-port", "6"],
        {
            "plan_name": "singles-day", "workers": 3, "service_workers": 2, "out": "there", "web": True,
            "web_port": 6, "conducted": True,
        },
    ),
}  # fmt: skip
"""Doors that ask for less, and every field that they set."""


def from_run(monkeypatch: pytest.MonkeyPatch, command: list[str] = RUN) -> RunConfig:
    """What a command of `singlesday` asks for."""
    asked: list[RunConfig] = []

    def checked(config: RunConfig) -> RunConfig:
        asked.append(config)
        raise typer.Exit(0)

    monkeypatch.setattr(main, "_checked", checked)
    assert CliRunner().invoke(main.app, command).exit_code == 0
    return asked[0]


def test_an_auditor_is_the_plans_unless_a_flag_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "shop.toml"
    plan.write_text(
        'peak_tps = 1\nduration = 9\nauditor = "own:Books"\n[profile]\ncurve = "constant"\n'
        '[[scenario]]\nuser = "shop:Buyer"\n'
    )
    command = ["run", str(plan), "--target", "http://127.0.0.1:1"]
    asked = from_run(monkeypatch, command)
    assert (asked.auditor, asked.named("auditor")) == ("own:Books", f"{plan}: auditor")
    asked = from_run(monkeypatch, [*command, "--auditor", "other:Books"])
    assert (asked.auditor, asked.named("auditor")) == ("other:Books", "--auditor")


def parsed_by_locust(*flags: str) -> tuple[LocustArgumentParser, Namespace]:
    parser = LocustArgumentParser()
    setup_parser_arguments(parser)
    add_options(parser, None)
    return parser, parser.parse_args(list(flags))


def from_locust(flags: list[str], form: Mapping[str, str] | None = None) -> RunConfig:
    """What plain Locust's command line asks for, and its form."""
    parser, options = parsed_by_locust(*flags)
    return config_of(options, sources_of(parser, options), form, available=["Picked", "Other"])


def test_the_table_lists_every_field_once() -> None:
    assert list(FIELDS) == list(RunConfig.__struct_fields__)


@pytest.mark.parametrize("field", FIELDS)
def test_singlesday_run_sets_the_field(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_set(from_run(monkeypatch), field, FIELDS[field]["run"])


@pytest.mark.parametrize("field", FIELDS)
def test_plain_locust_sets_the_field(field: str) -> None:
    assert_set(from_locust(LOCUST), field, FIELDS[field]["locust"])


@pytest.mark.parametrize("door", FURTHER_DOORS)
def test_a_further_door_sets_these_fields_and_no_other(door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command, expected = FURTHER_DOORS[door]
    config = from_run(monkeypatch, command)
    untouched = RunConfig(plan=config.plan, plan_name="")
    given = {
        field: getattr(config, field) for field in FIELDS if field not in {"plan", "sources", "auto_peak"}
    }
    assert {f: value for f, value in given.items() if value != getattr(untouched, f)} == expected


def assert_set(config: RunConfig, field: str, expected: Any) -> None:
    value = getattr(config, field)
    if expected is NOT_HERE:
        defaults = RunConfig(plan=config.plan, plan_name="x")
        assert value == getattr(defaults, field)
    elif field == "folder":
        assert str(value).startswith(expected)
    elif expected is not FOUND:
        assert value == expected


def test_the_form_takes_the_place_of_the_command_line_and_says_so() -> None:
    form = {"plan": "step", "peak_tps": "9", "duration": "", "host": "http://127.0.0.1:4"}
    config = from_locust(LOCUST, form)
    assert (config.plan_name, config.plan.peak_tps, config.overrides) == ("step", 9, {"peak_tps": "9"})
    assert config.targets == ["http://127.0.0.1:4"]
    assert {config.sources[field].kind for field in ("plan", "peak_tps")} == {"form"}
    assert config.objectives == ["requests(*) > 1"], "what the form does not have stays"


def test_a_value_is_called_what_it_is_called_where_it_came_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCUST_OUT", str(tmp_path))
    config_file = tmp_path / "locust.ini"
    config_file.write_text("slo = [requests(*) > 1]\nplan = smoke\n")
    parser = get_empty_argument_parser(default_config_files=())
    setup_parser_arguments(parser)
    add_options(parser, None)
    options = parser.parse_args(["--config", str(config_file), "--allow-host", "shop.test"])
    config = config_of(options, sources_of(parser, options))
    assert config.named("out") == "LOCUST_OUT"
    assert config.named("objectives") == f"slo in {config_file}"
    assert config.named("allow_hosts") == "--allow-host"
    assert config.named("checkpoint_s") == "--checkpoint"
    assert "checkpoint_s" not in config.sources


def test_a_resumed_run_is_what_it_was_but_for_where_it_is_shown(tmp_path: Path) -> None:
    soak = Plan.load("soak")
    begun = RunConfig(
        plan=soak, plan_name="soak", workers=3, allow_hosts=["shop.test"], csv=True, conducted=True
    )
    write_document(begun, tmp_path)
    checkpoints.write(checkpoint(), tmp_path)
    (tmp_path / "orders.db").touch()
    with resumable(tmp_path, store=None, console="quiet", metrics_port=5) as run:
        changed = {"folder": str(tmp_path), "console": "quiet", "metrics_port": 5, "resume": True}
        assert run.config == begun.but(**changed)


def test_a_file_of_the_plan_is_known_by_its_ending() -> None:
    plan = Plan.load("smoke")
    assert RunConfig(plan=plan, plan_name="smoke").plan_file is None
    assert RunConfig(plan=plan, plan_name="a/b.toml").plan_file == Path("a/b.toml")
