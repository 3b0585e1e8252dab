"""The verdict in a screen of Markdown, for a pull request or a CI summary.

It is bounded, however many endpoints a run has and however long their names are: the whole is in the report.
"""

from loadtest.judge.slo_syntax import IMPLICIT
from loadtest.measure.printable import printable
from loadtest.measure.run_result import Endpoint, Quantiles, RunResult, SloResult
from loadtest.publish import wording

QUANTILES = ("p50", "p90", "p99", "p99_9", "max")
MOST_BYTES = 65_536
"""Of the Markdown: what a CI system shows without cutting it off itself."""
MOST_ENDPOINTS = 20
MOST_ERRORS = 10
MOST_REASONS = 20
MOST_CHARACTERS = 300
"""Of a name or a sentence."""
_CUT_OFF = "\n\n*This summary was cut off; the whole is in report.html.*\n"
_MARKDOWN_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#"} | {"\n": " ", "\r": " "})


def markdown(result: RunResult) -> str:
    """A summary of about a screen, in GitHub's Markdown; everything that is not ours is escaped."""
    head = wording.headline(result)
    parts = [
        f"## {head.word}: {_plain(result.run.plan)}",
        _plain(head.sentence),
        "\n".join(f"- {_plain(reason)}" for reason in first(head.reasons, MOST_REASONS, "reasons")),
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {_plain(fact)} |" for name, fact in facts(result))]),
        _markdown_slo(result),
        _markdown_errors(result),
        _markdown_latency(result),
        "Arrivals:\n\n" + "\n".join(f"- {_plain(equation)}" for equation, _ in wording.identities(result)),
    ]
    return _bounded("\n\n".join(part for part in parts if part) + "\n")


def _bounded(text: str) -> str:
    """At most `MOST_BYTES` of whole lines, and a word about the rest."""
    if len(text.encode()) <= MOST_BYTES:
        return text
    kept = text.encode()[: MOST_BYTES - len(_CUT_OFF.encode())].decode(errors="ignore")
    return kept.rpartition("\n")[0] + _CUT_OFF


def first(items: list[str], most: int, what: str) -> list[str]:
    """The first `most` items, and a line with how many more there are."""
    more = len(items) - most
    return items if more <= 0 else [*items[:most], f"and {more:,} more {what}, in report.html"]


def facts(result: RunResult) -> list[tuple[str, str]]:
    """The figures a reader wants first; transactions and requests are never called by each other's name."""
    requests, failures = wording.total_requests(result)
    per_second = requests / result.run.duration_s if result.run.duration_s else 0
    tps, noun = result.transactions, wording.transaction(result)
    errors = wording.percent(failures / requests) if requests else "no request was made"
    share = f": {failures:,} of {requests:,} requests" if requests else ""
    return [
        ("peak", f"{wording.rate(tps.peak_tps)} {noun}s/s in the best second{_planned_peak(result)}"),
        (
            f"{noun}s",
            f"{tps.count:,} {wording.done(noun)}, {wording.rate(tps.mean_tps)} {noun}s/s on average",
        ),
        ("requests", f"{requests:,} made, {wording.rate(per_second)} requests/s on average"),
        ("errors", errors + share),
        ("dropped", f"{result.arrivals.dropped:,} of {result.arrivals.planned:,} arrivals"),
        ("audit", wording.audit(result)),
        *(("note", note) for note in result.notes),
    ]


def _planned_peak(result: RunResult) -> str:
    """What the peak stands beside: the plan's, and in a plan of Singles' Day the record."""
    planned_tps = max((point.planned_tps for point in result.timeline), default=0.0)
    planned = f", {wording.rate(planned_tps)} planned" if planned_tps else ""
    record = wording.share_of_record(result.transactions.peak_tps)
    return f"{planned}, {record} (Singles' Day 2020)" if wording.is_about_singles_day(result) else planned


def short(text: str) -> str:
    """A name or a sentence, printable, cut off at `MOST_CHARACTERS`."""
    return _cut(printable(text))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _plain(text: str) -> str:
    return " ".join(printable(_cut(text).translate(_MARKDOWN_SPECIAL)).split())


def _code(text: str) -> str:
    """Inline code in a table cell; a bar would end the cell even there, a backtick the code."""
    return "`" + " ".join(short(text).replace("`", "'").replace("|", "\\|").split()) + "`"


def _markdown_slo(result: RunResult) -> str:
    if not result.slo:
        return ""
    rows = [
        f"| {_code(wording.expression(slo))} | {wording.observed(slo)} | {_marked(slo, result.verdict)} |"
        for slo in result.slo
    ]
    note = (
        "\n\nImplicit objectives are those of every run; one of your own on the same measure takes its place."
    )
    implicit = any(slo.source == IMPLICIT for slo in result.slo)
    return "\n".join(["| objective | observed | result |", "|---|---:|---|", *rows]) + (
        note if implicit else ""
    )


def _marked(slo: SloResult, verdict: str) -> str:
    said = wording.judged(slo, verdict)
    return f"**{said}**" if said.startswith("missed") else said


def _markdown_errors(result: RunResult) -> str:
    rows = wording.error_rows(result)
    if not rows:
        return ""
    lines = ["| error | endpoint | count | share | when | example |", "|---|---|---:|---:|---|---|"]
    lines += [
        f"| {_code(row.error)} | {_code(row.endpoint)} | {row.failures:,} | {row.share} | {row.when} "
        f"| {_plain(row.sample)} |"
        for row in rows[:MOST_ERRORS]
    ]
    return "\n".join(lines) + _and_more(len(rows) - MOST_ERRORS, "kinds of error")


def _and_more(count: int, what: str) -> str:
    return f"\n\nand {count:,} more {what}, in report.html" if count > 0 else ""


def _markdown_latency(result: RunResult) -> str:
    if not result.endpoints:
        return ""
    names = [name.replace("_", ".") for name in QUANTILES]
    lines = ["| endpoint | time | " + " | ".join(names) + " |", "|---|---|" + "---:|" * len(names)]
    for name, endpoint in list(result.endpoints.items())[:MOST_ENDPOINTS]:
        for kind, quantiles in _times(endpoint):
            lines.append(f"| {_code(name)} | {kind} | {' | '.join(cells(quantiles))} |")
    return "\n".join(lines) + _and_more(len(result.endpoints) - MOST_ENDPOINTS, "endpoints")


def _times(endpoint: Endpoint) -> tuple[tuple[str, Quantiles], tuple[str, Quantiles]]:
    return ("response", endpoint.response_ms), ("service", endpoint.service_ms)


def cells(quantiles: Quantiles) -> list[str]:
    """Each of `QUANTILES` with its unit; dashes where nothing was measured."""
    if not quantiles.count:
        return ["-"] * len(QUANTILES)
    return [wording.latency(getattr(quantiles, name)) for name in QUANTILES]
