"""The benchmark of a whole run beside wrk: one short round of the real thing, and its sums."""

import json
from pathlib import Path

import msgspec
import pytest

from benchmarks.sustained.run import completed_tps, run
from tests.publish.sample_result import a_failed_run
from tests.required import program


def test_the_second_in_which_connections_open_does_not_count() -> None:
    sample = a_failed_run()
    points = [
        msgspec.structs.replace(sample.timeline[0], t_s=float(second), completed_tps=tps)
        for second, tps in enumerate([1.0, 100.0, 200.0, 50.0])
    ]
    assert completed_tps(msgspec.structs.replace(sample, timeline=points), seconds=3) == 150.0


@pytest.mark.campaign
def test_a_round_drives_orders_with_wrk_and_with_a_whole_run(tmp_path: Path) -> None:
    program("wrk")
    figures = run(tmp_path, seconds=2, rounds=1)
    assert figures["wrk, orders/s"] > 0
    assert figures["singlesday asked for more, orders/s"] > 0
    assert json.loads((tmp_path / "sustained.json").read_text()) == figures
