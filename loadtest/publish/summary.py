"""The verdict in a few lines: as Markdown for a pull request or a CI summary, and for the terminal."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from loadtest.measure.run_result import Endpoint, Quantiles, RunResult
from loadtest.publish import wording

_COLOURS = {"PASS": "green", "FAIL": "red", "AUDIT": "red", "INVALID": "yellow", "ABORTED": "yellow"}
_QUANTILES = ("p50", "p90", "p99", "p99_9", "max")
_MARKDOWN_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#"} | {"\n": " ", "\r": " "})


def markdown(result: RunResult) -> str:
    """A summary of about a screen, in GitHub's Markdown; everything that is not ours is escaped."""
    head = wording.headline(result)
    parts = [
        f"## {head.word}: {_plain(result.run.plan)}",
        _plain(head.sentence),
        "\n".join(f"- {_plain(reason)}" for reason in head.reasons),
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {_plain(fact)} |" for name, fact in _facts(result))]),
        _markdown_slo(result),
        _markdown_latency(result),
        "Arrivals:\n\n" + "\n".join(f"- {_plain(equation)}" for equation, _ in wording.identities(result)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def print_verdict(result: RunResult, report_path: Path | None, console: Console) -> None:
    """Print how a run ended: verdict, peak, latencies, errors, audit and where the report is."""
    head = wording.headline(result)
    console.print()
    verdict = Text(f" {head.word} ", style=f"bold reverse {_COLOURS[head.word]}")
    console.print(verdict, Text(head.sentence, style="bold"), soft_wrap=True)
    for reason in head.reasons:
        console.print(Text(f"  - {reason}"), soft_wrap=True)
    console.print()
    for name, fact in _facts(result):
        console.print(Text(f"  {name:<9} {fact}"), soft_wrap=True)
    console.print()
    if result.endpoints:
        console.print(_latency_table(result))
        console.print()
    for equation, holds in wording.identities(result):
        console.print(Text(f"  {equation}", style="dim" if holds else "bold red"))
    if report_path is not None:
        console.print()
        console.print(f"  report  {escape(str(report_path))}", soft_wrap=True, highlight=False)


def _facts(result: RunResult) -> list[tuple[str, str]]:
    """The figures a reader wants first; transactions and requests are never called by each other's name."""
    requests, failures = wording.total_requests(result)
    per_second = requests / result.run.duration_s if result.run.duration_s else 0
    tps, noun = result.transactions, wording.transaction(result)
    record = f", {wording.share_of_record(tps.peak_tps)} TPS" if noun == "order" else ""
    errors = wording.percent(failures / requests) if requests else "no request was made"
    share = f": {failures:,} of {requests:,} requests" if requests else ""
    return [
        ("peak", f"{wording.rate(tps.peak_tps)} {noun}s/s{record}"),
        (f"{noun}s", f"{tps.count:,} created, {wording.rate(tps.mean_tps)} {noun}s/s on average"),
        ("requests", f"{requests:,} made, {wording.rate(per_second)} requests/s on average"),
        ("errors", errors + share),
        ("dropped", f"{result.arrivals.dropped:,} of {result.arrivals.planned:,} arrivals"),
        ("audit", wording.audit(result)),
        *(("note", note) for note in result.notes),
    ]


def _plain(text: str) -> str:
    return " ".join(text.translate(_MARKDOWN_SPECIAL).split())


def _code(text: str) -> str:
    """Inline code in a table cell; a bar would end the cell even there, a backtick the code."""
    return "`" + " ".join(text.replace("`", "'").replace("|", "\\|").split()) + "`"


def _markdown_slo(result: RunResult) -> str:
    if not result.slo:
        return ""
    rows = [
        f"| {_code(slo.expr)} | {wording.observed(slo)} | {'met' if slo.passed else '**missed**'} |"
        for slo in result.slo
    ]
    return "\n".join(["| objective | observed | result |", "|---|---:|---|", *rows])


def _markdown_latency(result: RunResult) -> str:
    if not result.endpoints:
        return ""
    names = [name.replace("_", ".") for name in _QUANTILES]
    lines = ["| endpoint | time | " + " | ".join(names) + " |", "|---|---|" + "---:|" * len(names)]
    for name, endpoint in result.endpoints.items():
        for kind, quantiles in _times(endpoint):
            cells = " | ".join(_cells(quantiles))
            lines.append(f"| {_code(name)} | {kind} | {cells} |")
    return "\n".join(lines)


def _latency_table(result: RunResult) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column(" endpoint", overflow="fold")  # gives way first: a figure broken over lines is no figure
    table.add_column("time", no_wrap=True)
    for name in _QUANTILES:
        table.add_column(name.replace("_", "."), justify="right", no_wrap=True)
    for name, endpoint in result.endpoints.items():
        (_, response), (_, service) = _times(endpoint)
        table.add_row(" " + escape(name), "response", *_cells(response))
        table.add_row("", "service", *_cells(service), style="dim")
    return table


def _times(endpoint: Endpoint) -> tuple[tuple[str, Quantiles], tuple[str, Quantiles]]:
    return ("response", endpoint.response_ms), ("service", endpoint.service_ms)


def _cells(quantiles: Quantiles) -> list[str]:
    if not quantiles.count:
        return ["-"] * len(_QUANTILES)
    return [wording.latency(getattr(quantiles, name)) for name in _QUANTILES]
