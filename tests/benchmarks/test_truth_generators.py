"""What generators say at their end is read as they mean it: from output recorded of real runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.truth.generators import k6_quantiles_ms

RECORDED = Path(__file__).parent / "recorded" / "k6_stall.json"
"""k6 1.1.0, 100 arrivals/s for 3 s with 200 VUs, the target stalling for 1 s."""


def _summary() -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(RECORDED.read_text())
    return summary


def test_k6s_quantiles_are_those_of_the_requests_durations_in_ms() -> None:
    assert k6_quantiles_ms(_summary()) == pytest.approx(
        [28.2, 746.4, 894.8, 1007.5, 1024.4, 1026.5], abs=0.05
    )


def test_a_run_of_k6_with_failed_requests_is_no_measurement() -> None:
    summary = _summary()
    summary["metrics"]["http_req_failed"]["values"]["passes"] = 3
    with pytest.raises(RuntimeError, match="3 of 301 requests of k6 failed"):
        k6_quantiles_ms(summary)
