"""The client's benchmark: its fuzzer (briefly), its picture, and one short round of the real thing."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.client import run
from benchmarks.client.contestants import OURS, installed, k6_counts
from benchmarks.client.fuzz import fuzz
from benchmarks.picture import bars


def test_five_thousand_mutated_responses_end_in_the_named_ways() -> None:
    outcomes = fuzz(5000, seed=7)
    assert outcomes.keys() == {"complete", "protocol", "closed"}
    assert outcomes.total() == 5000


def test_the_picture_escapes_what_it_shows_and_draws_to_scale() -> None:
    drawn = ElementTree.fromstring(bars("<title>", {"a & b": {"x": 50.0, "y": 100.0}}, highlighted="y"))  # noqa: S314 - our own
    widths = [
        float(rect.attrib["width"])
        for rect in drawn.iter("{http://www.w3.org/2000/svg}rect")
        if "x" in rect.attrib
    ]
    assert widths[1] == pytest.approx(2 * widths[0])
    texts = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"<title>", "a & b", "100"} <= texts


RECORDED = Path(__file__).parent / "recorded"
"""What k6 1.1.0 gave to `handleSummary` in the benchmark: of `get`, and of `get` against a page that is missing."""


def test_k6s_requests_are_counted_from_its_summary() -> None:
    summary = json.loads((RECORDED / "k6_good.json").read_text())
    good, failed, wall_s = k6_counts(summary)
    assert (good, failed) == (52_365, 0)
    assert wall_s == pytest.approx(2.001, abs=1e-3)


def test_requests_that_k6_calls_failed_are_not_counted_as_good() -> None:
    summary = json.loads((RECORDED / "k6_not_found.json").read_text())
    good, failed, wall_s = k6_counts(summary)
    assert (good, failed) == (0, 20_190)
    assert wall_s == pytest.approx(1.010, abs=1e-3)


def test_a_k6_script_that_sent_nothing_counts_nothing() -> None:
    assert k6_counts({"state": {"testRunDurationMs": 1000.0}, "metrics": {}}) == (0, 0, 1.0)


def test_k6_is_found_beside_the_python_that_measures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert "k6" not in {contestant.name for contestant in installed()}
    (tmp_path / "k6").touch(mode=0o755)
    assert "k6" in {contestant.name for contestant in installed()}


@pytest.mark.campaign
@pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="the sink is nginx")
def test_a_round_measures_every_installed_client(tmp_path: Path) -> None:
    report = run(tmp_path, rounds=1, seconds=1, journeys=("get",))
    medians = report["journeys"]["get"]
    assert medians[OURS]["ours_is_times"] == 1.0
    assert medians["Locust FastHttpUser"]["ours_is_times"] > 2
    assert json.loads((tmp_path / "client.json").read_text()) == report
    assert OURS in (tmp_path / "client.svg").read_text()
