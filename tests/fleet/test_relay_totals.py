"""Whatever happens to a relay and its messages, the totals are those of a fleet without one."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadtest.fleet.merge import Merge
from loadtest.fleet.relay import FORGET_NS
from tests.fleet.relay_tree import NS, Tree

steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("report"),
            st.integers(0, 2),
            st.lists(st.integers(1, 3000), max_size=4),
            st.integers(0, 4),
        ),
        st.sampled_from(["step", "lose up", "lose down", "replace"]),
    ),
    max_size=25,
)


def assert_same(one: Merge, other: Merge) -> None:
    """Everything that does not depend on the order in which reports came."""
    assert one.total == other.total
    assert one.period_totals == other.period_totals
    assert one.peak_tps == other.peak_tps
    assert list(one.timeline.points(lambda *_: 0.0)) == list(other.timeline.points(lambda *_: 0.0))
    assert one._failures._samples.keys() == other._failures._samples.keys()
    assert set(one.workers) == set(other.workers)
    for name, totals in one.workers.items():
        same = other.workers[name]
        assert (totals.counted, totals.newest, totals.reports, totals.gaps) == (
            same.counted,
            same.newest,
            same.reports,
            same.gaps,
        )
        assert (totals.final, totals.ended_ns, totals.asked, totals.silent) == (
            same.final,
            same.ended_ns,
            same.asked,
            same.silent,
        )
        assert totals.dispatch_lag.count <= same.dispatch_lag.count, (
            "a worker's lag may be missing, never twice"
        )
        assert totals.cpu_max == pytest.approx(same.cpu_max)


@settings(max_examples=150, deadline=None)
@given(steps)
@example([("report", 0, [], 0), "lose up", ("report", 0, [], 0), "lose down", "replace", "step"])
@example(
    [
        ("report", 0, [], 0),
        "lose up",
        ("report", 0, [], 0),
        "lose down",
        "replace",
        ("report", 1, [], 0),
        "step",
    ]
)
def test_totals_are_the_same_whatever_is_lost_and_however_often_the_relay_is_replaced(
    script: list[Any],
) -> None:
    tree = Tree(3)
    for step in script:
        match step:
            case ("report", worker, took_ms, index):
                tree.report(f"w{worker}", tuple(took_ms), index)
            case "replace":
                tree.replace_relay()
            case _:
                tree.step(lose_up=step == "lose up", lose_down=step == "lose down")
    for number in range(3):
        tree.report(f"w{number}", (5,), 4, final=True)
    for _ in range(60):
        tree.step()
    assert tree.settled, "a report was never acknowledged"
    assert_same(tree.master.merge, tree.direct)


def test_without_losses_each_workers_own_figures_are_the_same_too() -> None:
    tree = Tree(3)
    for index in range(4):
        for worker in tree.reporters:
            tree.report(worker, (1 + index, 20), index)
        tree.step()
    for worker in tree.reporters:
        tree.report(worker, (), 4, final=True)
    tree.step()
    assert tree.settled
    for name, totals in tree.direct.workers.items():
        assert tree.master.merge.workers[name].dispatch_lag == totals.dispatch_lag
        assert tree.master.merge.workers[name].left == totals.left


def test_a_report_is_acknowledged_when_the_master_has_it_and_not_before() -> None:
    tree = Tree(1)
    tree.report("w0", (1,), 0)
    tree.step(lose_up=True)
    assert not tree.settled
    tree.step(lose_up=True)
    tree.step()
    tree.step()
    assert tree.settled


def test_what_a_bundle_told_is_told_again_when_no_answer_came() -> None:
    tree = Tree(1)
    tree.report("w0", (1,), 0)
    for _ in range(2 * FORGET_NS // NS + 2):
        tree.step(lose_up=True)
    for _ in range(4):
        tree.step()
    assert tree.settled
    [totals], [direct] = tree.master.merge.workers.values(), tree.direct.workers.values()
    assert totals.left == direct.left != {}
    assert totals.asked == direct.asked != set()


@pytest.mark.parametrize("seconds", [1, 9, 10, 11, 12])
def test_a_workers_dispatch_lag_counts_once_where_a_bundle_was_taken_apart(seconds: int) -> None:
    tree = Tree(2)
    for index in range(seconds):
        for worker in tree.reporters:
            tree.report(worker, (1, 20), index)
        tree.step()
    tree.report("w0", (3,), seconds)
    [mine] = tree.reporters["w0"].due(tree.clock.now_ns() + NS)
    tree.master.merge.fold("w0", mine)  # by another way
    tree.report("w1", (3,), seconds)
    tree.step()
    tree.report("w0", (), seconds, final=True)
    tree.report("w1", (), seconds, final=True)
    tree.step()
    assert tree.settled
    assert_same(tree.master.merge, tree.direct)
    for name, totals in tree.direct.workers.items():
        assert tree.master.merge.workers[name].dispatch_lag == totals.dispatch_lag
