"""Sustained breaches, fed second by second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.judge.abort import AbortDetector, parse_condition
from loadtest.judge.slo_syntax import SloError
from loadtest.measure.run_result import Quantiles, TimelinePoint


def second(t_s: int, failures: int = 0, requests: int = 100, p99: float = 5.0) -> TimelinePoint:
    return TimelinePoint(
        t_s=t_s,
        requests=requests,
        failures=failures,
        completed_tps=requests - failures,
        scheduled=100,
        started=90,
        response_ms=Quantiles(count=requests, p99=p99, max=p99, mean=p99),
    )


def stopped_at(expr: str, points: list[TimelinePoint]) -> float | None:
    """The second in which the run was stopped; None when it ran to its end."""
    detector = AbortDetector([parse_condition(expr)])
    return next((point.t_s for point in points if detector.feed(point)), None)


def failing(pattern: str) -> list[TimelinePoint]:
    """A second a letter: `.` good, `x` failing, ` ` without any answer."""
    shapes = {".": (0, 100), "x": (80, 100), " ": (0, 0)}
    return [second(t_s, *shapes[letter]) for t_s, letter in enumerate(pattern)]


@pytest.mark.parametrize(
    ("pattern", "stop_s"),
    [
        ("....xxxxx...", 6),
        ("xxx", 2),
        ("xx.xx.xx.xx.", None),
        ("..xx........", None),
        ("..xx    ....", 4),
        ("..  xx.     ", None),
        ("            ", None),
    ],
)
def test_a_breach_stops_the_run_once_it_has_lasted(pattern: str, stop_s: float | None) -> None:
    assert stopped_at("errors(*) > 50% for 3 s", failing(pattern)) == stop_s


@given(st.text(".x ", max_size=40), st.integers(1, 6))
def test_nothing_stops_a_run_without_a_long_enough_stretch_free_of_good_seconds(
    pattern: str, length: int
) -> None:
    stop_s = stopped_at(f"errors(*) > 50% for {length} s", failing(pattern))
    stretches = [stretch.lstrip() for stretch in pattern.split(".")]
    assert (stop_s is not None) == any(len(stretch) >= length for stretch in stretches)


@pytest.mark.parametrize(
    "expr",
    [
        "p99(*) > 4ms for 2 s",
        "max(*) > 4ms for 2 s",
        "mean(*) > 4ms for 2 s",
        "goodput < 200tps for 2 s",
        "started_rate < 95% for 2 s",
        "dropped == 0 for 2 s",
        "requests(*) < 101 for 2 s",
    ],
)
def test_every_metric_that_a_second_has_can_abort(expr: str) -> None:
    assert stopped_at(expr, failing("....")) == 1


def test_a_target_that_never_answers_is_caught_by_goodput() -> None:
    assert stopped_at("goodput < 1tps for 5 s", failing("          ")) == 4


def test_the_reason_says_what_since_when_and_how_bad() -> None:
    detector = AbortDetector([parse_condition("errors(*) > 50% for 2 s")])
    assert [detector.feed(point) for point in failing("..xx")] == [
        None,
        None,
        None,
        "errors(*) > 50% for 2 s (since 2 s, last 80%)",
    ]


def test_any_one_of_several_conditions_is_enough() -> None:
    detector = AbortDetector(map(parse_condition, ["dropped > 0 for 1 s", "errors(*) > 50% for 1 s"]))
    reasons = [detector.feed(point) for point in failing(".x")]
    assert reasons[0] is None
    assert "errors" in (reasons[1] or "")


@pytest.mark.parametrize(
    ("expr", "column", "expected"),
    [
        ("errors(*) > 50%", 16, "how long it must hold; did you mean `errors(*) > 50% for 5 s`?"),
        ("errors(POST /orders) > 50% for 5 s", 8, "all endpoints together"),
        ("p99(*) during spike > 5s for 5 s", 1, "looks at each second as it comes"),
        ("p99.5(*) > 5s for 5 s", 1, "known while a run goes on (p50, p90, p95, p99, p99.9, p99.99, errors"),
        ("service_p99(*) > 5s for 5 s", 1, "known while a run goes on"),
        ("p99(*) in every region > 5s for 5 s", 1, "looks at each second as it comes"),
        ("goodput(*) < 5rps for 5 s", 8, "goodput of the whole run"),
        ("p99(*) > 5 for 5 s", 11, "a time such as 250ms"),
    ],
)
def test_what_a_second_cannot_tell_is_refused_before_traffic(expr: str, column: int, expected: str) -> None:
    with pytest.raises(SloError) as caught:
        parse_condition(expr)
    assert caught.value.column == column
    assert expected in str(caught.value)
