"""Plans of what has no curve or no requests of its own: a session, a document, a rate."""

from collections.abc import Collection, Sequence

from loadtest.importing.curve_fit import Knot, fitted_knots
from loadtest.importing.import_error import ImportingError
from loadtest.importing.log_plan import TOLERANCE, Written
from loadtest.importing.plan_text import PlannedScenario, PlanText, plan_toml, when
from loadtest.importing.prometheus_query import Rates
from loadtest.importing.script_text import FeederFile, ScriptClass, script_py
from loadtest.importing.session_script import SessionScript
from loadtest.plan.plan_check import USER_CLASS

PEAK_TPS = 5.0
KNOTS: tuple[Knot, ...] = ((0, 1.0), (10, PEAK_TPS), (60, PEAK_TPS))
"""Slow, since nobody knows what the target bears (A)."""
SESSION = "Session"
_VIRTUAL_USERS = 100


def plan_of_session(script: SessionScript, name: str, made_of: str, notes: Sequence[str]) -> Written:
    """A plan that plays a session again and again."""
    one = ScriptClass(SESSION, script.text, script.constants, script.files)
    return _written([one], script.imports, name, made_of, [*notes, *script.notes])


def plan_of_classes(
    classes: Sequence[ScriptClass],
    name: str,
    made_of: str,
    notes: Sequence[str],
    waiting: Collection[str] = (),
) -> Written:
    """A plan that plays some classes, each as often; those called `waiting` are in the script alone."""
    told = [
        *notes,
        *(["the mix is guessed: every scenario comes as often as the first"] if len(classes) > 1 else []),
    ]
    imports = ["import uuid"] if any("uuid.uuid4()" in one.text for one in classes) else []
    return _written(classes, imports, name, made_of, told, waiting=waiting)


def _written(
    classes: Sequence[ScriptClass],
    imports: Sequence[str],
    name: str,
    made_of: str,
    notes: Sequence[str],
    *,
    waiting: Collection[str] = (),
) -> Written:
    told = [*notes, f"the rate is guessed: it rises to {PEAK_TPS:g} transactions a second"]
    plan = PlanText(
        name=name,
        module=name,
        made_of=made_of,
        notes=told,
        knots=KNOTS,
        scenarios=[PlannedScenario(one.name, 1.0) for one in classes if one.name not in waiting],
        virtual_users=_VIRTUAL_USERS,
        slos=["errors(*) < 1%"],
    )
    files: dict[str, FeederFile] = {file.path: file for one in classes for file in one.files}
    return Written(plan_toml(plan), script_py(made_of, [], classes, imports), list(files.values()), told)


def plan_of_rates(rates: Rates, query: str, user: str, name: str) -> Written:
    """A plan of a curve alone, without a script: a class that is there serves it. Raises `ImportingError`."""
    if not USER_CLASS.fullmatch(user):
        raise ImportingError(f'--user: expected "module:Class", got "{user}"')
    module, _, class_name = user.partition(":")
    knots = fitted_knots([rate * rates.step_s for rate in rates.tps], rates.step_s, TOLERANCE)
    end = rates.first_second + round(len(rates.tps) * rates.step_s)
    notes = [f"each unit of {query} is one transaction, served by {user}; --user names another class"]
    if rates.missing:
        notes.append(
            f"{rates.missing} of {len(rates.tps)} steps have no value: the curve goes straight across them"
        )
    plan = PlanText(
        name=name,
        module=module,
        made_of=f"Made by `singlesday import prometheus` of {query}, {when(rates.first_second)} to {when(end)}.",
        notes=notes,
        knots=knots,
        scenarios=[PlannedScenario(class_name, 1.0)],
        virtual_users=min(max(round(2 * max(rates.tps)), 50), 100_000),
        slos=["errors(*) < 1%"],
    )
    return Written(plan_toml(plan), None, [], notes)
