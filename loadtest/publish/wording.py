"""How figures and verdicts are put into words, the same in the report, the summary and the terminal.

Numbers carry their unit and as many digits as they deserve. Rounding never flatters: a share that is not
quite everything or not quite nothing is never shown as 100% or 0%.
"""

import math
from datetime import UTC, datetime
from typing import NamedTuple

from loadtest.judge.bound import with_unit
from loadtest.judge.drift import Trend
from loadtest.judge.recovery import FAULT, unit_of
from loadtest.judge.slo_syntax import IMPLICIT, SloError, parse
from loadtest.measure.printable import printable
from loadtest.measure.regions import together
from loadtest.measure.run_result import Audit, Endpoint, Evidence, RunResult, SloResult
from loadtest.records import (
    ORDER_ENDPOINT,
    RECORD_TPS,
    TRANSACTION,
    endpoint_and_region,
    is_request,
    transaction_noun,
)

SINGLES_DAY_PLANS = ("singles-day", "day")
"""The shipped plans whose curve is that day's: only their rates are compared with the record.

That of `rehearsal` is made up (docs/traffic.md, curve (c)), and its best second is an overload."""
STOPPED = "stopped after "
"""How the reason begins with which a run was stopped; the headline of an ABORTED run says it."""
NONE_ACKNOWLEDGED = "no order was acknowledged, so none could be missed"
"""What an audit without a finding has shown of a run in which, by its ledger, no order succeeded."""
NOT_JUDGED = "not judged"
"""What is said of an objective that the run can tell nothing of."""
ENOUGH_REQUESTS = 1_000
"""Ten of them lie beyond p99, as each step of `capacity` has it."""


class Headline(NamedTuple):
    """The verdict of a run in words."""

    word: str
    """PASS, FAIL, INVALID, ABORTED or AUDIT."""
    sentence: str
    reasons: list[str]


def latency(ms: float) -> str:
    """Milliseconds in the unit that suits them, three digits: `310 µs`, `12.3 ms`, `1.20 s`."""
    if not ms:
        return "0 ms"
    if ms < 0.9995:
        return f"{_three_digits(ms * 1000)} µs"
    if ms < 999.5:
        return f"{_three_digits(ms)} ms"
    return f"{_three_digits(ms / 1000)} s"


def rate(per_second: float) -> str:
    """A rate without its unit: `1,124`, `87.5`, `0.31`."""
    return f"{per_second:,.0f}" if per_second >= 99.95 else _without_zeros(_three_digits(per_second))


def percent(share: float) -> str:
    """A share of 1 as a percentage with two or three digits: `0.02%`, `14.6%`, `99.996%`."""
    if share in (0, 1) or share > 1:
        return f"{share * 100:.4g}%"
    if share > 0.99:  # as many nines as it has, rounded down
        digits = max(1, math.ceil(-math.log10(1 - share)) - 1)
        return _without_zeros(f"{math.floor(share * 100 * 10**digits) / 10**digits:.{digits}f}") + "%"
    return f"{share * 100:.3g}%" if share >= 1e-6 else "<0.0001%"


def duration(seconds: float) -> str:
    """`45 s`, `1 min`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest_s, "s")]
    return " ".join(f"{value} {unit}" for value, unit in parts if value)


def size(count: float) -> str:
    """Bytes in the unit that suits them: `80 B`, `1.2 kB`, `3.05 GB`."""
    scales = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
    scale, unit = next((pair for pair in scales if count >= pair[0] * 0.9995), (1, "B"))
    return f"{count / scale:,.3g} {unit}"


def things(count: int, noun: str) -> str:
    """`1 worker`, `2,000 workers`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def instant(iso: str) -> str:
    """An ISO 8601 instant as people write it, in UTC to the second; anything else as it is."""
    try:
        return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return iso


def setting(value: object) -> str:
    """A setting's value, however nested, without the marks of a programming language."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {setting(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


_UNITS = {"_tps": "/s", "_s": " s", "_gib": " GiB"}
"""What the end of a setting's name says of its value."""


def labelled(key: str, value: object) -> tuple[str, str]:
    """A setting's name and value, the unit beside the value: `memory_gib`, 8 is `memory`, `8 GiB`."""
    unit = next((end for end in _UNITS if key.endswith(end)), "")
    if not unit or not isinstance(value, (int, float)):
        return key.replace("_", " "), setting(value)
    return key.removesuffix(unit).replace("_", " "), f"{setting(value)}{_UNITS[unit]}"


_WORKER_HEADINGS = {
    "name": "worker",
    "cpu_max": "CPU, highest",
    "cpu_wait_max": "waited for a CPU, highest",
    "report_gaps": "reports missing",
}


def worker_heading(key: str) -> str:
    """What stands above a figure of each worker, without its unit."""
    return _WORKER_HEADINGS.get(key, key.removesuffix("_ms").replace("_", " "))


def worker_figure(key: str, value: object) -> str:
    """A figure of a worker, with the unit that its key says."""
    if key.endswith("_ms") and isinstance(value, (int, float)):
        return f"{'-' if value < 0 else ''}{latency(abs(value))}"
    if key.startswith("cpu_") and isinstance(value, (int, float)):
        return percent(value)
    return f"{value:,}" if isinstance(value, int) else setting("-" if value is None else value)


def transaction(result: RunResult) -> str:
    """What one transaction of the run is: an order, a parcel, or just a transaction."""
    return transaction_noun(result.endpoints)


def done(noun: str) -> str:
    """The word for a transaction that succeeded: orders and parcels are created."""
    return "completed" if noun == TRANSACTION else "created"


def is_about_singles_day(result: RunResult) -> bool:
    """Whether a run played a shipped plan of Singles' Day with orders, so that the record says something about it."""
    return result.run.plan in SINGLES_DAY_PLANS and transaction(result) == "order"


def share_of_record(tps: float) -> str:
    """A rate of orders beside the one that Singles' Day 2020 reached."""
    return f"{percent(tps / RECORD_TPS)} of {RECORD_TPS:,}"


def headline(result: RunResult) -> Headline:
    """The verdict, one sentence about it, and the reasons. Raises `ValueError` for an unknown one."""
    tellers = {
        "PASS": _passed,
        "FAIL": _failed,
        "INVALID": _invalid,
        "ABORTED": _aborted,
        "AUDIT": _unbalanced,
    }
    if result.verdict not in tellers:
        raise ValueError(f"verdict {result.verdict!r}: expected one of {', '.join(tellers)}")
    return tellers[result.verdict](result)


def observed(slo: SloResult) -> str:
    """What was seen of an objective, with its unit."""
    try:
        return with_unit(parse(slo.expr), slo.observed)
    except SloError:  # a record written by hand or by a later version; its number still stands
        if slo.observed is None:
            return "no data"
        unit = unit_of(slo.expr) if slo.source == FAULT else ""
        return f"{slo.observed:.4g}{unit}"


def judged(slo: SloResult, verdict: str) -> str:
    """`met` or `missed`, where the run can tell: an INVALID one cannot, an ABORTED one only until its end."""
    if verdict == "INVALID" or (verdict == "ABORTED" and slo.observed is None):
        return NOT_JUDGED
    return ("met" if slo.passed else "missed") + (" so far" if verdict == "ABORTED" else "")


def gauge(metric: str, value: float) -> str:
    """A value by the unit that its metric's name ends in: `_ms`, `_bytes`, or a share of 1."""
    if metric.endswith("_ms"):
        return latency(value)
    if metric.endswith("_bytes"):
        return f"{_three_digits(value / 2**20)} MiB"
    return percent(value) if metric in ("errors", "completed_share") else _three_digits(value)


def slope(found: Trend, per_h: float) -> str:
    """A slope as a share of the level an hour; errors, which may start at none, in percentage points."""
    if found.metric == "errors":
        return f"{per_h * 100:+.3g} points/h"
    return f"{per_h / found.level * 100:+.2f}%/h" if found.level else f"{per_h:+.3g}/h"


def main_endpoint(result: RunResult) -> tuple[str, Endpoint] | None:
    """The endpoint a run is about: the one that creates orders, else the one asked most; None without any.

    Orders are those of all regions together.
    """
    orders = [e for name, e in result.endpoints.items() if endpoint_and_region(name)[0] == ORDER_ENDPOINT]
    if orders:
        return ORDER_ENDPOINT, orders[0] if len(orders) == 1 else together(orders)
    return max(result.endpoints.items(), key=lambda item: item[1].requests, default=None)


def total_requests(result: RunResult) -> tuple[int, int]:
    """(requests, failures) over every endpoint; journeys, which are made of them, are not counted again."""
    single = [e for name, e in result.endpoints.items() if is_request(name)]
    return sum(e.requests for e in single), sum(e.failures for e in single)


def is_too_little(result: RunResult) -> bool:
    """Whether an ABORTED run hardly began: it made requests, and fewer than percentiles want."""
    return result.verdict == "ABORTED" and 0 < total_requests(result)[0] < ENOUGH_REQUESTS


def identities(result: RunResult) -> list[tuple[str, bool]]:
    """The arrivals' equations with this run's numbers, each with whether it holds."""
    a = result.arrivals
    return [
        _equation("planned", a.planned, scheduled=a.scheduled, lost=a.lost),
        _equation("scheduled", a.scheduled, started=a.started, dropped=a.dropped),
        _equation("started", a.started, ok=a.ok, failed=a.failed, empty=a.empty, cancelled=a.cancelled),
    ]


def audit(result: RunResult) -> str:
    """The outcome of the audit, or why there is none."""
    audit = result.audit
    if audit is None:
        return f"Not checked: {result.unaudited}"
    if audit.balanced:
        return f"passed: {_counted(audit)}"
    return " ".join(audit_findings(audit)).rstrip(".")


def all_stored(audit: Audit) -> str:
    """What an audit without a finding has shown: nothing, where no order was acknowledged."""
    return "every acknowledged order is stored" if audit.acknowledged else NONE_ACKNOWLEDGED


def audit_findings(audit: Audit) -> list[str]:
    """Where orders and database differ, a sentence for each kind; empty where they agree."""
    kinds = [
        (audit.lost, "acknowledged and not stored"),
        (audit.duplicated, "stored more than once"),
        (audit.oversold, "sold beyond the stock"),
        (audit.phantom, "stored and never sent"),
        (audit.shadow_leaks, "leaked from the load test into live tables"),
        (audit.misplaced, "stored for another region than they were placed in"),
    ]
    counted = [f"{things(count, 'order')} {what}." for count, what in kinds if count]
    return [*counted, *(f"{problem.rstrip('.')}." for problem in audit.problems)]


def _counted(audit: Audit) -> str:
    if not audit.acknowledged:
        return NONE_ACKNOWLEDGED
    return f"{audit.acknowledged:,} orders acknowledged, {audit.stored:,} stored"


def _three_digits(value: float) -> str:
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded)) + 1e-9))
    return f"{rounded:,.{decimals}f}"


def _without_zeros(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


def _equation(name: str, total: int, **parts: int) -> tuple[str, bool]:
    terms = " + ".join(f"{part} {value:,}" for part, value in parts.items())
    holds = total == sum(parts.values())
    return f"{name} {total:,} {'=' if holds else '≠'} {terms}", holds


def _passed(result: RunResult) -> Headline:
    said = [_met(result.slo)]
    if result.validity.verdict == "DEGRADED":
        said.append("the run recovered from the problems below")
    else:
        said.append("the load generator kept to its plan")
    if result.audit is not None:
        said.append(all_stored(result.audit))
    return Headline(
        "PASS", f"{', '.join(said[:-1])} and {said[-1]}.", result.findings + result.validity.reasons
    )


def _met(slos: list[SloResult]) -> str:
    implicit = sum(slo.source == IMPLICIT for slo in slos)
    if not slos:
        return "No objective was set"
    if implicit == len(slos):
        return f"No objective was set, the {implicit} that every run has {'was' if implicit == 1 else 'were'} met"
    every = "The one objective was met" if len(slos) == 1 else f"All {len(slos)} objectives were met"
    return every + (f" ({implicit} of them implicit)" if implicit else "")


def _failed(result: RunResult) -> Headline:
    missed = [slo for slo in result.slo if not slo.passed]
    sentence = f"{len(missed)} of {things(len(result.slo), 'objective')} missed."
    errors = _most_frequent_error(result) if any(_is_about_errors(slo) for slo in missed) else []
    return Headline(
        "FAIL", sentence, [*map(_missed, missed), *errors, *result.findings, *result.validity.reasons]
    )


def _is_about_errors(slo: SloResult) -> bool:
    return slo.expr.lstrip().startswith(("errors", "availability"))


def _most_frequent_error(result: RunResult) -> list[str]:
    """Where to look first; the list of errors has the rest."""
    return [
        f"The most frequent error is {row.error}: {row.share} of the requests to {row.endpoint}."
        for row in error_rows(result)[:1]
    ]


def _missed(slo: SloResult) -> str:
    why = how_missed(slo) if slo.observed is not None else f"failed, {slo.note or 'no data'}"
    return f"{expression(slo)}: {why}."


def expression(slo: SloResult) -> str:
    """An objective as it is listed, marked if it is implicit."""
    return f"{slo.expr} (implicit)" if slo.source == IMPLICIT else slo.expr


def how_missed(slo: SloResult) -> str:
    """What was seen of an objective that was missed, or why nothing was: `observed 1.2s`, `Failed: no requests`."""
    if slo.observed is None:
        return f"Failed: {slo.note or 'no data'}"
    note = f" ({slo.note})" if slo.note else ""
    return f"observed {observed(slo)}{note}"


def _invalid(result: RunResult) -> Headline:
    behind = any("ms late" in reason or "of a CPU" in reason for reason in result.validity.reasons)
    what = "The load generator fell behind" if behind else "The load generator did not play the whole plan"
    sentence = f"{what}, so these numbers cannot be trusted."
    missed = [f"(not to be trusted) {_missed(slo)}" for slo in result.slo if not slo.passed]
    return Headline("INVALID", sentence, [*result.validity.reasons, *result.findings, *missed])


def _aborted(result: RunResult) -> Headline:
    """Why it ended is said once: validity has it first, and the events of a run that went on have it too."""
    reasons = [reason for reason in result.validity.reasons if "aborted: " not in reason]
    ends = [reason for reason in reasons if reason.startswith(STOPPED)]
    causes = [reason.partition(": ")[2] for reason in ends]
    causes += [what.removeprefix("aborted: ") for _, what in result.events if "abort" in what]
    after = duration(round(result.run.duration_s, 1))
    sentence = f"The run ended early, after {after}{f': {causes[0]}' if causes else ''}."
    audit = audit_findings(result.audit) if result.audit else []
    rest = [reason for reason in reasons if reason not in ends]
    return Headline("ABORTED", sentence, [*_too_few(result, after), *rest, *result.findings, *audit])


def _too_few(result: RunResult, after: str) -> list[str]:
    """That an aborted run hardly began, in a sentence; empty where percentiles mean something."""
    if not is_too_little(result):
        return []
    return [
        f"Too little was played for percentiles: {things(total_requests(result)[0], 'request')} in {after}."
    ]


def _unbalanced(result: RunResult) -> Headline:
    sentence = "The service's database does not match the orders that it acknowledged."
    audit = audit_findings(result.audit) if result.audit else []
    missed = [_missed(slo) for slo in result.slo if not slo.passed]
    return Headline("AUDIT", sentence, [*audit, *missed, *result.findings])


class ErrorRow(NamedTuple):
    """One class of error of one endpoint, in words."""

    endpoint: str
    error: str
    failures: int
    share: str
    """Of the endpoint's requests."""
    when: str
    """`1.2-19.8 s`; empty where it is not known."""
    sample: str
    """One example: status, request, what was raised where, and how the body began."""
    per_second: list[tuple[float, int]]


def error_rows(result: RunResult) -> list[ErrorRow]:
    """Every class of error of every endpoint, the most frequent first."""
    rows = [
        _error_row(name, endpoint, error, count)
        for name, endpoint in result.endpoints.items()
        for error, count in endpoint.errors.items()
    ]
    return sorted(rows, key=lambda row: (-row.failures, row.error, row.endpoint))


def _error_row(name: str, endpoint: Endpoint, error: str, count: int) -> ErrorRow:
    seen = endpoint.evidence.get(error)
    return ErrorRow(
        name,
        error,
        count,
        percent(count / max(1, endpoint.requests)),
        _span(seen.first_s, seen.last_s) if seen else "",
        _sample(seen) if seen else "",
        seen.per_second if seen else [],
    )


def _span(first_s: float, last_s: float) -> str:
    first, last = (f"{at_s:,.1f}".removesuffix(".0") for at_s in (first_s, last_s))
    return f"at {first} s" if first == last else f"{first}-{last} s"


def _sample(seen: Evidence) -> str:
    asked = (
        f"{seen.request} -> {seen.status}"
        if seen.request and seen.status
        else seen.request or str(seen.status or "")
    )
    text = "" if seen.text and seen.text in seen.body else seen.text
    parts = [asked, text, seen.where and f"({seen.where})", seen.body and f"body: {seen.body}"]
    return printable(" ".join(" ".join(part.split()) for part in parts if part))
