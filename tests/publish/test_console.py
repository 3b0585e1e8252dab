"""The live display, driven by the run's own time."""

import io
import json
import threading
from dataclasses import replace

import pytest
from rich.console import Console

from loadtest.publish.console import LiveError, LiveView, Progress
from loadtest.publish.mode import Mode

VIEW = LiveView(
    t_s=0.0,
    phase="spike",
    planned_tps=1200.0,
    started_tps=1199.0,
    completed_tps=1185.0,
    p50_ms=2.1,
    p99_ms=9.3,
    p99_9_ms=44.1,
    dropped=4,
    failed=3,
    backlog=17,
    in_flight=12,
    workers=2,
    dispatch_lag_p99_ms=0.21,
)


def shown(mode: Mode, instants_s: list[float], *, terminal: bool = False) -> str:
    """What a run with snapshots at these instants writes."""
    file = io.StringIO()
    console = Console(file=file, width=100, force_terminal=terminal, color_system=None, legacy_windows=False)
    progress = Progress(mode, 60.0, console)
    for instant_s in instants_s:
        progress.update(replace(VIEW, t_s=instant_s))
    progress.close()
    progress.close()
    return file.getvalue()


def test_a_log_gets_a_line_every_five_seconds_and_the_last_state() -> None:
    lines = shown(Mode.AUTO, [second / 2 for second in range(25)]).splitlines()
    assert [line[:7] for line in lines] == ["   0/60", "   5/60", "  10/60", "  12/60"]


def test_a_line_tells_rates_latencies_losses_and_what_waits() -> None:
    (line,) = shown(Mode.LINES, [1.0]).splitlines()
    assert line == (
        "   1/60 s  spike  1,185 of 1,200 transactions/s  p50 2.10 ms p99 9.30 ms  failed 3  dropped 4  queued 17"
    )


def lines_of(*views: LiveView) -> list[str]:
    """What a log gets of these snapshots."""
    file = io.StringIO()
    progress = Progress(Mode.LINES, 60.0, Console(file=file, width=80))
    for view in views:
        progress.update(view)
    return file.getvalue().splitlines()


def test_a_line_is_short_while_all_is_well_and_names_what_is_not() -> None:
    well = replace(VIEW, noun="order", backlog=0, failed=0, dropped=0)
    ill = replace(well, t_s=5.0, workers=1, dispatch_lag_p99_ms=23.0)
    short, long = lines_of(well, ill)
    assert len(short) <= 80
    assert long.endswith("generator 23.0 ms late  1 worker missing")


ERRORS = (LiveError("POST /orders", "status-503", 12, 0.031), LiveError("GET /" + "x" * 90, "reset", 3, 0.5))


def test_a_log_names_errors_by_endpoint_whenever_there_are_new_ones() -> None:
    views = (replace(VIEW, t_s=t_s, errors=errors) for t_s, errors in ((0, ()), (5, ERRORS), (10, ERRORS)))
    told = [line for line in lines_of(*views) if "errors:" in line]
    assert len(told) == 1
    assert "POST /orders status-503 x 12 (3.1%); GET /xxx" in told[0]


def test_the_terminal_shows_errors_by_endpoint_a_line_each() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system=None, legacy_windows=False)
    progress = Progress(Mode.LIVE, 60.0, console)
    progress.update(replace(VIEW, errors=ERRORS))
    progress.close()
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert "errors    POST /orders  status-503 x 12 (3.1%)" in lines
    assert any(line.endswith("…  reset x 3 (50%)") and len(line) <= 80 for line in lines)


def test_a_terminal_is_redrawn_at_most_four_times_a_second() -> None:
    text = shown(Mode.AUTO, [tick / 100 for tick in range(100)], terminal=True)
    assert text.count("planned 1,200") <= 6  # four in the second, the last state, and rich's own last frame


def test_the_terminal_shows_phase_bar_time_left_and_figures() -> None:
    text = shown(Mode.LIVE, [12.0], terminal=True)
    for words in (
        "spike",
        "48 s left",
        "planned 1,200",
        "p99.9 44.1 ms",
        "dropped 4",
        "queued 17",
        "workers 2",
    ):
        assert words in text


def test_the_terminal_counts_what_the_run_sends() -> None:
    file = io.StringIO()
    progress = Progress(
        Mode.LIVE, 60.0, Console(file=file, width=100, force_terminal=True, color_system=None)
    )
    progress.update(replace(VIEW, noun="parcel"))
    progress.close()
    assert "parcels/s" in file.getvalue()
    assert "orders/s" not in file.getvalue()


def test_the_cursor_comes_back_at_the_end() -> None:
    assert shown(Mode.LIVE, [12.0], terminal=True).rstrip().endswith("\x1b[?25h")


def test_the_live_view_starts_no_thread() -> None:
    before = threading.active_count()
    progress = Progress(Mode.LIVE, 60.0, Console(file=io.StringIO(), force_terminal=True))
    progress.update(VIEW)
    assert threading.active_count() == before  # gevent and threads do not mix
    progress.close()


def test_json_is_one_object_a_second() -> None:
    lines = shown(Mode.JSON, [0.0, 0.4, 1.0, 1.9, 2.0]).splitlines()
    assert [json.loads(line)["t_s"] for line in lines] == [0, 1, 2]
    assert json.loads(lines[0])["p99_9_ms"] == 44.1


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_is_silent(terminal: bool) -> None:
    assert shown(Mode.QUIET, [0.0, 10.0], terminal=terminal) == ""


def test_a_run_without_a_snapshot_closes_silently() -> None:
    assert shown(Mode.LIVE, [], terminal=True) == ""


def test_a_run_longer_than_planned_has_no_time_left() -> None:
    assert "0 s left" in shown(Mode.LIVE, [75.0], terminal=True)


def test_no_latency_is_told_before_the_first_answer() -> None:
    (line,) = lines_of(replace(VIEW, p50_ms=0.0, p99_ms=0.0))
    assert "p50 - p99 -" in line
