"""Does a run tell the truth? Real processes against a target whose faults are known exactly.

Most scenes are light (100 arrivals/s) and long, so they are played side by side, begun before the first test
that needs one; only those the selected tests ask for are played. The one with a hog on the
generator's core comes last, alone.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from json import loads
from pathlib import Path

import msgspec
import pytest

from loadtest.cli.recover import recover_folder
from loadtest.measure.run_result import Quantiles, RunResult
from tests.slow import cases_to_play
from tests.system.locust_process import locust_run, target, write_plan
from tests.system.truth_scenes import (
    NS,
    SCENES,
    Findings,
    generator_did_well,
    identity_holds,
    rates,
)
from tests.timing import Timing

AT_ONCE = 5
"""Scenes side by side: a process of Locust takes a core for over a second to start."""
Scenes = dict[str, "Future[Findings]"]


@pytest.fixture(scope="module")
def scenes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenes]:
    """Every scene that a selected test asks for, playing."""
    wanted = cases_to_play(request, "found")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(play_scene, tmp_path_factory.mktemp(name))
            for name, play_scene in SCENES.items()
            if name in wanted
        }


@pytest.fixture
def found(request: pytest.FixtureRequest, scenes: Scenes, timing: Timing, tmp_path: Path) -> Findings:
    """What the scene named by the test's `@scene` left behind; it plays again where its times were not its own."""
    name = request.param
    if timing.again:
        scenes[name] = Future()
        scenes[name].set_result(SCENES[name](tmp_path))
    findings = scenes[name].result()
    timing.told(findings.taken)
    if findings.written is not None:
        timing.heard(findings.written)
    return findings


def scene(*names: str) -> pytest.MarkDecorator:
    """Give a test the findings of a scene, or of each of several, as `found`."""
    return pytest.mark.parametrize("found", names, indirect=True)


pytestmark = pytest.mark.alone


@pytest.mark.slow(stays=["stalled"])
@scene("stalled", "stalled_for_longer")
def test_response_time_tells_of_a_stall_what_was_lost_by_it(found: Findings, timing: Timing) -> None:
    """A sixth of all arrivals wait 0 to the stall's length, evenly: 5 % of all wait longer than 0.7 of it."""
    orders, stall_ms = found.result.endpoints["POST /call"], found.result.run.duration_s / 6 * 1000
    with timing:
        assert orders.requests == 100 * found.result.run.duration_s  # a late generator drops some
        assert orders.response_ms.p95 == pytest.approx(0.7 * stall_ms, rel=0.05)
        assert orders.response_ms.max == pytest.approx(stall_ms, rel=0.05)
        assert generator_did_well(found.result), found.result.validity.reasons


@pytest.mark.slow(stays=["stalled"])
@scene("stalled", "stalled_for_longer")
def test_service_time_alone_would_lie_about_a_stall(found: Findings, timing: Timing) -> None:
    """Only the 30 requests in flight meet the stall: their share is too small for p95 to notice."""
    with timing:
        assert found.result.endpoints["POST /call"].service_ms.p95 < 100


@pytest.mark.slow(stays=["stalled"])
@scene("stalled", "stalled_for_longer")
def test_every_second_of_the_plan_started_in_the_books_whatever_the_target_did(
    found: Findings, timing: Timing
) -> None:
    assert identity_holds(found.result.arrivals)
    seconds = round(found.result.run.duration_s)
    assert [point.scheduled for point in found.result.timeline[:seconds]] == [100] * seconds
    assert found.seen.received == found.result.arrivals.started
    with timing:  # a late generator drops some
        assert found.result.arrivals.started == 100 * seconds


@scene("stopped_target")
def test_a_target_stopped_for_two_seconds_is_seen_to_two_percent(found: Findings, timing: Timing) -> None:
    """The longest wait is of the arrival right after the stop: 2 s, less up to one gap of 10 ms."""
    stopped_ms = (found.marks["woken"] - found.marks["stopped"]) * 1000
    orders = found.result.endpoints["POST /call"]
    with timing:
        assert orders.response_ms.max == pytest.approx(stopped_ms, rel=0.02)
        assert orders.response_ms.p90 == pytest.approx(
            stopped_ms - 1_000, rel=0.05
        )  # 100 of 1,000 wait longer


@scene("slow_target")
def test_a_slow_target_fails_its_objective_in_a_valid_run(found: Findings, timing: Timing) -> None:
    with timing:
        assert generator_did_well(found.result), found.result.validity.reasons
    if found.result.validity.verdict == "VALID":
        assert (found.result.verdict, found.code) == ("FAIL", 10)
    failed = [slo for slo in found.result.slo if not slo.passed]
    assert [slo.expr for slo in failed] == ["p99(POST /call) < 100ms"]
    assert failed[0].observed is not None
    with timing:
        assert 150 <= failed[0].observed < 200


@scene("foreign")
def test_users_of_every_kind_serve_every_arrival_once(found: Findings, timing: Timing) -> None:
    """Five classes at 25/s for 6 s; four send one request an arrival, the fifth sends two."""
    result = found.result
    assert identity_holds(result.arrivals)
    with timing:  # no worker was taken for lost, and no arrival dropped
        assert (result.arrivals.planned, result.arrivals.ok) == (750, 750), found.log
        assert {name: endpoint.requests for name, endpoint in result.endpoints.items()} == {
            "POST /call": 600,
            "POST /first": 150,
            "POST /second": 150,
            "arrival OursTwice": 150,
        }
        assert found.seen.received == 900


@scene("foreign")
def test_a_journey_has_its_requests_apart_and_itself_as_a_whole(found: Findings, timing: Timing) -> None:
    first, second, whole = (
        found.result.endpoints[name].response_ms
        for name in ("POST /first", "POST /second", "arrival OursTwice")
    )
    with timing:
        assert whole.mean == pytest.approx(first.mean + second.mean, rel=0.35)
        assert whole.mean > max(first.mean, second.mean)


@scene("foreign")
def test_locusts_own_statistics_count_every_request_of_every_client_once(
    found: Findings, timing: Timing
) -> None:
    entries = loads((found.folder / "locust.json").read_text())
    counted = {entry["name"]: entry["num_requests"] for entry in entries}
    assert sum(counted.values()) == found.seen.received
    with timing:  # a late generator drops some
        assert counted == {"/call": 600, "/first": 150, "/second": 150}
    assert sum(entry["num_failures"] for entry in entries) == 0


@scene("foreign_stalled")
def test_a_client_that_knows_nothing_of_arrivals_is_measured_from_intent_too(
    found: Findings, timing: Timing
) -> None:
    """800 arrivals, 200 of them in a stall of 2 s: a tenth of all wait longer than 1.2 s."""
    orders = found.result.endpoints["POST /call"]
    assert orders.requests == found.seen.received
    with timing:
        assert orders.requests == 800  # a late generator drops some
        assert orders.response_ms.p90 == pytest.approx(1_200, rel=0.05)
        assert orders.service_ms.p90 < 100
    (entry,) = loads((found.folder / "locust.json").read_text())
    assert entry["num_requests"] == orders.requests
    assert entry["max_response_time"] == pytest.approx(orders.response_ms.max, rel=0.02)


@scene("killed_worker")
def test_a_killed_worker_is_replaced_by_the_others_within_five_seconds(
    found: Findings, timing: Timing
) -> None:
    noticed = [at_s for at_s, text in found.result.events if "was lost" in text]
    assert noticed
    with timing:  # the other was not taken for lost too
        assert len(noticed) == 1
    killed_s = found.marks["killed"] - found.seen.received_ns[0] / NS
    with timing:
        assert noticed[0] - killed_s < 3.0
    after = rates(found.seen)[int(killed_s) + 5 : 12]
    with timing:
        assert len(after) > 3
        assert sum(after) >= 0.99 * 200 * len(after), f"planned 200/s, received {rates(found.seen)}"
        assert min(after) >= 160, "there must be no second dip"


@scene("killed_worker")
def test_what_died_with_a_worker_is_counted_as_lost_and_the_run_says_so(
    found: Findings, timing: Timing
) -> None:
    arrivals = found.result.arrivals
    assert identity_holds(arrivals)
    assert arrivals.lost > 0
    with timing:  # the other was not taken for lost too, which ends a run
        assert arrivals.planned == 2_600
        assert arrivals.lost < 700
    assert found.result.validity.verdict in {"DEGRADED", "INVALID"}
    assert any("worker" in reason and "lost" in reason for reason in found.result.validity.reasons)
    unreported = found.seen.received - arrivals.started
    assert 0 <= unreported <= arrivals.lost, "only what the dead worker had not reported is unknown"


@scene("stopped_worker")
def test_a_worker_stopped_and_woken_serves_nothing_twice_and_comes_back(
    found: Findings, timing: Timing
) -> None:
    arrivals = found.result.arrivals
    assert identity_holds(arrivals)
    with timing:  # the other worker was not taken for lost too, which ends a run
        assert arrivals.planned == 2_800
    assert any("was lost" in text for _, text in found.result.events)
    assert any("joined" in text for _, text in found.result.events)
    assert found.seen.received == arrivals.started, "each request that was sent is in the books, once"
    assert any("was paused" in text for _, text in found.result.events)
    woken_ns = int(found.marks["woken"] * NS)
    in_the_next_tenth = [at for at in found.seen.received_ns if woken_ns <= at < woken_ns + NS // 10]
    with timing:
        assert len(in_the_next_tenth) < 100, "two seconds of its share, 200, must not come at once"
    woken_s = int(found.marks["woken"] - found.seen.received_ns[0] / NS)
    after = rates(found.seen)[woken_s + 3 : 13]
    with timing:
        assert len(after) > 2
        assert sum(after) >= 0.99 * 200 * len(after)


@scene("late_worker")
def test_a_worker_that_joins_late_takes_its_share_without_a_gap_or_a_duplicate(
    found: Findings, timing: Timing
) -> None:
    arrivals = found.result.arrivals
    assert identity_holds(arrivals)
    with timing:
        assert (arrivals.planned, arrivals.lost, arrivals.ok) == (2_000, 0, 2_000)
        # The second had started before the run was over, which takes eight seconds of a core at most.
        assert all(worker["started"] > 0 for worker in found.result.generator.per_worker)
        assert len(found.result.generator.per_worker) == 2
    assert found.seen.received == arrivals.started


@scene("killed_master")
def test_load_stops_within_three_seconds_of_the_masters_death(found: Findings, timing: Timing) -> None:
    last_s = found.seen.received_ns[-1] / NS
    with timing:
        assert last_s - found.marks["killed"] < 3.0
    assert found.seen.received > 500
    told = recover_folder(found.folder / "run")
    assert "later reports of 2 workers" in told
    assert "`singlesday resume" in told
    arrivals = RunResult.read(found.folder / "run" / "result.json").arrivals
    assert identity_holds(arrivals)
    assert arrivals.started == found.seen.received, "the workers' own records know of every request"


@scene("garbage")
def test_garbage_on_the_control_port_changes_nothing(found: Findings, timing: Timing) -> None:
    assert found.marks["messages"] == 7
    with timing:
        assert generator_did_well(found.result), found.log
    with timing:
        assert (found.result.arrivals.planned, found.result.arrivals.ok) == (500, 500)
    assert found.result.generator.workers == 1


def slower(found: Findings, factor: float) -> Findings:
    """The same with every latency longer by a factor."""
    return _with_latencies(found, lambda figures: (_times(figures[0], factor), _times(figures[1], factor)))


def by_intent(found: Findings) -> Findings:
    """The same from a harness that lost the difference: service times are response times."""
    return _with_latencies(found, lambda figures: (figures[0], figures[0]))


def _times(quantiles: Quantiles, factor: float) -> Quantiles:
    figures = msgspec.structs.asdict(quantiles)
    return Quantiles(
        **{name: value if name == "count" else value * factor for name, value in figures.items()}
    )


def _with_latencies(
    found: Findings, change: Callable[[tuple[Quantiles, Quantiles]], tuple[Quantiles, Quantiles]]
) -> Findings:
    result = msgspec.json.decode(msgspec.json.encode(found.result), type=RunResult)
    for endpoint in result.endpoints.values():
        endpoint.response_ms, endpoint.service_ms = change((endpoint.response_ms, endpoint.service_ms))
    for slo in result.slo:
        slo.observed = None if slo.observed is None else 2 * slo.observed
    return replace(found, written=result)


def noticed_late(found: Findings) -> Findings:
    """The same with everything said of the run, and the first request, four seconds apart from where they were."""
    result = msgspec.json.decode(msgspec.json.encode(found.result), type=RunResult)
    result.events = [(at_s + 4, text) for at_s, text in result.events]
    return replace(found, written=result)


def thinned(found: Findings) -> Findings:
    """The same where one request in twenty never came."""
    return replace(
        found, seen=replace(found.seen, received_ns=[at for n, at in enumerate(_at(found)) if n % 20])
    )


def still_loaded(found: Findings) -> Findings:
    """The same with a last request four seconds later."""
    return replace(found, seen=replace(found.seen, received_ns=[*_at(found), _at(found)[-1] + 4 * NS]))


def _at(found: Findings) -> list[int]:
    return found.seen.received_ns


Check = Callable[[Findings, Timing], None]
OFF: list[tuple[str, Check, Callable[[Findings], Findings]]] = [
    ("stalled", test_response_time_tells_of_a_stall_what_was_lost_by_it, lambda found: slower(found, 1.1)),
    ("stalled", test_service_time_alone_would_lie_about_a_stall, by_intent),
    (
        "stopped_target",
        test_a_target_stopped_for_two_seconds_is_seen_to_two_percent,
        lambda found: slower(found, 1.05),
    ),
    ("slow_target", test_a_slow_target_fails_its_objective_in_a_valid_run, lambda found: slower(found, 1.0)),
    (
        "foreign_stalled",
        test_a_client_that_knows_nothing_of_arrivals_is_measured_from_intent_too,
        by_intent,
    ),
    ("killed_worker", test_a_killed_worker_is_replaced_by_the_others_within_five_seconds, noticed_late),
    ("killed_worker", test_a_killed_worker_is_replaced_by_the_others_within_five_seconds, thinned),
    ("killed_master", test_load_stops_within_three_seconds_of_the_masters_death, still_loaded),
]


@pytest.mark.parametrize(
    ("found", "check", "off"),
    OFF,
    indirect=["found"],
    ids=[f"{name}-{n}" for n, (name, *_) in enumerate(OFF)],
)
def test_what_judges_a_scenes_times_fails_where_they_are_off(
    found: Findings, check: Check, off: Callable[[Findings], Findings]
) -> None:
    with pytest.raises(AssertionError) as failed:
        check(off(found), Timing.on_a_quiet_machine())
    assert failed.type is AssertionError, failed.value


HOG = "import time\nend = time.monotonic() + 3\nwhile time.monotonic() < end: pass"
"""Uses up a core for three seconds, so that the run can be judged in peace afterwards."""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux to pin processes to a core")
def test_hogs_on_the_generators_core_make_the_run_invalid_and_it_says_why(
    tmp_path: Path, timing: Timing
) -> None:
    """Once it runs, four hogs leave a generator of lower priority a fortieth of its core; it needs a tenth."""
    core = min(os.sched_getaffinity(0))
    pinned = ["taskset", "-c", str(core)]
    hogs: list[subprocess.Popen[bytes]] = []
    try:
        path = write_plan(tmp_path, rate=2_500, duration_s=5)
        with target() as aimed, locust_run(tmp_path, path, aimed.url, prefix=pinned) as run:
            aimed.await_first_request()
            os.setpriority(os.PRIO_PROCESS, run.master.pid, 10)
            hogs += [subprocess.Popen([*pinned, sys.executable, "-c", HOG]) for _ in range(4)]
            code, result = run.finish()
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    with timing:  # others may slow down the master's own part so much that it gives the run up
        assert (code, result.verdict) == (11, "INVALID")
    reasons = result.validity.reasons
    assert any("late (p99)" in reason and "CPU" in reason for reason in reasons), reasons
    assert identity_holds(result.arrivals)
