"""Scripts that `singlesday import` makes, played at the sample shop as they come out."""

import json
import subprocess
import sys
from pathlib import Path

from loadtest.measure.run_result import RunResult
from tests.target_service.service_process import running
from tests.timing import Others, unless_ended

RECORDED = Path(__file__).parents[1] / "importing" / "recorded" / "shop.har"
SINGLESDAY = [sys.executable, "-m", "loadtest.cli.main"]


def singlesday(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*SINGLESDAY, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def played(folder: Path, plan: str, url: str) -> RunResult:
    out = folder / "runs"
    others = Others()
    done = singlesday("run", folder / plan, "--target", url, "--duration", "3s", "--out", out, "--quiet")
    (run,) = out.glob(f"*-{Path(plan).stem}")
    assert (run / "result.json").exists(), done.stderr
    result = RunResult.read(run / "result.json")
    unless_ended(result, others)
    return result


def failures_of(result: RunResult) -> dict[str, int]:
    """How often each endpoint failed; what is not answered before the drain is over is the machine's affair."""
    failures = {name: one.failures - one.unanswered for name, one in result.endpoints.items()}
    return {name: count for name, count in failures.items() if count}


def test_a_browsers_session_and_an_apis_description_run_as_they_come_out(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        assert singlesday("import", "har", RECORDED, "--out", tmp_path).returncode == 0
        session = played(tmp_path, "shop.toml", service.url)
        document = f"{service.url}/openapi.json"
        assert singlesday("import", "openapi", document, "--out", tmp_path, "--name", "api").returncode == 0
        described = played(tmp_path, "api.toml", service.url)
    asked = {
        "GET /products/[sku]",
        "POST /orders",
        "GET /orders/[order_id]",
        "POST /orders/[order_id]/payment",
    }
    assert asked < set(session.endpoints), json.dumps(sorted(session.endpoints))
    assert failures_of(session) == {}
    asked = {
        "POST /orders",
        "POST /orders/[order_id]/payment",
        "POST /parcels/[parcel_id]/events",
        "POST /checkouts",
    }
    assert asked < set(described.endpoints)
    assert failures_of(described) == {}
    assert "POST /inventory/[sku]/restocks" not in described.endpoints, "an operator's login is missing"
    assert 'user = "api:PostInventorySkuRestocks"' in (tmp_path / "api.toml").read_text()
