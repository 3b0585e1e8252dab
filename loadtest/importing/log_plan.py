"""`Traffic` as a plan, its script and its data: the rim writes them, nothing is decided there."""

from collections.abc import Sequence
from typing import NamedTuple

from loadtest.importing.curve_fit import Knot, exact_knots, fitted_knots
from loadtest.importing.import_error import ImportingError
from loadtest.importing.plan_text import PlannedScenario, PlanText, plan_toml, when
from loadtest.importing.script_text import WITH_BODY, FeederFile, endpoint_class, script_py
from loadtest.importing.traffic import Endpoint, Traffic

BIN_S = 5
TOLERANCE = 0.025
"""Of the 3 % that a bin of five seconds may be off, what the fit uses."""
_USERS_PER_RATE = 1.0
"""Users for each request a second at the peak: enough while responses take under a second (A)."""


class Written(NamedTuple):
    """The files that were made, by their names, and what is to be said of them."""

    plan: str
    script: str | None
    """None where the plan names a class that is there already."""
    files: Sequence[FeederFile]
    notes: Sequence[str]
    curve_csv: str | None = None


def plan_of(traffic: Traffic, name: str, *, transaction: str | None, exact: bool) -> Written:
    """The plan that plays a log again. Raises `ImportingError` for a `transaction` that is none of its endpoints."""
    chosen, guess = _transaction(traffic, transaction)
    share = chosen.requests / sum(traffic.counts)
    folder = f"{name}-data"
    notes = [*traffic.notes, *guess]
    taken: set[str] = set()
    ordered = [chosen, *(each for each in traffic.endpoints if each is not chosen)]
    requests = sum(traffic.counts)
    classes = [endpoint_class(each, each.requests / requests, folder, taken) for each in ordered]
    notes += [
        f"the body of {each.method} {each.called}: a log has none; put some into {file.path}, one a line"
        for each, one in zip(ordered, classes, strict=True)
        for file in one.files
        if file.is_json
    ]
    notes.append("the mix is that of the whole log; headers, hosts, cookies and logins are not in it")
    knots = [(at_s, rate * share) for at_s, rate in _knots(traffic.counts, exact)]
    peak = max(rate for _, rate in knots)
    made_of = (
        f"Made by `singlesday import log` of {requests:,} requests from {when(traffic.first_second)} to "
        f"{when(traffic.first_second + len(traffic.counts))}: {traffic.source}."
    )
    plan = PlanText(
        name=name,
        module=name,
        made_of=" ".join(made_of.split()),
        notes=notes,
        knots=knots,
        scenarios=[
            PlannedScenario(one.name, each.requests / chosen.requests)
            for each, one in zip(ordered, classes, strict=True)
        ],
        virtual_users=min(max(round(peak / share * _USERS_PER_RATE), 50), 100_000),
        slos=["errors(*) < 1%"],
        curve_csv=f"{folder}/curve.csv" if exact else None,
        peak_tps=peak,
    )
    curve = "".join(f"{at_s:g},{rate / peak:.12g}\n" for at_s, rate in knots) if exact else None
    files = [file for one in classes for file in one.files]
    return Written(plan_toml(plan), script_py(plan.made_of, traffic.steps, classes), files, notes, curve)


def _knots(counts: Sequence[int], exact: bool) -> list[Knot]:
    """The rate of all requests, by the second or fitted in bins; a last bin that is cut has its own mean."""
    if exact:
        return exact_knots(counts)
    bins = [sum(counts[start : start + BIN_S]) for start in range(0, len(counts), BIN_S)]
    left = len(counts) % BIN_S
    if not left:
        return fitted_knots(bins, BIN_S, TOLERANCE)
    whole = fitted_knots(bins[:-1], BIN_S, TOLERANCE) if bins[:-1] else []
    rate = bins[-1] / left
    return [*whole, (float(len(counts) - left), rate), (float(len(counts)), rate)]


def _transaction(traffic: Traffic, asked: str | None) -> tuple[Endpoint, list[str]]:
    known = {f"{each.method} {each.called}": each for each in traffic.endpoints}
    if asked is not None:
        if asked not in known:
            shown = ", ".join(list(known)[:8])
            raise ImportingError(f'--transaction: expected one of {shown}, got "{asked}"')
        return known[asked], []
    writing = [each for each in traffic.endpoints if each.method in WITH_BODY]
    chosen = (writing or list(traffic.endpoints))[0]
    name = f"{chosen.method} {chosen.called}"
    return chosen, [f"a transaction is one {name}; --transaction names another endpoint"]
