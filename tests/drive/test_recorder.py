"""The recorder against Locust itself: it counts what Locust's own listener would have counted."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from locust.env import Environment
from locust.exception import CatchResponseError, StopUser
from locust.runners import LocalRunner
from locust.stats import RequestStats, StatsEntry, setup_distributed_stats_event_listeners

from loadtest.drive import locust_stats
from loadtest.drive.locust_stats import LocustBatch, prune
from loadtest.drive.recorder import Recorder, recorder_for
from loadtest.records import Outcome

MS = 1_000_000


def outcome(
    response_ns: int = 5 * MS, name: str = "/orders", error: str | None = None, size: int = 63
) -> Outcome:
    return Outcome("POST", name, 1_000, 2_000, 1_000 + response_ns, size, error)


def listen(environment: Environment, listener: Callable[..., None]) -> None:
    event: Any = environment.events.request
    event.add_listener(listener)


def figures(entry: StatsEntry) -> tuple[Any, ...]:
    """What of an entry does not depend on the second it was filled in."""
    return (
        entry.num_requests,
        entry.num_failures,
        pytest.approx(entry.total_response_time),
        pytest.approx(entry.min_response_time),
        pytest.approx(entry.max_response_time),
        dict(entry.response_times),
        entry.total_content_length,
        sum(entry.num_reqs_per_sec.values()),
        sum(entry.num_fail_per_sec.values()),
    )


times_ns = st.integers(0, 120_000_000_000).filter(lambda ns: ns % 100_000)  # not on a boundary of rounding


@given(st.lists(st.tuples(times_ns, st.sampled_from(["/a", "/b"]), st.booleans()), min_size=1, max_size=60))
def test_a_batch_is_what_locust_counts_one_by_one(requests: list[tuple[int, str, bool]]) -> None:
    theirs, ours, batch = RequestStats(), RequestStats(), LocustBatch()
    for response_ns, name, failed in requests:
        error = CatchResponseError("no") if failed else None
        theirs.log_request("POST", name, response_ns / 1e6, 63)  # type: ignore[arg-type] # Locust itself passes floats
        batch.add(outcome(response_ns, name))
        if error:
            theirs.log_error("POST", name, error)
            batch.add_error(outcome(response_ns, name), error)
    batch.flush(ours)
    assert ours.entries.keys() == theirs.entries.keys()
    for key, entry in theirs.entries.items():
        assert figures(ours.entries[key]) == figures(entry)
    assert figures(ours.total) == figures(theirs.total)
    assert {k: e.occurrences for k, e in ours.errors.items()} == {
        k: e.occurrences for k, e in theirs.errors.items()
    }


def test_flushing_twice_counts_once(environment: Environment, recorder: Recorder) -> None:
    recorder.record(outcome())
    recorder.flush()
    recorder.flush()
    assert environment.stats.total.num_requests == 1


def test_the_sink_gets_every_outcome_at_once(recorder: Recorder, outcomes: list[Outcome]) -> None:
    recorder.record(outcome())
    assert outcomes == [outcome()]


def test_there_is_one_recorder_for_an_environment(environment: Environment, recorder: Recorder) -> None:
    assert recorder_for(environment) is recorder


def test_a_listener_is_told_and_locusts_own_does_not_count_twice(
    environment: Environment, recorder: Recorder
) -> None:
    runner = LocalRunner(environment)
    told: list[dict[str, Any]] = []
    listen(environment, lambda **event: told.append(event))
    recorder.find_listeners()
    recorder.record(outcome(), None, None, {"user": 7})
    recorder.flush()
    runner.quit()
    assert [(e["request_type"], e["name"], e["response_time"], e["context"]) for e in told] == [
        ("POST", "/orders", 5.0, {"user": 7})
    ]
    assert environment.stats.total.num_requests == 1


def test_without_a_listener_nothing_is_fired(environment: Environment, recorder: Recorder) -> None:
    runner = LocalRunner(environment)
    recorder.find_listeners()
    runner.quit()
    assert recorder.listeners == []


def test_what_a_listener_raises_is_logged_unless_it_steers_the_user(
    environment: Environment, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(**_event: Any) -> None:
        raise ValueError("listener broke")

    def stop(**_event: Any) -> None:
        raise StopUser

    listen(environment, break_down)
    recorder.find_listeners()
    told: list[Exception] = []
    recorder.on_listener_error = told.append
    recorder.record(outcome())
    assert "listener broke" in caplog.text
    assert [str(error) for error in told] == ["listener broke"]
    listen(environment, stop)
    recorder.find_listeners()
    with pytest.raises(StopUser):
        recorder.record(outcome())


def test_a_worker_report_holds_what_was_recorded_just_before_it(
    environment: Environment, recorder: Recorder
) -> None:
    fresh = Environment()
    setup_distributed_stats_event_listeners(fresh.events, fresh.stats)
    late = recorder_for(fresh)
    late.record(outcome())
    report: dict[str, Any] = {}
    fire: Any = fresh.events.report_to_master.fire
    fire(client_id="w", data=report)
    late.close()
    assert [entry["num_requests"] for entry in report["stats"]] == [1]


def test_the_end_of_a_test_brings_the_statistics_up_to_date(
    environment: Environment, recorder: Recorder
) -> None:
    recorder.record(outcome())
    fire: Any = environment.events.test_stop.fire
    fire(environment=environment)
    assert environment.stats.total.num_requests == 1


def test_a_reset_forgets_what_was_not_yet_counted(environment: Environment, recorder: Recorder) -> None:
    recorder.record(outcome())
    fire: Any = environment.events.reset_stats.fire
    fire()
    recorder.flush()
    assert environment.stats.total.num_requests == 0


def test_messages_of_scripts_cannot_grow_the_error_table_without_bound(
    environment: Environment, recorder: Recorder
) -> None:
    for n in range(1200):
        recorder.record(outcome(error="failure"), CatchResponseError(f"order {n} is missing " + "x" * 2000))
    recorder.flush()
    rows = environment.stats.errors.values()
    assert len(rows) <= 501
    assert sum(row.occurrences for row in rows) == 1200
    assert max(len(str(row.error)) for row in rows) <= 600


def test_a_day_of_seconds_is_pruned_to_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    stats, batch = RequestStats(), LocustBatch()
    now = [time.time()]
    monkeypatch.setattr(locust_stats.time, "time", lambda: now[0])  # type: ignore[attr-defined] # the module's clock
    for _ in range(3000):
        now[0] += 1
        batch.add(outcome())
        batch.flush(stats)
        stats.history.append({})
        prune(stats)
    assert stats.total.num_requests == 3000
    assert len(stats.total.num_reqs_per_sec) <= 121
    assert len(stats.history) <= 2001
    assert len(stats.total.response_times_cache or ()) <= 20
    assert stats.total.current_rps == 1
