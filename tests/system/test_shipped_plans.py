"""Every shipped plan plays, squeezed into seconds, against one service; the whole day with everything a run has."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from loadtest.plan.plan_file import shipped_plans
from loadtest.records import endpoint_and_region
from loadtest.scenarios.regions import REGIONS
from tests.system.run_process import Run
from tests.target_service.service_process import Service, running

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service")) as one:
        yield one


@pytest.fixture(scope="module")
def outcomes(service: Service) -> dict[str, Any]:
    """What became of each plan, by its name."""
    command = [sys.executable, "-m", "tests.system.squeezed_plans", service.url]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    return {told["plan"]: told for told in map(json.loads, ended.stdout.splitlines())}


@pytest.mark.parametrize("name", shipped_plans())
def test_a_shipped_plan_plays_squeezed(outcomes: dict[str, Any], name: str) -> None:
    told = outcomes[name]
    assert told["errors"] == {}
    assert told["ok"] == told["planned"] > 50


@pytest.mark.slow(held_by="test_a_shipped_plan_plays_squeezed")
def test_the_whole_day_plays_squeezed_and_its_books_agree(tmp_path: Path) -> None:
    """Every region's orders are stored for it; the way from there is in response times and not in service times."""
    plan = (files("loadtest.plan") / "plans" / "day.toml").read_text(encoding="utf-8")
    ended = Run(tmp_path / "runs", "--time-scale", "0.0001", "--peak-tps", "150", plan=plan).end()
    assert ended.code in {0, 10, 11}, ended.output  # slow or INVALID on a busy machine
    audit = ended.result.audit
    assert audit is not None
    assert audit.balanced, audit
    assert audit.acknowledged == ended.result.transactions.count > 20
    names = {region.name: region for region in REGIONS}
    for name, endpoint in ended.result.endpoints.items():
        region = names.get(endpoint_and_region(name)[1] or "")
        if region is not None and name.startswith("POST /checkouts"):
            way_ms = endpoint.response_ms.mean - endpoint.service_ms.mean
            assert way_ms >= region.rtt_ms * 0.95, name
