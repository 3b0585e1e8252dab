"""Who audits a run of plain Locust and of the web UI, and what is refused before any traffic."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig, ServiceAddress, Source
from loadtest.measure.run_result import Audit
from loadtest.plan.plan_file import Plan
from loadtest.plugin import auditing
from loadtest.plugin.auditing import Auditor, with_auditor
from tests.audit.test_run_audit import AUDITOR


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """Of a plan that names its auditor, at somebody's own target."""
    (tmp_path / "own_books.py").write_text(AUDITOR, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    plan = msgspec.structs.replace(Plan.load("steady"), auditor="own_books:Books")
    return RunConfig(plan=plan, plan_name="steady", targets=["http://127.0.0.1:1"])


def test_the_plans_auditor_counts_at_every_door_that_plays_a_run(config: RunConfig) -> None:
    assert with_auditor(config).auditor == "own_books:Books"
    of_the_form = config.but(conducted=True, web=True)
    assert with_auditor(of_the_form).auditor == "own_books:Books"
    assert with_auditor(config.but(conducted=True)).auditor is None, "the command has decided"


def test_a_store_that_was_asked_for_takes_its_place(config: RunConfig) -> None:
    asked = config.but(audit_store="sqlite:///x.db", sources={"audit_store": Source("flag", "--audit-store")})
    assert with_auditor(asked).auditor is None


@pytest.mark.parametrize(
    ("named", "more", "said"),
    [
        ("nowhere:Books", {}, "steady: auditor: .*No module named 'nowhere'"),
        ("own_books", {}, "steady: auditor: expected module:Class"),
        ("own_books:Books", {"targets": []}, "steady: auditor: expected together with --target"),
        (
            "own_books:Books",
            {"service": ServiceAddress("http://127.0.0.1:2", "http://127.0.0.1:3")},
            "steady: auditor: expected together with --target",
        ),
    ],
)
def test_what_cannot_audit_is_refused_by_its_key(
    config: RunConfig, named: str, more: dict[str, Any], said: str
) -> None:
    plan = msgspec.structs.replace(config.plan, auditor=named)
    with pytest.raises(ConfigError, match=said):
        with_auditor(config.but(plan=plan, **more))


def test_a_class_is_asked_where_there_is_one_and_the_store_else(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = Audit(acknowledged=1, stored=1, lost=0, duplicated=0, oversold=0, phantom=0, shadow_leaks=0)
    monkeypatch.setattr(auditing, "audit_apart", lambda _folder, name, _file: name)
    monkeypatch.setattr(auditing, "audit_in_process", lambda *_: msgspec.json.encode(audit))
    own = Auditor()
    own.store = "sqlite:///x.db"
    of_class: Any = SimpleNamespace(config=with_auditor(config), folder=Path())
    assert own._outcome(of_class) == "own_books:Books"
    of_store: Any = SimpleNamespace(config=config, folder=Path())
    assert own._outcome(of_store) == audit
