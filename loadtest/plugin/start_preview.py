"""The start page's content: the plans on offer, and a plan as it would be played with the fields as they stand."""

from argparse import Action
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from loadtest.configuration.run_config import TOML, RunConfig
from loadtest.judge.implicit import with_implicit
from loadtest.judge.slo_syntax import IMPLICIT, parse
from loadtest.plan.plan_file import Plan
from loadtest.publish import wording
from loadtest.publish.start_page import OwnField, PlanChoice, Preview, Share, curve, facts

_NOUNS = {
    "loadtest.scenarios.shop": "order",
    "loadtest.scenarios.day": "checkout",
    "loadtest.scenarios.logistics": "parcel",
}
"""What a transaction of the shipped scenarios is, by module."""
_SEED = "The same seed plays the same arrivals and makes the same random choices."
_SCALE = "With 0.1 the same curve plays ten times as fast, with a tenth of the arrivals."


def choice(name: str) -> PlanChoice:
    """A plan with what its file says of it: the comment that it begins with."""
    path = Path(name) if name.endswith(TOML) else files("loadtest.plan").joinpath("plans", f"{name}{TOML}")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    comment = []
    for line in lines:
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    return PlanChoice(name=name, description=" ".join(comment).replace("`", ""))


def own_field(name: str, action: Action, value: object) -> OwnField:
    """An argument of the script's own, as it stands."""
    return OwnField(
        name=name,
        help=action.help or "",
        value="" if value is None else str(value),
        choices=[str(each) for each in action.choices or ()],
    )


def preview(config: RunConfig, form: Mapping[str, str]) -> Preview:
    """A plan that can be played, as `config` asks for it."""
    plan, profile = config.plan, config.plan.profile()
    arrivals = plan.arrivals_profile()
    noun, shares = _noun(plan), _shares(plan)
    return Preview(
        effects=_effects(plan, Plan.load(config.plan_name), form, noun),
        facts=facts(profile, shares, arrivals.peak, noun),
        shares=shares,
        objectives=_objectives([*plan.slos, *config.objectives]),
        sheet=curve(profile, arrivals, noun) if profile.duration_s else None,
    )


def _objectives(own: list[str]) -> list[str]:
    """The objectives that were set and the implicit ones, as the live page lists them."""
    every = with_implicit([parse(expr) for expr in own], ())
    return [f"{slo.expr} (implicit)" if slo.source == IMPLICIT else slo.expr for slo in every]


def _noun(plan: Plan) -> str:
    modules = {s.user.partition(":")[0] for s in plan.scenarios if s.transaction}
    return _NOUNS.get(modules.pop(), "transaction") if len(modules) == 1 else "transaction"


def _shares(plan: Plan) -> list[Share]:
    arrivals = plan.scenario_arrivals()
    return [
        Share(
            scenario=scenario.user.partition(":")[2],
            arrivals=round(count),
            share=count / sum(arrivals),
        )
        for scenario, count in zip(plan.scenarios, arrivals, strict=True)
    ]


def _effects(plan: Plan, own: Plan, form: Mapping[str, str], noun: str) -> dict[str, str]:
    """What each field does as it stands; `own` is the plan with its own figures."""
    peak, length = f"{wording.rate(own.peak_tps)} {noun}s/s", wording.duration(own.duration_s)
    return {
        "peak_tps": f"{wording.percent(plan.peak_tps / own.peak_tps)} of the plan's {peak}."
        if form.get("peak_tps")
        else f"The plan's own: {peak}.",
        "duration": f"The plan's own is {length}; this plays {wording.duration(plan.duration_s)}."
        if form.get("duration")
        else f"The plan's own: {length}. A shorter one cuts off the end.",
        "time_scale": f"The plan's own: {own.time_scale:g}. {_SCALE}",
        "seed": f"The plan's own: {own.seed}. {_SEED}",
    }
