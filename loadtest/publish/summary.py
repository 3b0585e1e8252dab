"""The verdict in a few lines: as Markdown for a pull request or a CI summary, and for the terminal.

Both are bounded, however many endpoints a run has and however long their names are: the whole is in the report.
"""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from loadtest.judge.slo_syntax import IMPLICIT
from loadtest.measure.run_result import Endpoint, Quantiles, RunResult
from loadtest.publish import wording

_COLOURS = {"PASS": "green", "FAIL": "red", "AUDIT": "red", "INVALID": "yellow", "ABORTED": "yellow"}
_QUANTILES = ("p50", "p90", "p99", "p99_9", "max")
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
        "\n".join(f"- {_plain(reason)}" for reason in _first(head.reasons, MOST_REASONS, "reasons")),
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {_plain(fact)} |" for name, fact in _facts(result))]),
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


def _first(items: list[str], most: int, what: str) -> list[str]:
    """The first few, and how many more there are."""
    more = len(items) - most
    return items if more <= 0 else [*items[:most], f"and {more:,} more {what}, in report.html"]


def print_verdict(result: RunResult, report_path: Path | None, console: Console) -> None:
    """Print how a run ended: verdict, peak, latencies, errors, audit and where the report is."""
    head = wording.headline(result)
    console.print()
    verdict = Text(f" {head.word} ", style=f"bold reverse {_COLOURS[head.word]}")
    console.print(verdict, Text(head.sentence, style="bold"), soft_wrap=True)
    for reason in _first(head.reasons, MOST_REASONS, "reasons"):
        console.print(Text(f"  - {_short(reason)}"), soft_wrap=True)
    console.print()
    for name, fact in _facts(result):
        console.print(Text(f"  {name:<9} {fact}"), soft_wrap=True)
    _print_errors(result, console)
    console.print()
    if result.endpoints:
        console.print(_latency_table(result))
        console.print()
    for equation, holds in wording.identities(result):
        console.print(Text(f"  {equation}", style="dim" if holds else "bold red"))
    if report_path is not None:
        console.print()
        console.print(f"  report  {escape(str(report_path))}", soft_wrap=True, highlight=False)


def _print_errors(result: RunResult, console: Console) -> None:
    """The most frequent errors, each with an example."""
    rows = wording.error_rows(result)
    if rows:
        console.print()
    for row in rows[:MOST_ERRORS]:
        what = f"  {row.failures:,} x {row.error}  {row.endpoint}, {row.share} of its requests"
        console.print(Text(_short(f"{what}{row.when and f', {row.when}'}"), style="red"), soft_wrap=True)
        if row.sample:
            console.print(Text(f"      {_short(row.sample)}", style="dim"), soft_wrap=True)
    if len(rows) > MOST_ERRORS:
        console.print(f"  and {len(rows) - MOST_ERRORS:,} more kinds of error, in the report")


def _facts(result: RunResult) -> list[tuple[str, str]]:
    """The figures a reader wants first; transactions and requests are never called by each other's name."""
    requests, failures = wording.total_requests(result)
    per_second = requests / result.run.duration_s if result.run.duration_s else 0
    tps, noun = result.transactions, wording.transaction(result)
    record = f", {wording.share_of_record(tps.peak_tps)} TPS" if noun == "order" else ""
    errors = wording.percent(failures / requests) if requests else "no request was made"
    implicit = [slo.expr for slo in result.slo if slo.source == IMPLICIT]
    share = f": {failures:,} of {requests:,} requests" if requests else ""
    return [
        ("peak", f"{wording.rate(tps.peak_tps)} {noun}s/s{record}"),
        (
            f"{noun}s",
            f"{tps.count:,} {wording.done(noun)}, {wording.rate(tps.mean_tps)} {noun}s/s on average",
        ),
        ("requests", f"{requests:,} made, {wording.rate(per_second)} requests/s on average"),
        ("errors", errors + share),
        ("dropped", f"{result.arrivals.dropped:,} of {result.arrivals.planned:,} arrivals"),
        *(
            [("implicit", f"{', '.join(implicit)}: lifted only by an objective of your own")]
            if implicit
            else []
        ),
        ("audit", wording.audit(result)),
        *(("note", note) for note in result.notes),
    ]


def _short(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _plain(text: str) -> str:
    return " ".join(_short(text).translate(_MARKDOWN_SPECIAL).split())


def _code(text: str) -> str:
    """Inline code in a table cell; a bar would end the cell even there, a backtick the code."""
    return "`" + " ".join(_short(text).replace("`", "'").replace("|", "\\|").split()) + "`"


def _markdown_slo(result: RunResult) -> str:
    if not result.slo:
        return ""
    rows = [
        f"| {_code(wording.expression(slo))} | {wording.observed(slo)} | {'met' if slo.passed else '**missed**'} |"
        for slo in result.slo
    ]
    return "\n".join(["| objective | observed | result |", "|---|---:|---|", *rows])


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
    names = [name.replace("_", ".") for name in _QUANTILES]
    lines = ["| endpoint | time | " + " | ".join(names) + " |", "|---|---|" + "---:|" * len(names)]
    for name, endpoint in list(result.endpoints.items())[:MOST_ENDPOINTS]:
        for kind, quantiles in _times(endpoint):
            cells = " | ".join(_cells(quantiles))
            lines.append(f"| {_code(name)} | {kind} | {cells} |")
    return "\n".join(lines) + _and_more(len(result.endpoints) - MOST_ENDPOINTS, "endpoints")


def _latency_table(result: RunResult) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column(" endpoint", overflow="fold")  # gives way first: a figure broken over lines is no figure
    table.add_column("time", no_wrap=True)
    for name in _QUANTILES:
        table.add_column(name.replace("_", "."), justify="right", no_wrap=True)
    for name, endpoint in list(result.endpoints.items())[:MOST_ENDPOINTS]:
        (_, response), (_, service) = _times(endpoint)
        table.add_row(" " + escape(_short(name)), "response", *_cells(response))
        table.add_row("", "service", *_cells(service), style="dim")
    more = len(result.endpoints) - MOST_ENDPOINTS
    if more > 0:
        table.add_row(f" and {more:,} more, in the report", "", *([""] * len(_QUANTILES)))
    return table


def _times(endpoint: Endpoint) -> tuple[tuple[str, Quantiles], tuple[str, Quantiles]]:
    return ("response", endpoint.response_ms), ("service", endpoint.service_ms)


def _cells(quantiles: Quantiles) -> list[str]:
    if not quantiles.count:
        return ["-"] * len(_QUANTILES)
    return [wording.latency(getattr(quantiles, name)) for name in _QUANTILES]
