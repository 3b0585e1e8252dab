"""`singlesday simulate` as a user types it."""

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from loadtest.cli.main import app
from loadtest.judge.capacity import Capacity, Limit
from loadtest.judge.capacity_result import CapacityResult, Step
from loadtest.measure.histogram import Histogram


def step(tps: float, outcome: str, took_ms: float, completed_tps: float) -> Step:
    histogram = Histogram()
    for number in range(2000):
        histogram.record_us(round(took_ms * (800 + number % 400)))
    return Step(
        tps=tps, outcome=outcome, measured_s=5.0, completed_tps=completed_tps, response_ms=histogram.quantiles(),
        response_buckets=histogram.buckets(), dispatch_lag_p99_ms=0.1, cpu_max=0.2,
    )  # fmt: skip


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """The folder of a search for capacity that found 1,000 a second."""
    result = CapacityResult.of(
        Capacity(980.0, 1010.0, Limit.TARGET, 3), plan="steady", targets=[], started_at="2026-11-29T12:00:00+00:00",
        took_s=30.0, objectives=[], tolerance=0.03,
        steps=[step(310, "pass", 6, 310), step(980, "pass", 40, 980), step(1010, "fail", 300, 1000),
               step(700, "fail", 300, 690), step(4000, "invalid", 900, 400)],
    )  # fmt: skip
    result.write(tmp_path)
    return tmp_path


def simulate(*arguments: str) -> tuple[int, str]:
    ended = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["simulate", *arguments])
    return ended.exit_code, ended.output


def test_figures_are_printed_and_said_to_be_projected(measured: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    flags = (
        "--from",
        str(measured),
        "--replicas",
        "3",
        "--replicas",
        "4",
        "--html",
        str(page),
        "--zone-lost",
        "20s",
    )
    code, said = simulate("singles-day", "--peak-tps", "3000", *flags)
    assert code == 0, said
    assert "at most 1,000 transactions a second, group commit" in said
    assert "projected, not measured; simulated in" in said
    assert "…" not in said, "a figure was cut off"
    drawn = page.read_text(encoding="utf-8")
    assert 'data-chart="rates-3"' in drawn
    assert 'data-chart="times-4"' in drawn
    assert "a zone is lost" in drawn


def test_a_step_that_was_broken_off_at_once_tells_nothing_of_a_replica(measured: Path) -> None:
    found = CapacityResult.read(measured / "capacity.json")
    broken = [msgspec.structs.replace(step(tps, "fail", 300, 0.0), measured_s=0.3) for tps in (2000, 4000)]
    msgspec.structs.replace(found, steps=[*found.steps, *broken]).write(measured)
    code, said = simulate("singles-day", "--peak-tps", "500", "--from", str(measured), "--json")
    assert code == 0, said
    assert json.loads(said)["replica"]["tps"] == 1000


def test_json_is_one_document(measured: Path) -> None:
    code, said = simulate(
        "singles-day", "--peak-tps", "2000", "--from", str(measured), "--replicas", "3", "--json"
    )
    assert code == 0
    document = json.loads(said)
    assert document["projected"] is True
    assert document["replica"]["tps"] == 1000
    assert document["simulated"][0]["completed"] == document["simulated"][0]["offered"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], "--from: expected the folder"),
        (["--from", "/nowhere"], "--from /nowhere: expected the folder"),
        (["--from", "MEASURED", "--slower", "0"], "--slower: expected a factor above 0"),
        (["--from", "MEASURED", "--zone-lost", "soon"], "--zone-lost"),
        (
            ["--from", "MEASURED", "--replicas", "9", "--zone-lost", "9" * 400],
            "--zone-lost: expected a finite number of seconds",
        ),
        (
            ["--from", "MEASURED", "--replica-tps", "inf"],
            "--replica-tps: expected a number above 0, got inf",
        ),
        (["--from", "MEASURED", "--peak-tps", "inf"], "--peak-tps: expected a number above 0, got inf"),
        (["--from", "MEASURED", "--time-scale", "nan"], "--time-scale: expected a number above 0, got nan"),
        (["--bill", "--for", "inf"], "--for: expected a number above 0, got inf"),
        (["--bill", "--for", "nan"], "Invalid value for '--for'"),
        (["--bill", "--for", "1e308"], "--for: expected a rate that can be reckoned with, got 1e+308"),
        (["--from", "MEASURED", "--replicas", "9", "--zone-lost", "2h"], "within the plan's 60 s"),
        (
            ["--from", "MEASURED", "--replicas", "2", "--zone-lost", "5s"],
            "at least as many replicas as zones",
        ),
        (["--from", "MEASURED", "--zones", "1"], "--zones: expected at least 2"),
        (["--from", "MEASURED", "--replica-tps", "300"], "expected a rate below 300"),
        (
            ["--from", "MEASURED", "--at-once", "9", "--under-way", "8"],
            "--under-way: expected at least the 9",
        ),
        (["--from", "MEASURED", "--at-once", "100"], "--at-once 100: 1,000 a second that take"),
        (["--from", "MEASURED", "--peak-tps", "1e9"], "at most 2,000,000,000 arrivals"),
        (
            ["--from", "MEASURED", "--html", "/nowhere/page.html"],
            "--html: expected a file in a folder that can be",
        ),
    ],
)
def test_a_mistake_ends_with_code_2_and_says_which(flags: list[str], expected: str, measured: Path) -> None:
    code, said = simulate("singles-day", *[str(measured) if flag == "MEASURED" else flag for flag in flags])
    assert code == 2, said
    assert expected in " ".join(said.split())


def test_a_replica_with_a_bound_refuses_what_is_beyond_it(measured: Path) -> None:
    flags = ("--from", str(measured), "--at-once", "7", "--peak-tps", "2000", "--json")
    code, said = simulate("singles-day", *flags)
    assert code == 0, said
    assert json.loads(said)["simulated"][0]["refused"] == 0
    code, said = simulate("singles-day", *flags, "--under-way", "70")
    document = json.loads(said)
    assert document["replica"]["under_way"] == 70
    (found,) = document["simulated"]
    assert found["refused"] > 0.2 * found["offered"]
    assert found["p99_ms"] < 1.1 * 70  # that many, a thousand a second


def test_a_run_folder_needs_the_replicas_rate_and_is_simulated_from_with_it(tmp_path: Path) -> None:
    from tests.publish.sample_result import Scene, sample_result  # noqa: PLC0415 - of one test

    run = sample_result(Scene(peak_tps=150))
    run.write(tmp_path / "result.json")
    code, said = simulate("singles-day", "--from", str(tmp_path))
    assert code == 2
    assert "--replica-tps: expected, since a run" in " ".join(said.split())
    most = 2 * run.transactions.mean_tps
    flags = ("--from", str(tmp_path), "--replica-tps", f"{most}", "--peak-tps", "50", "--json")
    code, said = simulate("singles-day", *flags)
    assert code == 0, said
    assert json.loads(said)["replica"]["tps"] == most


def test_the_bill_is_printed_within_the_width_and_as_json(tmp_path: Path) -> None:
    code, said = simulate("--bill", "--for", "58300")
    assert code == 0, said
    assert "58,300 orders a second, projected" in said
    table = said.partition("\n")[2]
    assert max(map(len, table.splitlines())) <= 80
    code, said = simulate("--bill", "--json")
    lines = json.loads(said)["lines"]
    assert {line["part"] for line in lines} == {"generator", "network", "service"}


def test_measurements_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "inputs.json").write_text("{}", encoding="utf-8")
    for path, expected in (
        (tmp_path / "inputs.json", "missing required field"),
        (tmp_path / "no", "cannot be read"),
    ):
        code, said = simulate("--bill", "--inputs", str(path))
        assert code == 2
        assert expected in " ".join(said.split())
