"""The master's books stay as small in the last hour of a run as they were when its timeline was full.

A short span stands for the day: with 60 bins instead of 3,600 the timeline is full after a minute, and what
grows after that would grow all day. `python -m benchmarks.long_run` is the day itself.
"""

import pytest

from benchmarks import long_run


@pytest.mark.campaign
def test_three_times_as_long_a_run_takes_hardly_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.fleet.timeline.MAX_BINS", 60)
    monkeypatch.setattr("loadtest.drive.locust_stats._HISTORY_ROWS_KEPT", 20)
    monkeypatch.setattr(long_run, "ENDPOINTS", 4)
    short_mb = long_run.growth_mb(300 / 3600, traced=True)
    long_mb = long_run.growth_mb(900 / 3600, traced=True)
    assert long_mb - short_mb < 0.25, f"{short_mb:.2f} MB after 5 minutes, {long_mb:.2f} MB after 15"
