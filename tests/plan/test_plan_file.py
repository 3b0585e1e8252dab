"""Plan files: what is shipped plays, and what is wrong is named before any traffic."""

import re
from pathlib import Path

import pytest

from loadtest.plan.plan_file import Abort, Plan, PlanError, Scenario, shipped_plans
from loadtest.plan.profile import Phase
from loadtest.plan.schedule import Poisson, Uniform

MINIMAL = """
peak_tps = 100
duration = "20s"
[profile]
knots = [["0s", 0.5], ["10s", 1.0]]
phases = [["0s", "4s", "early"], ["4s", "10s", "late"]]
[[scenario]]
user = "shop:Order"
[[scenario]]
user = "shop.pages:Page"
per_transaction = 0.5
"""


def plan_of(folder: Path, text: str = MINIMAL, name: str = "mine.toml") -> Plan:
    path = folder / name
    path.write_text(text)
    return Plan.load(path)


@pytest.mark.parametrize("name", shipped_plans())
def test_shipped_plans_play(name: str) -> None:
    plan = Plan.load(name)
    assert plan.name == name
    assert plan.profile().duration_s == pytest.approx(plan.duration_s)
    assert plan.profile().phases
    assert plan.slos
    assert next(plan.mix().arrivals(0, 1)) >= (0, 0)
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("name", shipped_plans())
def test_slos_of_shipped_plans_name_phases_that_there_are(name: str) -> None:
    plan = Plan.load(name)
    named = {phase for slo in plan.slos for phase in re.findall(r"during (\S+)", slo)}
    assert named <= {phase.name for phase in plan.profile().phases}


def test_a_constant_curve_lasts_as_long_as_the_plan_says(tmp_path: Path) -> None:
    curve = MINIMAL[: MINIMAL.index("knots")] + 'curve = "constant"\n' + MINIMAL[MINIMAL.index("[[scen") :]
    assert plan_of(tmp_path, curve).profile().total == 2000
    with pytest.raises(PlanError, match='duration: expected, for example "60s", since a constant'):
        plan_of(tmp_path, curve.replace('duration = "20s"', ""))


def test_the_plans_of_the_contract_are_shipped() -> None:
    assert shipped_plans() == [
        "assistant",
        "day",
        "logistics",
        "parcels",
        "rehearsal",
        "singles-day",
        "smoke",
        "soak",
        "spike",
        "steady",
        "step",
    ]


def test_singles_day_plays_a_minute_from_ten_seconds_before_midnight() -> None:
    plan = Plan.load("singles-day").with_overrides(peak_tps=583_000)
    assert plan.duration_s == 60
    assert plan.profile().rate(36) == pytest.approx(583_000)
    assert plan.profile().rate(5) == pytest.approx(583_000 / 122)
    assert [s.per_transaction for s in plan.scenarios] == [1.0, 0.5, 0.2]
    assert [s.transaction for s in plan.scenarios] == [True, False, False]
    assert plan.with_overrides(duration_s=3610).profile().duration_s == 3610


def test_what_a_file_leaves_out_has_its_default(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert (plan.name, plan.arrivals, plan.seed, plan.virtual_users, plan.patience_s) == (
        "mine",
        "uniform",
        1,
        1000,
        10,
    )
    assert plan.scenarios == (Scenario("shop:Order", 1.0, True), Scenario("shop.pages:Page", 0.5, False))
    assert plan.abort == Abort(unless=(), after_s=5.0)
    assert plan.targets == {}


def test_a_duration_left_out_is_the_curves(tmp_path: Path) -> None:
    text = MINIMAL.replace('duration = "20s"', "time_scale = 2")
    assert plan_of(tmp_path, text).duration_s == 20


def test_knots_hold_their_last_rate_and_phase(tmp_path: Path) -> None:
    profile = plan_of(tmp_path).profile()
    assert profile.total == pytest.approx(750 + 1000)
    assert profile.phases == (Phase(0, 4, "early"), Phase(4, 20, "late"))


def test_time_scale_squeezes_the_curve_and_keeps_its_height() -> None:
    whole = Plan.load("rehearsal")
    squeezed = whole.with_overrides(time_scale=0.1)
    assert squeezed.duration_s == 180
    assert squeezed.profile().rate(50.6) == pytest.approx(whole.profile().rate(506))
    assert squeezed.profile().total == pytest.approx(whole.profile().total / 10)
    assert squeezed.profile().phases[3].from_s == pytest.approx(48)
    assert squeezed.with_overrides(time_scale=0.2).duration_s == pytest.approx(360)


def test_a_duration_is_in_seconds_as_played() -> None:
    plan = Plan.load("rehearsal").with_overrides(time_scale=0.1, duration_s=60)
    assert plan.profile().duration_s == 60


def test_overrides_change_what_they_name(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    changed = plan.with_overrides(peak_tps=7, seed=3, arrivals="poisson", virtual_users=5, patience_s=2)
    assert (changed.peak_tps, changed.seed, changed.virtual_users, changed.patience_s) == (7, 3, 5, 2)
    assert isinstance(plan.schedule(0), Uniform)
    assert isinstance(changed.schedule(0), Poisson)
    assert plan.with_overrides() == plan


def test_scenarios_keep_their_proportions(tmp_path: Path) -> None:
    assert plan_of(tmp_path).mix().counts(0, 1) == [1750, 875]


def test_poisson_scenarios_do_not_share_their_noise(tmp_path: Path) -> None:
    text = MINIMAL.replace("per_transaction = 0.5", "").replace("peak_tps", 'arrivals = "poisson"\npeak_tps')
    plan = plan_of(tmp_path, text)
    assert list(plan.schedule(0).arrivals(0, 1)) != list(plan.schedule(1).arrivals(0, 1))


def test_knots_come_from_a_csv_beside_the_plan(tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text("seconds,fraction\n0,0.5\n\n10,1.0\n")
    text = MINIMAL.replace('knots = [["0s", 0.5], ["10s", 1.0]]', 'csv = "curve.csv"')
    assert plan_of(tmp_path, text) == plan_of(tmp_path)


def test_a_csv_that_is_wrong_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text("0,0.5\n10;1.0\n")
    text = MINIMAL.replace('knots = [["0s", 0.5], ["10s", 1.0]]', 'csv = "curve.csv"')
    with pytest.raises(PlanError, match=r'curve\.csv, line 2: expected "seconds,fraction", got "10;1.0"'):
        plan_of(tmp_path, text)
    with pytest.raises(PlanError, match=r"gone\.csv: cannot be read"):
        plan_of(tmp_path, text.replace("curve.csv", "gone.csv"))


def test_slos_and_abort_and_targets_are_read(tmp_path: Path) -> None:
    text = MINIMAL + (
        '[[slo]]\nexpr = "errors(*) < 1%"\n'
        '[[slo]]\nendpoint = "POST /orders"\nexpr = "p99 during late < 1s"\n'
        '[abort]\nunless = ["errors(*) < 50%"]\nafter = "2s"\n'
        '[targets]\n"shop.example.com" = 500\n'
    )
    plan = plan_of(tmp_path, text)
    assert plan.slos == ("errors(*) < 1%", "p99(POST /orders) during late < 1s")
    assert plan.abort == Abort(unless=("errors(*) < 50%",), after_s=2)
    assert plan.targets == {"shop.example.com": 500}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("peak_tps = 100", "", "peak_tps: expected the transactions a second"),
        ("peak_tps", "peek_tps", r"unknown key peek_tps \(did you mean peak_tps\?\)"),
        (
            "per_transaction",
            "per_transactoin",
            r"scenario\[1\]: unknown key per_transactoin .*did you mean per_tr",
        ),
        ("peak_tps = 100", "peak_tps = 0", "peak_tps: expected a number > 0, got 0"),
        ("peak_tps = 100", "peak_tps = nan", "peak_tps: expected a number > 0, got nan"),
        ("peak_tps = 100", "peak_tps = inf", "peak_tps: expected a finite number, got inf"),
        ("peak_tps = 100", "peak_tps = 1e308", "profile: .*finite"),
        ("peak_tps = 100", 'peak_tps = "100"', "peak_tps: expected a number, got text"),
        ("peak_tps = 100", "peak_tps = 0.01", "profile: expected at least one transaction"),
        ('"20s"', '"20x"', 'duration: expected a duration such as .*, got "20x"'),
        ('"20s"', "true", "duration: expected a number or text, got true or false"),
        ('"20s"', '"0s"', "duration: expected more than 0 s"),
        ('["10s", 1.0]', '["10 s", 1.0]', 'profile.knots: expected a duration such as .*, got "10 s"'),
        ('["10s", 1.0]', '["10s", -1.0]', "profile.knots: a rate is 0 or more"),
        ('["10s", 1.0]', '["10s"]', r"profile.knots\[1\]: expected a list of length 2"),
        ('["0s", 0.5], ', "", "profile.knots: expected at least two points, got 1"),
        ('["0s", 0.5]', '["1s", 0.5]', "profile.knots: the first knot is at 0 s"),
        (
            "knots = ",
            'curve = "day"\nknots = ',
            "profile: expected exactly one of curve, knots, knots_tps and csv, got curve and",
        ),
        ("knots = ", "# ", "profile: expected exactly one of curve, knots, knots_tps and csv, got none"),
        (
            'knots = [["0s", 0.5], ["10s", 1.0]]',
            'curve = "day"',
            "profile.phases: expected only with knots, knots_tps or csv",
        ),
        ('"shop:Order"', '"1shop:Order"', r'scenario\[0\].user: expected "module:Class", got "1shop:Order"'),
        ('"shop:Order"', '"shop.Order"', r'scenario\[0\].user: expected "module:Class", got "shop.Order"'),
        (
            '"shop:Order"',
            '"shop:Order"\ntransaction = true\nper_transaction = 0.7',
            "scenario: expected per_transaction of .* to add up to 1, got 0.7",
        ),
        (
            "per_transaction = 0.5",
            "per_transaction = -1",
            r"scenario\[1\].per_transaction: expected a number > 0, got -1",
        ),
        (
            "peak_tps",
            'arrivals = "unifrom"\npeak_tps',
            'arrivals: expected one of uniform, poisson, got "unifrom"',
        ),
        ("peak_tps", "seed = -1\npeak_tps", "seed: expected a whole number >= 0, got -1"),
        ("peak_tps", "virtual_users = 0\npeak_tps", "virtual_users: expected a whole number >= 1, got 0"),
        ("[profile]", "[profile", "expected TOML: .*line 4"),
        (
            '["4s", "10s", "late"]',
            '["4s", "3s", "late"]',
            "profile.phases: expected late to end after it starts",
        ),
    ],
)
def test_a_mistake_is_named_with_its_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in MINIMAL
    with pytest.raises(PlanError, match=rf"mine\.toml: {message}"):
        plan_of(tmp_path, MINIMAL.replace(old, new))


def test_a_plan_without_scenarios_is_refused(tmp_path: Path) -> None:
    text = MINIMAL[: MINIMAL.index("[[scenario]]")].replace("peak_tps", "scenario = []\npeak_tps")
    with pytest.raises(PlanError, match=r"scenario: expected at least one \[\[scenario\]\]"):
        plan_of(tmp_path, text)


def test_a_curve_longer_than_there_is_is_refused() -> None:
    with pytest.raises(PlanError, match="duration: expected at most 3m, the length of curve rehearsal"):
        Plan.load("rehearsal").with_overrides(time_scale=0.1, duration_s=181)


def test_an_unknown_curve_is_refused_with_the_nearest(tmp_path: Path) -> None:
    text = MINIMAL[: MINIMAL.index("knots")] + 'curve = "singelsday"\n' + MINIMAL[MINIMAL.index("[[scen") :]
    with pytest.raises(
        PlanError, match=r'unknown curve "singelsday" \(did you mean singles-day\?\); expected one of'
    ):
        plan_of(tmp_path, text)


def test_an_unknown_plan_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        PlanError,
        match=r'unknown plan "singelsday" \(did you mean singles-day\?\); expected one of assistant, day',
    ):
        Plan.load("singelsday")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"gone\.toml: cannot be read: No such file"):
        Plan.load(tmp_path / "gone.toml")


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[1]", b'{"name": 1}', b"\xff", Plan.load("smoke").to_json().replace(b"50.0", b"-1.0")],
)
def test_json_that_is_no_plan_is_refused(data: bytes) -> None:
    with pytest.raises(PlanError, match="plan sent as JSON"):
        Plan.from_json(data)


@pytest.mark.parametrize("peak_tps", [0, -1, float("nan"), float("inf")])
def test_an_override_is_checked_as_the_file_is(peak_tps: float) -> None:
    with pytest.raises(PlanError, match="plan smoke: peak_tps: expected"):
        Plan.load("smoke").with_overrides(peak_tps=peak_tps)


def test_numbers_are_seconds_wherever_a_duration_stands(tmp_path: Path) -> None:
    numbers = MINIMAL.replace('duration = "20s"', 'duration = 20\npatience_s = "500ms"')
    numbers = numbers.replace('[["0s", 0.5], ["10s", 1.0]]', "[[0, 0.5], [10.0, 1.0]]")
    numbers = numbers.replace(
        '[["0s", "4s", "early"], ["4s", "10s", "late"]]', '[[0, 4, "early"], [4.0, 10, "late"]]'
    )
    plan = plan_of(tmp_path, numbers + "[abort]\nafter = 2.5\n")
    assert (plan.duration_s, plan.patience_s, plan.abort.after_s) == (20, 0.5, 2.5)
    assert plan.curve == plan_of(tmp_path).curve


def test_fractions_far_above_the_peak_are_played_where_they_are_meant(tmp_path: Path) -> None:
    text = MINIMAL.replace('["10s", 1.0]', '["10s", 100]')
    with pytest.raises(PlanError, match=r"expected fractions of peak_tps, where 1\.0 is the peak, got 100"):
        plan_of(tmp_path, text)
    assert (
        plan_of(tmp_path, text.replace("[profile]", "[profile]\novershoot = true")).profile().peak[1]
        == 10_000
    )
    assert plan_of(tmp_path, MINIMAL.replace('["10s", 1.0]', '["10s", 2.0]')).profile().peak[1] == 200


def test_knots_may_be_rates(tmp_path: Path) -> None:
    text = MINIMAL.replace('knots = [["0s", 0.5], ["10s", 1.0]]', "knots_tps = [[0, 50], [10, 400]]")
    as_written = plan_of(tmp_path, text.replace("peak_tps = 100\n", ""))
    assert (as_written.peak_tps, as_written.profile().rate(0), as_written.profile().rate(10)) == (
        400,
        50,
        400,
    )
    assert plan_of(tmp_path, text).profile().rate(0) == pytest.approx(12.5)
    assert as_written.with_overrides(peak_tps=800).profile().rate(0) == pytest.approx(100)
