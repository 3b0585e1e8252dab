"""Shapes for the tests: each profile beside its oracle, by hand or at random."""

from typing import NamedTuple

from hypothesis import strategies as st

from loadtest.plan import profile as ours
from loadtest.plan.profile import Piecewise
from tests.plan import oracle
from tests.plan.oracle import Oracle


class Case(NamedTuple):
    """The same shape, twice."""

    profile: Piecewise
    oracle: Oracle


def knots(points: list[tuple[float, float]]) -> Case:
    return Case(ours.knots(points), oracle.knots(points))


def ramp(a: float, b: float, duration_s: float) -> Case:
    return Case(ours.ramp(a, b, duration_s), oracle.ramp(a, b, duration_s))


def decay(rate: float, tau_s: float, duration_s: float) -> Case:
    return Case(ours.decay(rate, tau_s, duration_s), oracle.decay(rate, tau_s, duration_s))


def then(first: Case, second: Case) -> Case:
    return Case(first.profile.then(second.profile), first.oracle.then(second.oracle))


def add(first: Case, second: Case, at_s: float = 0.0) -> Case:
    return Case(first.profile.add(second.profile, at_s), first.oracle.add(second.oracle, at_s))


def cut(case: Case, duration_s: float, from_s: float = 0.0) -> Case:
    return Case(case.profile.cut(duration_s, from_s), case.oracle.cut(duration_s, from_s))


STAIRS = [(0.0, 10.0), (3.0, 10.0), (3.0, 0.0), (5.0, 0.0), (5.0, 40.0), (8.0, 40.0)]
SPIKE = [(0.0, 5.0), (10.0, 5.0), (10.5, 900.0), (12.5, 900.0), (20.0, 5.0), (30.0, 5.0)]


def rates() -> st.SearchStrategy[float]:
    return st.integers(0, 10**8).map(lambda i: i / 1000)


def seconds() -> st.SearchStrategy[float]:
    return st.integers(1, 10**6).map(lambda i: i / 1000)


def knot_lists() -> st.SearchStrategy[Case]:
    steps = st.lists(st.tuples(seconds(), rates(), rates()), min_size=1, max_size=5)

    def build(steps: list[tuple[float, float, float]]) -> Case:
        points, at_s = [(0.0, steps[0][1])], 0.0
        for duration_s, start, end in steps:
            points += [(at_s, start), (at_s + duration_s, end)]
            at_s += duration_s
        return knots(points)

    return steps.map(build)


def decays() -> st.SearchStrategy[Case]:
    return st.builds(
        lambda rate, tau_s, share: decay(rate + 1, tau_s, tau_s * share),
        rates(),
        seconds(),
        st.floats(0.01, 10),
    )


def combined(inner: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    def scaled(case: Case, factor: float) -> Case:
        return Case(case.profile.scale(factor), case.oracle.scale(factor))

    def stretched(case: Case, factor: float) -> Case:
        return Case(case.profile.stretch(factor), case.oracle.stretch(factor))

    def repeated(case: Case, times: int) -> Case:
        return Case(case.profile.repeat(times), case.oracle.repeat(times))

    def shares(case: Case, start: float, length: float) -> Case:
        whole_s = case.profile.duration_s
        return cut(case, whole_s * length * (1 - start), whole_s * start)

    factors = st.floats(0.01, 100)
    return st.one_of(
        st.builds(scaled, inner, factors),
        st.builds(stretched, inner, factors),
        st.builds(then, inner, inner),
        st.builds(repeated, inner, st.integers(1, 4)),
        st.builds(add, inner, inner, st.floats(0, 100)),
        st.builds(shares, inner, st.floats(0, 0.9), st.floats(0.01, 1)),
    )


def profiles() -> st.SearchStrategy[Case]:
    return st.recursive(st.one_of(knot_lists(), decays()), combined, max_leaves=5)
