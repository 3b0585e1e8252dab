"""The language of service-level objectives: text in, `Slo` out, or an error that points at the column.

    metric [ '(' [ 'ok' ] endpoint [ ' @ ' region ] ')' ] { clause } comparison value { clause }
    clause: 'during' phase | 'in every' seconds | 'in every region'

    p99.9(POST /orders) < 250ms          service_p99(POST /orders) < 80ms      errors(*) < 0.1%
    p99(POST /orders) during spike < 400ms        p99(*) < 1s in every 10 s    dropped == 0
    started_rate > 99%                   goodput > 100tps                      availability >= 99.95%
    goodput(POST /orders) > 100rps       p99(POST /orders @ frankfurt) < 250ms drift == 0
    p99(POST /orders) < 250ms in every region             p99(ok POST /orders) < 250ms

An endpoint is a name as the report shows it, `*` stands for any run of characters. Without a region it is the
endpoint in all its regions together (`loadtest.records.in_region` is how a scenario names one). Goodput is what was
answered without an error: of the run, transactions a second; of an endpoint, requests. `ok` asks for the times of
responses without an error alone; without it both all responses and these alone must meet the objective, so that
no refusal, however fast, makes it green (`judge.observation`). Every metric has one
kind of value, and its unit must be written: `errors(*) < 0.1` is refused, because half of the readers take
it for 0.1 % and the other half for 10 %. Equality is for counts only; no measured time ever equals 250 ms.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import Enum
from math import inf
from typing import NoReturn

from loadtest.measure.endpoint_pattern import matches
from loadtest.records import REGION_MARK, endpoint_and_region


class Kind(Enum):
    """What a metric measures, which decides the units its value may have."""

    LATENCY = "a time such as 250ms, 1.5s or 800us"
    RATIO = "a percentage such as 0.1%"
    RATE = "transactions a second, such as 100tps"
    REQUEST_RATE = "requests a second, such as 100rps"
    COUNT = "a whole number such as 0"


UNITS: dict[Kind, dict[str, float]] = {
    Kind.LATENCY: {"us": 0.001, "µs": 0.001, "ms": 1.0, "s": 1000.0, "min": 60_000.0},
    Kind.RATIO: {"%": 0.01},
    Kind.RATE: {"tps": 1.0},
    Kind.REQUEST_RATE: {"rps": 1.0},
    Kind.COUNT: {"": 1.0},
}
"""Each unit's size in its kind's base unit: milliseconds, a share of 1, transactions a second, things."""

ENDPOINT_METRICS = {
    "mean": Kind.LATENCY,
    "max": Kind.LATENCY,
    "service_mean": Kind.LATENCY,
    "service_max": Kind.LATENCY,
    "errors": Kind.RATIO,
    "requests": Kind.COUNT,
}
GOODPUT = "goodput"
"""Of the whole run, or of an endpoint where one is given."""
DRIFT = "drift"
"""How many of a soak's metrics get worse with time (`loadtest.judge.drift`)."""
SCENARIOS_WITHOUT_REQUESTS = "scenarios_without_requests"
"""How many scenarios had arrivals and made no request in any of them."""
IMPLICIT = "implicit"
"""The source of an objective that nobody wrote."""
RUN_METRICS = {
    "started_rate": Kind.RATIO,
    "availability": Kind.RATIO,
    "dropped": Kind.COUNT,
    "lost": Kind.COUNT,
    GOODPUT: Kind.RATE,
    DRIFT: Kind.COUNT,
    SCENARIOS_WITHOUT_REQUESTS: Kind.COUNT,
}
QUANTILE = re.compile(r"(service_)?p(\d+(?:\.\d+)?)")
OPERATORS = ("<", "<=", ">", ">=", "==")


class SloError(ValueError):
    """An objective that cannot be judged.

    `column` counts from 1; `expected` says what belongs there; `suggestion` is a corrected text, or empty.
    """

    def __init__(self, expr: str, column: int, expected: str, suggestion: str = "") -> None:
        self.expr, self.column, self.expected, self.suggestion = expr, column, expected, suggestion
        hint = f"; did you mean `{suggestion}`?" if suggestion else ""
        super().__init__(f"SLO `{expr}`, column {column}: expected {expected}{hint}")


@dataclass(frozen=True, slots=True)
class Slo:
    """One objective, checked for sense but not yet against any run."""

    expr: str
    metric: str
    """`p`, `service_p`, or a name of `ENDPOINT_METRICS` or `RUN_METRICS`."""
    quantile: float | None
    """0 < quantile < 1 of `p` and `service_p`, else None."""
    endpoint: str | None
    """A name or pattern; None where the metric belongs to the run as a whole."""
    phase: str | None
    window_s: float | None
    """Judge every window of this length by itself; the worst one counts."""
    operator: str
    bound: float
    """In `unit`."""
    unit: str
    per_region: bool = False
    """Judge every region of the endpoint by itself; the worst one counts."""
    ok_only: bool = False
    """Look at responses without an error alone."""
    source: str = "plan"
    """Who asked for it: `plan`, `flag`, or `implicit` (`judge.implicit`)."""

    @property
    def kind(self) -> Kind:
        """What its value measures."""
        if self.quantile is not None:
            return Kind.LATENCY
        return _kind(self.metric, self.endpoint)

    @property
    def unit_size(self) -> float:
        """One `unit` in the base unit of its kind."""
        return UNITS[self.kind][self.unit]


def _kind(metric: str, endpoint: str | None) -> Kind:
    if metric == GOODPUT and endpoint is not None:
        return Kind.REQUEST_RATE
    return (ENDPOINT_METRICS | RUN_METRICS)[metric]


def parse(expr: str, source: str = "plan") -> Slo:
    """Parse one objective. Raises `SloError` with the column, what was expected and a suggestion."""
    return replace(_Parser(expr).parse(), source=source)


def check(slo: Slo, endpoints: Collection[str], phases: Collection[str]) -> None:
    """Hold an objective against the names that its plan has, before any traffic.

    Raises `SloError` when it names a phase the profile does not have, or an endpoint that matches none of
    `endpoints`; an empty `endpoints` means they are not known beforehand, and everything matches.
    """
    if slo.phase is not None and slo.phase not in phases:
        _unknown(slo.expr, slo.expr.rfind(slo.phase), slo.phase, "a phase of this plan", phases)
    if slo.endpoint and endpoints and not any(matches(slo.endpoint, name) for name in endpoints):
        _unknown(slo.expr, slo.expr.find(slo.endpoint), slo.endpoint, "an endpoint of this plan", endpoints)


def _unknown(expr: str, at: int, name: str, what: str, known: Collection[str]) -> NoReturn:
    close = _closest(name, known)
    suggestion = expr[:at] + close + expr[at + len(name) :] if close else ""
    raise SloError(expr, at + 1, f"{what} ({', '.join(known) or 'it has none'})", suggestion)


def _closest(word: str, known: Iterable[str]) -> str:
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.5)), "")


class _Parser:
    """A cursor over the text; each method reads one part of the grammar and moves on."""

    def __init__(self, expr: str) -> None:
        self.expr = expr
        self.at = 0
        self.phase: str | None = None
        self.window_s: float | None = None
        self.per_region = False
        self.ok_only = False

    def parse(self) -> Slo:
        metric, quantile, kind = self._metric()
        endpoint = self._endpoint(metric, quantile)
        kind = kind if endpoint is None or quantile is not None else _kind(metric, endpoint)
        self._clauses(endpoint)
        operator = self._operator(kind)
        bound, unit = self._value(kind)
        self._clauses(endpoint)
        if self._take(r"\S") is not None:
            self.at -= 1
            self._fail("nothing more, or `during PHASE`, `in every 10 s` or `in every region`")
        if metric in (DRIFT, SCENARIOS_WITHOUT_REQUESTS) and (self.phase or self.window_s):
            self.at = len(self.expr)
            self._fail(f"no `during` and no `in every`: {metric} is found over a whole run")
        return Slo(
            self.expr,
            metric,
            quantile,
            endpoint,
            self.phase,
            self.window_s,
            operator,
            bound,
            unit,
            self.per_region,
            self.ok_only,
        )

    def _take(self, pattern: str) -> re.Match[str] | None:
        """Skip blanks; move past `pattern` when it is next."""
        blanks = re.compile(r"\s*").match(self.expr, self.at)
        self.at = blanks.end() if blanks else self.at
        found = re.compile(pattern).match(self.expr, self.at)
        if found:
            self.at = found.end()
        return found

    def _fail(self, expected: str, suggestion: str = "") -> NoReturn:
        raise SloError(self.expr, self.at + 1, expected, suggestion)

    def _metric(self) -> tuple[str, float | None, Kind]:
        word = self._take(r"[A-Za-z_][\w.]*")
        names = ENDPOINT_METRICS | RUN_METRICS
        if word is None:
            self._fail(f"a metric: p99, service_p99, {', '.join(names)}")
        quantile = QUANTILE.fullmatch(word[0])
        if quantile:
            self.at = word.start()
            share = self._share(quantile[2])
            self.at = word.end()
            return (quantile[1] or "") + "p", share, Kind.LATENCY
        if word[0] not in names:
            self.at = word.start()
            close = _closest(word[0], [*names, "p99", "service_p99"])
            self._fail(f"a metric (p99, service_p99, {', '.join(names)})", self._swap(word[0], close))
        return word[0], None, names[word[0]]

    def _share(self, percent: str) -> float:
        if 0 < float(percent) < 100:
            return round(float(percent) / 100, 12)
        better = "max" if float(percent) == 100 else ""
        if re.fullmatch(r"99\d+", percent):
            better = f"p{percent[:2]}.{percent[2:]}"
        return self._fail("a percentile above p0 and below p100", self._swap("p" + percent, better))

    def _swap(self, wrong: str, right: str) -> str:
        """The whole text with its next `wrong` corrected; empty where there is nothing to suggest."""
        return self.expr[: self.at] + self.expr[self.at :].replace(wrong, right, 1) if right else ""

    def _without(self, found: re.Match[str]) -> str:
        return self.expr[: found.start()] + self.expr[found.end() :]

    def _endpoint(self, metric: str, quantile: float | None) -> str | None:
        wanted = quantile is not None or metric in ENDPOINT_METRICS
        opening = self._take(r"\(")
        if metric == GOODPUT and opening:
            self._take_ok(metric)
            return self._name_in_brackets()
        if not wanted and opening:
            self.at = opening.start()
            self._fail(f"no endpoint: {metric} belongs to the whole run")
        if not wanted:
            return None
        if not opening:
            self._fail(
                "`(` and an endpoint, or (*) for all", self.expr[: self.at].rstrip() + "(*) " + self._rest()
            )
        self._take_ok(metric)
        return self._name_in_brackets()

    def _take_ok(self, metric: str) -> None:
        """`ok` before the endpoint: response times have it, and nothing else."""
        found = self._take(r"ok\s+(?=[^\s)])")
        if found and _only_of_all(metric):
            self.at = found.start()
            self._fail("an endpoint without `ok`, which only p99, mean and max have", self._without(found))
        self.ok_only = found is not None

    def _rest(self) -> str:
        return self.expr[self.at :]

    def _name_in_brackets(self) -> str:
        """An endpoint's name up to the bracket that closes it; names may hold balanced brackets."""
        start, depth = self.at, 1
        for place in range(start, len(self.expr)):
            depth += {"(": 1, ")": -1}.get(self.expr[place], 0)
            if depth == 0:
                self.at = place + 1
                self._check_region(start, place)
                name = re.sub(r"\s+@\s+", REGION_MARK, self.expr[start:place].strip())
                return name or self._no_name(start)
        self.at = len(self.expr)
        return self._fail("`)` after the endpoint")

    def _check_region(self, start: int, end: int) -> None:
        """A region, what follows the last ` @ `, is one word."""
        found = re.compile(r".*\s@(?:\s+|$)").match(self.expr, start, end)
        region = self.expr[found.end() : end].strip() if found else "*"
        if found and not re.fullmatch(r"\S+", region):
            self.at = found.end()
            joined = "-".join(region.split())
            self._fail("a region: one word, or *", joined and self._swap(region, joined))

    def _no_name(self, at: int) -> NoReturn:
        self.at = at
        self._fail("an endpoint such as POST /orders, or * for all")

    def _clauses(self, endpoint: str | None) -> None:
        while True:
            if self._take(r"during\b"):
                phase = self._take(r"[\w][\w-]*")
                self.phase = phase[0] if phase else self._fail("the name of a phase")
            elif clause := self._take(r"in\s+every\s+region\b"):
                self.per_region = True
                self._check_has_regions(endpoint, clause)
            elif self._take(r"in\s+every\b"):
                self.window_s = self._window()
            else:
                return

    def _check_has_regions(self, endpoint: str | None, clause: re.Match[str]) -> None:
        after, self.at = self.at, clause.start()
        if endpoint is None:
            self._fail("no `in every region`: this metric belongs to the whole run")
        if endpoint_and_region(endpoint)[1] is not None:
            self._fail("either a region after @ or `in every region`, not both")
        self.at = after

    def _window(self) -> float:
        length = self._take(r"(\d+(?:\.\d+)?)\s*(s|min)\b")
        if length is None or not 0 < float(length[1]) < inf:
            self._fail("a length such as 10 s or 1 min, or `region`")
        return float(length[1]) * (60 if length[2] == "min" else 1)

    def _operator(self, kind: Kind) -> str:
        operator = self._take(r"[<>=!]+")
        if operator is None:
            self._fail(f"a comparison ({', '.join(OPERATORS)})")
        at, self.at = self.at, operator.start()
        if operator[0] not in OPERATORS:
            self._fail(
                f"a comparison ({', '.join(OPERATORS)})", self._swap(operator[0], _closest_op(operator[0]))
            )
        if operator[0] == "==" and kind is not Kind.COUNT:
            self._fail("< or >, since only counts are ever equal", self._swap("==", "<="))
        self.at = at
        return operator[0]

    def _value(self, kind: Kind) -> tuple[float, str]:
        number = self._take(r"\d+(?:[.,_]\d+)*")
        if number is None:
            self._fail(kind.value)
        bound = self._number(number)
        after_number = self.at
        unit = self._take(r"%|(?!(?:during|in)\b)[A-Za-zµ/%‰]+")
        name = unit[0] if unit else ""
        if name not in UNITS[kind]:
            self.at = unit.start() if unit else after_number
            close = _closest(name.lower(), UNITS[kind]) or next(
                u for u in ("ms", "%", "tps", "rps", "") if u in UNITS[kind]
            )
            self._fail(kind.value, self.expr[: self.at] + close + self.expr[self.at + len(name) :])
        return bound, name

    def _number(self, found: re.Match[str]) -> float:
        try:
            bound = float(found[0])
        except ValueError:
            thousands = re.fullmatch(r"\d{1,3}(,\d{3})+", found[0])
            self.at = found.start()
            right = found[0].replace(",", "" if thousands else ".")
            self._fail("a number such as 1000 or 0.5", self._swap(found[0], right))
        if bound == inf:  # of more digits than a float can hold, and nothing would ever miss it
            self.at = found.start()
            self._fail("a number such as 1000 or 0.5")
        return bound


def _only_of_all(metric: str) -> bool:
    """Whether a metric is about all responses together: counts are, and service times are kept of all alone."""
    counts = metric == GOODPUT or ENDPOINT_METRICS.get(metric, Kind.LATENCY) is not Kind.LATENCY
    return counts or metric.startswith("service_")


def _closest_op(operator: str) -> str:
    return {"=": "==", "=<": "<=", "=>": ">=", "!=": "==", "<>": "=="}.get(operator, operator[:1])
