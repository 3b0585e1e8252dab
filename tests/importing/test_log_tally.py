"""What is kept of a log: within bounds however long it is, and telling the same."""

from collections import Counter
from pathlib import Path

import pytest

from loadtest.importing.import_error import ImportingError
from loadtest.importing.log_format import BY_ADDRESS, FORMATS
from loadtest.importing.log_reader import read_logs
from loadtest.importing.log_scan import batch_in
from loadtest.importing.log_tally import LogTally
from loadtest.importing.path_tree import MOST_SEGMENTS
from loadtest.importing.shares import shares_of
from loadtest.importing.traffic import Keys
from tests.importing.logs import LINES, Logged
from tests.importing.test_log_reader import START_S, written


def tallied(*pieces: list[Logged]) -> LogTally:
    """Requests of `combined`, counted a piece at a time."""
    tally, line = LogTally(), LINES["combined"]
    for some in pieces:
        text = "\n".join(map(line, some)) + "\n"
        tally.add(batch_in(text.encode(), FORMATS["combined"], BY_ADDRESS, tally.paths))
    return tally


def test_queries_are_counted_however_many_keys_had_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtest.importing.log_tally.MOST_QUERIES", 50)
    targets = [f"/products/sku-{number:06d}?ref=mail" for number in range(200)]
    targets += [f"/search{more}" for number in range(100) for more in (f"?q={number}", "")]
    lines = [LINES["combined"](Logged(START_S, "GET", target)) for target in targets]
    found = {
        each.called: each.query for each in read_logs([written(tmp_path, "access.log", lines)]).endpoints
    }
    for called, without in (("/products/[sku]", 0.0), ("/search", 0.5)):
        query = found[called]
        assert query is not None
        assert query.rows.count(("",)) / len(query.rows) == without


def test_requests_with_a_query_are_told_by_template_whatever_words_a_path_has() -> None:
    words = [f"{one}{other}" for one in "abcdefghijklmnopqrst" for other in "abcdefghij"]
    tally = tallied(*([Logged(START_S, "GET", f"/tags/{word}?page=1")] for word in words))
    assert len(tally.with_query) < 50
    counted = Counter[str]()
    for (method, path), requests in tally.with_query.items():
        counted[tally.tree.template_of(method, path)] += requests
    assert counted == {"/tags/{}": len(words)}


def test_a_query_below_more_segments_than_a_template_has_belongs_to_the_template_it_is_counted_with(
    tmp_path: Path,
) -> None:
    deep = "/a" * MOST_SEGMENTS
    targets = [f"{deep}/x/000017/y?page=1", f"{deep}/000017/y"] * 5
    lines = [LINES["combined"](Logged(START_S, "GET", target)) for target in targets]
    found = {
        each.template: each.query for each in read_logs([written(tmp_path, "access.log", lines)]).endpoints
    }
    assert found == {
        f"{deep}/x/{{}}/y": Keys(("query",), (("?page=1",),) * 5, 1, None),
        f"{deep}/{{a_id}}": None,
    }


def test_of_many_pieces_only_so_many_mixes_are_kept_and_they_tell_the_same_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loadtest.importing.log_tally.MOST_PARTS", 64)
    pieces = [
        [Logged(START_S + at, "GET", "/")] * (50 if at < 160 else 20)
        + [Logged(START_S + at, "GET", "/products/sku-000017")] * 50
        for at in range(320)
    ]
    parts = tallied(*pieces).parts()
    assert len(parts) <= 64
    assert sum(part.requests["GET", "/products/{}"] for part in parts) == 320 * 50
    before, after = shares_of(parts, START_S, 320)["GET", "/"]
    assert after.from_s == 160
    assert (before.share, after.share) == pytest.approx((1 / 2, 2 / 7))


def test_the_days_between_pieces_are_told_in_whatever_order_they_come() -> None:
    days = (10, 30, 0)
    assert len(tallied(*([Logged(START_S + day * 86_400, "GET", "/")] for day in days)).parts()) == 3
    with pytest.raises(ImportingError, match=r"at most 31 days, got requests 31\.0 days apart"):
        tallied(*([Logged(START_S + day * 86_400, "GET", "/")] for day in (*days, 31)))


def test_steps_of_few_clients_are_kept_in_few_frames_whatever_pieces_they_came_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loadtest.importing.log_tally._MOST_FRAMES", 10)
    tally = tallied(*([Logged(START_S + at, "GET", "/", f"10.0.0.{at % 7}")] for at in range(60)))
    assert len(tally._seen) <= 10
    of_each = tally.seen({("GET", "/"): "home"}).group_by("who").agg("at")["at"].to_list()
    assert sorted(of_each) == [list(range(START_S + first, START_S + 60, 7)) for first in range(7)]


def test_of_a_long_log_as_many_queries_are_kept_of_its_end_as_of_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loadtest.importing.log_tally.MOST_QUERIES", 100)
    tally, line = LogTally(), LINES["combined"]
    for number in range(64):
        some = [line(Logged(START_S, "GET", f"/search?q={number}-{each}")) for each in range(20)]
        tally.add(batch_in("\n".join(some).encode() + b"\n", FORMATS["combined"], None, tally.paths))
    of_batch = [int(query.split("-")[0].removeprefix("q=")) for _, _, query in tally.queries]
    assert 50 <= len(of_batch) <= 100
    assert 24 < sum(of_batch) / len(of_batch) < 40
