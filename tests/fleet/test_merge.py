"""The master's books: each report once, whatever order they come in and however often."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.fleet.merge import Merge, PackedTotals
from loadtest.fleet.messages import MessageError, Report, pack_second
from loadtest.fleet.worker_totals import CPU_SAMPLES
from loadtest.measure.second import COUNTERS, Second
from tests.fleet.sample_report import ORDERS, report, second


def test_a_report_that_comes_twice_is_folded_once() -> None:
    merge = Merge()
    assert merge.fold("w1", report(0, second(0)))
    assert not merge.fold("w1", report(0, second(0)))
    assert merge.total.ok == 1


def test_two_workers_may_use_the_same_numbers() -> None:
    merge = Merge()
    merge.fold("w1", report(0, second(0)))
    merge.fold("w2", report(0, second(0)))
    assert merge.total.ok == 2
    assert {name: book.started for name, book in merge.workers.items()} == {"w1": 1, "w2": 1}


def test_a_number_that_never_came_is_a_gap_until_it_does() -> None:
    merge = Merge()
    for number in (0, 1, 4):
        merge.fold("w1", report(number))
    assert merge.gaps == 2
    merge.fold("w1", report(3))
    merge.fold("w1", report(2))
    assert merge.gaps == 0
    assert merge.workers["w1"].seen == set(), "the set of numbers must not grow with the run"


def test_users_that_have_left_do_not_come_back_with_a_report_that_comes_late() -> None:
    merge = Merge()
    for number, left in (0, 1), (2, 3), (1, 2):
        merge.fold("w1", report(number, left={"Look": left}))
    assert merge.workers["w1"].left == {"Look": 3}


def test_a_report_missing_at_the_beginning_is_a_gap_too() -> None:
    merge = Merge()
    merge.fold("w1", report(1))
    assert merge.gaps == 1


def test_a_malformed_report_changes_nothing_and_may_be_sent_again_well_formed() -> None:
    merge = Merge()
    good = report(0, second(0), second(1))
    bad = msgspec.structs.replace(good.seconds[1], counters=[1])
    with pytest.raises(MessageError):
        merge.fold("w1", msgspec.structs.replace(good, seconds=[good.seconds[0], bad]))
    assert merge.total == Second(0)
    assert merge.workers == {}
    assert merge.fold("w1", good)
    assert merge.total.ok == 2


def test_a_period_is_counted_in_the_nearest_whole_seconds_and_never_in_none() -> None:
    merge = Merge([(0.4, 1.6), (2.1, 2.4), (1.5, 3.0)])
    merge.fold("w1", report(0, second(0), second(1), second(2), second(3)))
    assert [total.ok for total in merge.period_totals] == [2, 1, 1]


def test_periods_sum_the_seconds_intended_in_them() -> None:
    merge = Merge([(0.0, 2.0), (1.0, 3.0)])
    merge.fold("w1", report(0, second(0), second(1), second(2), second(3)))
    assert [total.ok for total in merge.period_totals] == [2, 2]
    assert [total.endpoints[ORDERS].requests for total in merge.period_totals] == [2, 2]


def test_peak_is_the_best_second_of_the_whole_fleet() -> None:
    merge = Merge()
    merge.fold("w1", report(0, second(0, (1, 1)), second(1, (1, 1))))
    merge.fold("w2", report(0, second(0, (1,)), second(1, (1, 1))))
    assert merge.best_second == (1, 4)
    assert merge.peak_tps == 4.0


def test_cpu_is_judged_over_five_seconds_and_one_busy_report_is_not_a_verdict() -> None:
    merge = Merge()
    for number in range(3 * CPU_SAMPLES):
        busy = 1.0 if number == 5 else 0.1
        merge.fold("w1", report(number, cpu=busy, cpu_wait=busy / 2))
    assert merge.workers["w1"].cpu_max == pytest.approx((9 * 0.1 + 1.0) / CPU_SAMPLES)
    assert merge.workers["w1"].cpu_wait_max == pytest.approx((9 * 0.05 + 0.5) / CPU_SAMPLES)


def test_a_run_shorter_than_five_seconds_has_its_cpu_from_the_reports_there_are() -> None:
    merge = Merge()
    for number in range(CPU_SAMPLES - 1):
        merge.fold("w1", report(number, cpu=0.2, cpu_wait=0.6))
    book = merge.workers["w1"]
    assert book.cpu_max == pytest.approx(0.2)
    assert book.cpu_wait_max == pytest.approx(0.6)


def test_books_taken_up_keep_the_cpu_of_a_short_part() -> None:
    merge, again = Merge(), Merge()
    merge.fold("w1", report(0, cpu=0.2, cpu_wait=0.6))
    again.take_up(merge.pack(), {"w1": "#1"})
    book = again.workers["#1"]
    assert (book.cpu_max, book.cpu_wait_max) == (0.2, 0.6)


def test_the_final_report_says_where_the_worker_ended() -> None:
    merge = Merge()
    merge.fold("w1", report(0, final=True, ended_ns=77))
    book = merge.workers["w1"]
    assert (book.final, book.ended_ns) == (True, 77)


def test_the_gauges_of_a_second_are_sums_over_the_fleet() -> None:
    merge = Merge()
    merge.fold("w1", report(0, second(0), in_flight=3, backlog=1))
    merge.fold("w2", report(0, second(0), in_flight=4, backlog=0))
    (point,) = merge.timeline.points(lambda _from_s, _to_s: 0.0)
    assert (point.in_flight, point.backlog) == (7, 1)


def open_second(**counters: int) -> Second:
    """A second with some counters and nothing else."""
    made = Second(0)
    for name, count in counters.items():
        setattr(made, name, count)
    return made


@pytest.mark.parametrize(
    ("reported", "settled"),
    [
        # Nothing is open: nothing changes.
        (
            {"scheduled": 5, "started": 4, "dropped": 1, "ok": 4},
            {"scheduled": 5, "started": 4, "dropped": 1, "ok": 4},
        ),
        # Killed with two in flight and three waiting.
        (
            {"scheduled": 9, "started": 6, "ok": 4},
            {"scheduled": 9, "started": 6, "dropped": 3, "ok": 4, "cancelled": 2},
        ),
        # The report with two beginnings is missing, the one with their ends is not.
        ({"scheduled": 3, "started": 3, "ok": 5}, {"scheduled": 5, "started": 5, "ok": 5}),
    ],
)
def test_what_a_worker_left_open_is_settled_so_that_the_identity_holds(
    reported: dict[str, int], settled: dict[str, int]
) -> None:
    merge = Merge([(0.0, 4.0), (4.0, 8.0)])
    merge.fold("w2", report(0, second(7)))
    merge.fold("w1", report(0, open_second(**reported)))
    merge.write_off()
    merge.write_off()
    whole = {name: getattr(merge.total, name) for name in COUNTERS}
    total = {name: getattr(merge.period_totals[0], name) for name in COUNTERS}
    assert whole == {name: n + getattr(merge.period_totals[1], name) for name, n in total.items()}
    points = list(merge.timeline.points(lambda _from_s, _to_s: 0.0))
    for name in ("scheduled", "started", "dropped"):
        assert [getattr(point, name) for point in points] == [total[name], whole[name] - total[name]]
    assert {name: n for name, n in total.items() if n} == settled
    assert total["scheduled"] == total["started"] + total["dropped"]
    assert total["started"] == total["ok"] + total["failed"] + total["cancelled"]


def test_arrivals_that_waited_for_longer_than_a_second_are_taken_out_of_seconds_that_have_them() -> None:
    merge = Merge([(0.0, 2.0), (3.0, 4.0)])
    for index in range(4):
        made = open_second(scheduled=10, started=12 if index == 2 else 1, ok=1)
        made.index = index
        merge.fold("w1", report(index, made))
    merge.break_off()
    points = list(merge.timeline.points(lambda _from_s, _to_s: 0.0))
    assert [point.scheduled for point in points] == [3, 1, 10, 1], "the first began late"
    assert [total.scheduled for total in merge.period_totals] == [4, 1]
    assert (merge.total.scheduled, merge.total.started, merge.total.dropped) == (15, 15, 0)


deliveries = st.permutations([(w, n) for w in ("w1", "w2") for n in range(5)])


def _report_of(worker: str, number: int) -> Report:
    error = None if number % 2 else "refused"
    return report(number, second(number, (10 * (number + 1),) * (1 + len(worker) % 2), error=error))


@settings(max_examples=60, deadline=None)
@given(
    order=deliveries, again=st.lists(st.tuples(st.sampled_from(["w1", "w2"]), st.integers(0, 4)), max_size=8)
)
def test_the_books_do_not_depend_on_order_or_repetition(
    order: list[tuple[str, int]], again: list[tuple[str, int]]
) -> None:
    merge, straight = Merge([(1.0, 3.0)]), Merge([(1.0, 3.0)])
    for worker, number in [*order, *again]:
        merge.fold(worker, _report_of(worker, number))
    for worker, number in sorted(order):
        straight.fold(worker, _report_of(worker, number))
    assert merge.total == straight.total
    assert merge.period_totals == straight.period_totals
    assert merge.peak_tps == straight.peak_tps
    assert merge.gaps == 0
    assert sum(getattr(merge.total, name) for name in COUNTERS) > 0


def test_a_checkpoint_packs_only_the_periods_that_changed_since_the_last() -> None:
    merge = Merge([(0.0, 1.0), (1.0, 2.0)])
    merge.fold("w1", report(0, second(0)))
    before = merge.pack().periods
    merge.fold("w1", report(1, second(1)))
    after = merge.pack().periods
    assert after[0] is before[0]
    assert after == [pack_second(total) for total in merge.period_totals]


def test_books_taken_up_are_packed_as_they_were() -> None:
    merge, again = Merge([(0.0, 1.0)]), Merge([(0.0, 1.0)])
    merge.fold("w1", report(0, second(0), final=True, ended_ns=1))
    again.pack()
    again.take_up(merge.pack(), {"w1": "w1"})
    assert again.pack().periods == merge.pack().periods


def test_a_scenario_made_no_request_if_no_worker_saw_one_of_it() -> None:
    merge = Merge()
    merge.fold(
        "w1", msgspec.structs.replace(report(0, second(0)), asked=["Buyer"], silent=["Visitor", "Refund"])
    )
    merge.fold("w2", msgspec.structs.replace(report(0, second(0)), asked=["Visitor"], silent=["Buyer"]))
    assert merge.scenarios_without_requests() == ["Refund"]


def test_which_scenarios_made_requests_is_known_after_a_run_was_taken_up_again() -> None:
    merge, again = Merge(), Merge()
    merge.fold("w1", msgspec.structs.replace(report(0, second(0)), asked=["Buyer"], silent=["Visitor"]))
    again.take_up(_as_written(merge.pack()), {"w1": "#1"})
    again.fold("w1", msgspec.structs.replace(report(0, second(1)), asked=[], silent=["Buyer"]))
    assert again.scenarios_without_requests() == ["Visitor"]


def _as_written(books: PackedTotals) -> PackedTotals:
    """The books as they are read back from a checkpoint."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(books), type=PackedTotals)
