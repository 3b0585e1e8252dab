"""Makes a plan, its script and its data from `Traffic`, as text; `cli/importing` writes the files."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from loadtest.importing.curve_fit import Knot, exact_knots, fitted_knots
from loadtest.importing.import_error import ImportingError
from loadtest.importing.plan_text import PlannedScenario, PlanText, plan_toml, when
from loadtest.importing.recorded import counted
from loadtest.importing.script_text import WITH_BODY, FeederFile, ScriptClass, endpoint_class, script_py
from loadtest.importing.shares import TOLERANCE as SHARE_TOLERANCE
from loadtest.importing.shares import counts_of
from loadtest.importing.traffic import Endpoint, Traffic
from loadtest.importing.visit_script import IMPORTS, visit_classes
from loadtest.importing.visits import Visits

BIN_S = 5
TOLERANCE = 0.025
"""Of the 3 % that a bin of five seconds may be off, what the fit uses."""
_ROOM_FOR_VISITS = 1.5
"""Users for each visit under way on average (Little's law, and half as many again for the uneven) (A)."""
_VISITS_A_BIN = 100
"""With as many a bin's count is off by a tenth by chance alone (Poisson)."""
_VISIT_TOLERANCE = 0.1
_PATIENCE_S = 10
"""Besides the length of a visit, for which a run's end waits: what is cut off counts against availability."""
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
    ordered = [chosen, *(each for each in traffic.endpoints if each is not chosen)]
    folder, requests, taken = f"{name}-data", sum(traffic.counts), set[str]()
    classes = [endpoint_class(each, each.requests / requests, folder, taken) for each in ordered]
    knots, own = _curves(traffic, chosen, exact)
    peak = max(rate for _, rate in knots)
    plan = PlanText(
        name=name,
        module=name,
        made_of=_made_of(traffic, requests),
        notes=[*traffic.notes, *guess, *_bodies_wanted(ordered, classes), *_mix_notes(own, ordered)],
        knots=knots,
        scenarios=[
            PlannedScenario(one.name, each.requests / chosen.requests, knots=own.get(each.name, ()))
            for each, one in zip(ordered, classes, strict=True)
        ],
        virtual_users=min(max(round(peak / (chosen.requests / requests) * _USERS_PER_RATE), 50), 100_000),
        slos=["errors(*) < 1%"],
        curve_csv=f"{folder}/curve.csv" if exact else None,
        peak_tps=peak,
    )
    curve = "".join(f"{at_s:g},{rate / peak:.12g}\n" for at_s, rate in knots) if exact else None
    files = [file for one in classes for file in one.files]
    script = script_py(plan.made_of, traffic.steps, classes)
    return Written(plan_toml(plan), script, files, plan.notes, curve)


def _made_of(traffic: Traffic, requests: int) -> str:
    return (
        f"Made by `singlesday import log` of {counted(requests, 'request', 'requests')} from "
        f"{when(traffic.first_second)} to {when(traffic.first_second + len(traffic.counts))}: {traffic.source}."
    )


def _bodies_wanted(endpoints: Sequence[Endpoint], classes: Sequence[ScriptClass]) -> list[str]:
    return [
        f"{each.name} has no body, since a log has none: put some into {file.path}, one a line"
        for each, one in zip(endpoints, classes, strict=True)
        for file in one.files
        if file.is_json
    ]


def _curves(traffic: Traffic, chosen: Endpoint, exact: bool) -> tuple[list[Knot], dict[str, list[Knot]]]:
    """The curve of the transactions, and by name those of endpoints whose share of the requests changes otherwise."""
    of_all = _knots(traffic.counts, exact)
    if exact:
        return _curve(traffic, chosen._replace(shares=()), of_all), {}
    changing = [each for each in traffic.endpoints if each.shares != chosen.shares]
    return _curve(traffic, chosen, of_all), {each.name: _curve(traffic, each, of_all) for each in changing}


def plan_of_visits(traffic: Traffic, visits: Visits, name: str) -> Written:
    """The plan whose arrivals are the visits of a log: a transaction is one visit."""
    folder = f"{name}-data"
    visitor, *classes = visit_classes(visits, traffic.endpoints, folder)
    of_each = [journey.visits for journey in visits.journeys] + ([visits.walk.visits] if visits.walk else [])
    total = visits.total
    shares = [round(many / total, 9) for many in of_each]
    shares[0] += 1 - sum(shares)
    knots, bin_s = _visit_knots(visits)
    peak = max(rate for _, rate in knots)
    first = visits.begun[0][0]
    made_of = (
        f"Made by `singlesday import log --visits` of "
        f"{counted(total * visits.one_client_in, 'visit', 'visits')} of "
        f"{visits.requests / total:.1f} requests and {visits.mean_s:,.0f} s, from {when(first)}: {traffic.source}."
    )
    notes = [*traffic.notes, *_guessed(visits, bin_s)]
    notes += [
        f"a request of the visits has no body, since a log has none: put some into {file.path}, one a line"
        for file in visitor.files
        if file.is_json
    ]
    plan = PlanText(
        name=name,
        module=name,
        made_of=made_of,
        notes=notes,
        knots=knots,
        scenarios=[
            PlannedScenario(one.name, share, transaction=True)
            for one, share in zip(classes, shares, strict=True)
        ],
        virtual_users=min(max(round(peak * (visits.mean_s + 1) * _ROOM_FOR_VISITS), 50), 100_000),
        slos=["errors(*) < 1%"],
        patience_s=visits.long_s + _PATIENCE_S,
    )
    script = script_py(made_of, traffic.steps, [visitor, *classes], IMPORTS)
    return Written(plan_toml(plan), script, visitor.files, notes)


def _visit_knots(visits: Visits) -> tuple[list[Knot], int]:
    """How many visits began, in bins that hold enough of them to tell a rate, and the bins' length in seconds."""
    first, last = visits.begun[0][0], visits.begun[-1][0]
    span_s = last - first + 1
    wanted_s = _VISITS_A_BIN * span_s / visits.total
    bin_s = min(max(BIN_S, BIN_S * round(wanted_s / BIN_S)), max(BIN_S, span_s))
    bins = [0] * -(-span_s // bin_s)
    for second, many in visits.begun:
        bins[(second - first) // bin_s] += many * visits.one_client_in
    return fitted_knots(bins, bin_s, _VISIT_TOLERANCE), bin_s


def _guessed(visits: Visits, bin_s: int) -> list[str]:
    notes = [
        "a visitor is an address with its browser, or what --visitor names; a visit ends after half an idle hour",
        f"the curve counts beginning visits in bins of {bin_s} s; those under way at the log's start begin there",
        "pauses are whole seconds, like the log's times, and drawn from nine quantiles of those in the log",
        "each step draws its own key, since a log does not say which order belongs to whom",
    ]
    if visits.one_client_in > 1:
        notes.append(f"one visitor in {visits.one_client_in:,} was looked at, to save memory")
    if visits.walk is not None:
        notes.append(
            f"{visits.walk.visits / visits.total:.1%} of the visits took rare paths; one scenario plays all "
            "of them as a random walk whose steps are as likely as in the log"
        )
    return notes


def _curve(traffic: Traffic, endpoint: Endpoint, of_all: Sequence[Knot]) -> list[Knot]:
    """An endpoint's curve: its share of that of all requests, unless that share changes."""
    if endpoint.shares:
        return _knots(counts_of(traffic.counts, endpoint.shares, endpoint.requests), exact=False)
    share = endpoint.requests / sum(traffic.counts)
    return [(at_s, rate * share) for at_s, rate in of_all]


def _mix_notes(own: Mapping[str, object], ordered: Sequence[Endpoint]) -> list[str]:
    left_out = "headers, hosts, cookies and logins are not in it"
    if not own:
        return [f"the mix is that of the whole log; {left_out}"]
    some = ", ".join(list(own)[:5]) + (", …" if len(own) > 5 else "")
    changed = (
        f"the mix changes by more than {SHARE_TOLERANCE:.0%} while the log goes on, so {len(own):,} of "
        f"{len(ordered):,} endpoints have curves of their own: {some}"
    )
    return [f"{changed}; {left_out}"]


def _knots(counts: Sequence[float], exact: bool) -> list[Knot]:
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
    known = {each.name: each for each in traffic.endpoints}
    if asked is not None:
        if asked not in known:
            shown = ", ".join(list(known)[:8])
            raise ImportingError(f'--transaction: expected one of {shown}, got "{asked}"')
        return known[asked], []
    writing = [each for each in traffic.endpoints if each.method in WITH_BODY]
    chosen = (writing or list(traffic.endpoints))[0]
    return chosen, [f"each {chosen.name} is one transaction; --transaction names another endpoint"]
