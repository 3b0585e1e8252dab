"""Which request meets which fault, decided by seeded dice on a clock that only moves when told."""

import os
from pathlib import Path

import pytest

from target_service.config import parse
from target_service.faults import Drill, Fault, Faults, read_drill

SECOND = 10**9


def faults_of(drill: Drill, slot: int = 0) -> tuple[Faults, list[int], list[str]]:
    """Faults with their clock (one element, nanoseconds) and the list of those met."""
    clock, met = [0], list[str]()
    faults = Faults(slot, lambda: clock[0], met.append)
    faults.set(drill)
    return faults, clock, met


def struck(drill: Drill, slot: int = 0, requests: int = 1000) -> list[bool]:
    faults, _, _ = faults_of(drill, slot)
    return [faults.of_request("create_order") is not None for _ in range(requests)]


def test_a_drill_repeats_itself_and_each_worker_has_dice_of_its_own() -> None:
    drill = Drill((Fault("error", probability=0.3),), seed=5)
    assert struck(drill) == struck(drill)
    assert struck(drill) != struck(drill, slot=1)
    assert struck(drill) != struck(Drill(drill.faults, seed=6))
    assert 250 < sum(struck(drill)) < 350


def test_a_fault_can_be_met_only_within_its_time() -> None:
    faults, clock, met = faults_of(Drill((Fault("error", start_s=1, duration_s=2),)))
    seen = []
    for second in range(4):
        clock[0] = second * SECOND
        seen.append(faults.of_request("create_order") is not None)
    assert seen == [False, True, True, False]
    assert met == ["error", "error"]


def test_a_fault_of_one_route_spares_the_others() -> None:
    faults, _, _ = faults_of(Drill((Fault("hang", route="get_order"),)))
    assert faults.of_request("create_order") is None
    assert faults.of_request("get_order") is not None


def test_a_stall_of_the_store_is_met_by_commits_and_not_by_requests() -> None:
    faults, _, met = faults_of(Drill((Fault("stall-store", delay_ms=250),)))
    assert faults.of_request("create_order") is None
    assert faults.store_stall_s() == 0.25
    assert met == ["stall-store"]


def test_an_empty_drill_ends_the_faults() -> None:
    faults, _, _ = faults_of(Drill((Fault("error"), Fault("stall-store"))))
    faults.set(Drill())
    assert faults.of_request("create_order") is None
    assert faults.store_stall_s() == 0


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"faults": [{"kind": "earthquake"}]}', '{"faults": [{"kind": "error", "probability": 2}]}'],
)
def test_a_bad_drill_file_is_named(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "drill.json"
    path.write_text(text)
    for flag in (path, tmp_path / "missing.json"):
        with pytest.raises(SystemExit) as ended:
            parse(["--enable-faults", "--drill", str(flag)], {})
        assert ended.value.code == 2
        assert f"argument --drill: {flag}" in capsys.readouterr().err


def test_a_drill_may_come_by_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, b'{"faults": [{"kind": "error"}]}')
    os.close(writing)
    try:
        config = parse(["--enable-faults", "--drill", f"/dev/fd/{reading}"], {})
        assert read_drill(config.drill) == Drill((Fault("error"),))
    finally:
        os.close(reading)
