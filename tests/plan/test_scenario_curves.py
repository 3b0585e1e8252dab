"""A scenario with a curve of its own: how high, when, how many, and dealt out to the last arrival."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.configuration.run_config import RunConfig
from loadtest.plan.plan_file import Plan, PlanError
from loadtest.plan.pool import pool_of
from loadtest.plan.target_rate import check_target_rate
from loadtest.plugin.start_preview import preview

S = 1_000_000_000
PLAN = """
peak_tps = 100
duration = "20s"
[profile]
knots = [["0s", 0.5], ["10s", 1.0]]
phases = [["0s", "4s", "early"], ["4s", "20s", "late"]]
[[scenario]]
user = "shop:Order"
[[scenario]]
user = "shop:Page"
per_transaction = 0.5
[[scenario]]
user = "shop:Payment"
per_transaction = 0.8
[scenario.profile]
knots = [["0s", 0.0], ["5s", 0.0], ["5s", 1.0], ["20s", 1.0]]
"""
OWN = 'per_transaction = 0.8\n[scenario.profile]\nknots = [["0s", 0.0], ["5s", 0.0], ["5s", 1.0], ["20s", 1.0]]\n'


def plan_of(folder: Path, text: str = PLAN) -> Plan:
    path = folder / "mine.toml"
    path.write_text(text)
    return Plan.load(path)


def with_own(text: str) -> str:
    """The plan with another curve for the payments."""
    assert OWN in PLAN
    return PLAN.replace(OWN, text)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(tmp_path)


def test_it_is_as_high_as_its_share_of_the_peak_and_comes_when_it_says(plan: Plan) -> None:
    payments = plan.scenario_profile(2)
    assert [payments.rate(t_s) for t_s in (0, 4.9, 5, 19)] == [0, 0, 80, 80]
    assert plan.mix().counts(0, 1) == [1750, 875, 1200]
    assert min(plan.schedule(2).arrivals(0, 1)) >= 5 * S


def test_the_plans_own_curve_and_phases_stay_the_transactions(plan: Plan) -> None:
    assert plan.profile().total == 1750
    assert [phase.name for phase in plan.profile().phases] == ["early", "late"]
    assert plan.arrivals_profile().rate(15) == pytest.approx(100 + 50 + 80)
    assert plan.arrivals_profile().total == pytest.approx(sum(plan.scenario_arrivals()))


def test_it_travels_to_the_workers_whole(plan: Plan) -> None:
    assert Plan.from_json(plan.to_json()) == plan


def test_a_time_scale_squeezes_both_curves(plan: Plan) -> None:
    squeezed = plan.with_overrides(time_scale=0.1)
    assert squeezed.mix().counts(0, 1) == [175, 87, 120]
    assert min(squeezed.schedule(2).arrivals(0, 1)) >= S // 2


def test_a_higher_peak_raises_both(plan: Plan) -> None:
    assert plan.with_overrides(peak_tps=200).mix().counts(0, 1) == [3500, 1750, 2400]


@pytest.mark.parametrize(
    ("own", "rates"),
    [
        ('profile = { curve = "constant" }\n', (100, 100)),
        ("profile = { knots_tps = [[0, 50], [20, 150]] }\n", (50, 100)),
        ("per_transaction = 0.3\nprofile = { knots_tps = [[0, 50], [20, 150]] }\n", (10, 20)),
        ('profile = { csv = "own.csv" }\n', (25, 50)),
    ],
)
def test_a_curve_is_written_as_the_plans_is(tmp_path: Path, own: str, rates: tuple[float, float]) -> None:
    (tmp_path / "own.csv").write_text("seconds,fraction\n0,0.25\n20,0.75\n")
    payments = plan_of(tmp_path, with_own(own)).scenario_profile(2)
    assert (payments.rate(0), payments.rate(10)) == pytest.approx(rates)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("profile = {}\n", r"scenario\[2\].profile: expected exactly one of curve, knots"),
        (
            "profile = { knot = [] }\n",
            r"scenario\[2\].profile: unknown key knot \(did you mean knots\?\)",
        ),
        ('profile = { curve = "singelsday" }\n', r'scenario\[2\].profile.curve: unknown curve "singelsday"'),
        (
            "profile = { knots = [[1, 1], [2, 1]] }\n",
            r"scenario\[2\].profile.knots: the first knot is at 0 s",
        ),
        ("profile = { knots = [[0, 7], [2, 1]] }\n", r"scenario\[2\].profile.knots: expected fractions"),
        ('profile = { csv = "gone.csv" }\n', r"scenario\[2\].profile.csv: gone.csv: cannot be read"),
        (
            'profile = { knots = [[0, 1], [2, 1]], phases = [[0, 1, "x"]] }\n',
            r"scenario\[2\].profile.phases: expected in \[profile\]",
        ),
        (
            'transaction = true\nprofile = { curve = "constant" }\n',
            r"scenario\[2\].profile: expected none, since this scenario is the transaction",
        ),
    ],
)
def test_a_mistake_in_it_is_named_with_its_scenario(tmp_path: Path, own: str, message: str) -> None:
    with pytest.raises(PlanError, match=rf"mine\.toml: {message}"):
        plan_of(tmp_path, with_own(own))


def test_a_curve_that_ends_before_the_plan_is_refused(tmp_path: Path) -> None:
    text = with_own('profile = { curve = "rehearsal" }\n').replace('"20s"', '"31m"')
    with pytest.raises(PlanError, match="duration: expected at most 30m, the length of curve reh"):
        plan_of(tmp_path, text)


@settings(max_examples=40, deadline=None)
@given(
    knots=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 20)), min_size=2, max_size=6),
    share=st.sampled_from([0.1, 0.79, 6.0]),
    arrivals=st.sampled_from(["uniform", "poisson"]),
    data=st.data(),
)
def test_curves_of_their_own_are_dealt_out_to_the_last_arrival(
    tmp_path_factory: pytest.TempPathFactory,
    knots: list[tuple[int, int]],
    share: float,
    arrivals: str,
    data: st.DataObject,
) -> None:
    at_s, points = 0, [[0, knots[0][1] / 10]]
    for length_s, tenths in knots:
        at_s += length_s
        points.append([at_s, tenths / 10])
    own = f"per_transaction = {share}\nprofile = {{ knots = {points} }}\n"
    plan = plan_of(tmp_path_factory.mktemp("plan"), with_own(own)).with_overrides(arrivals=arrivals)
    mix = plan.mix()
    edges = data.draw(st.lists(st.integers(0, 20 * S), max_size=3))
    dealt: Counter[tuple[int, int]] = Counter()
    for from_ns, to_ns in zip([0, *sorted(edges)], [*sorted(edges), None], strict=True):
        slots = data.draw(st.integers(1, 5))
        for slot in range(slots):
            mine = list(mix.arrivals(slot, slots, from_ns, to_ns))
            assert mine == sorted(mine)
            assert mix.counts(slot, slots, from_ns, to_ns) == [
                sum(scenario == i for _, scenario in mine) for i in range(3)
            ]
            dealt.update(mine)
    if arrivals == "uniform":  # a Poisson process that is dealt out again is another one
        assert dealt == Counter(mix.arrivals(0, 1))
        assert sum(dealt.values()) == sum(mix.counts(0, 1))


def test_users_are_shared_out_by_the_peaks(plan: Plan) -> None:
    pool = pool_of(plan.with_overrides(virtual_users=2300), workers=1)
    assert pool == {"Order": 1000, "Page": 500, "Payment": 800}


def test_the_rate_agreed_with_a_host_is_held_against_the_sum(tmp_path: Path) -> None:
    listed = plan_of(tmp_path, PLAN + '[targets]\n"shop.example.com" = 229\n')
    with pytest.raises(PlanError, match="the plan peaks at 230"):
        check_target_rate(listed, "http://shop.example.com")
    check_target_rate(
        plan_of(tmp_path, PLAN + '[targets]\n"shop.example.com" = 231\n'), "http://shop.example.com"
    )


def test_a_machine_is_sized_at_the_proportions_of_the_peak_second(tmp_path: Path) -> None:
    late = with_own("profile = { knots = [[0, 0], [15, 0], [20, 1]] }\n")
    at_peak = plan_of(tmp_path, late).as_at_its_peak()
    assert [scenario.curve for scenario in at_peak.scenarios] == [None] * 3
    assert [round(s.per_transaction, 6) for s in at_peak.scenarios] == [1.0, 0.5, 0.0]
    assert all(s.per_transaction > 0 for s in at_peak.scenarios)


def test_the_start_page_adds_the_scenarios_up(plan: Plan, tmp_path: Path) -> None:
    shown = preview(
        RunConfig(plan=plan, plan_name=str(tmp_path / "mine.toml"), objectives=["dropped < 9"]), {}
    )
    assert ("dropped < 9" in shown.objectives, "dropped == 0 (implicit)" in shown.objectives) == (True, False)
    assert "availability > 99% (implicit)" in shown.objectives
    assert (
        "With all scenarios",
        "230 requests/s",
        "at 10 s, if each arrival makes one request",
    ) in shown.facts
    assert [(share.scenario, share.arrivals) for share in shown.shares] == [
        ("Order", 1750),
        ("Page", 875),
        ("Payment", 1200),
    ]
    assert shown.sheet is not None
    (started,) = [line.values for line in shown.sheet.charts[0].lines if line.key == "started"]
    assert started[0] == pytest.approx(75, rel=0.01)
    assert started[-1] == pytest.approx(230, rel=0.01)
