"""The metric reference of docs/metrics.md, drawn from the tables that the exporters themselves are made from."""

from collections.abc import Iterable

from loadtest.publish import prometheus as loadtest_metrics
from target_service import metrics as orders_metrics

HEAD = """# Metrics

Generated from code by `python -m dashboards.generate`. Base units; counters end in `_total`. A metric with a quantile
in its name is exact over the whole fleet; the others are histograms, right to one bucket.

"""


def reference() -> str:
    """The document."""
    ours = ((f.name, f.kind, ("run", *f.labels), f.help) for f in loadtest_metrics.FAMILIES)
    theirs = ((f.name, f.kind, f.labels, f.help) for f in orders_metrics.FAMILIES)
    return (
        HEAD
        + "## The load test\n\nServed by the master at `--metrics-port` (or by the only process, without workers).\n"
        + f"Buckets of response and service time, in seconds: {_numbers(loadtest_metrics.BOUNDS_S)}.\n\n"
        + _table(ours)
        + "\n## The order service\n\nServed by its supervisor at the admin port, summed over the workers. "
        + "`traffic` is `shadow` for requests with `X-Load-Test`, else `live`.\n"
        + f"Buckets of times, in seconds: {_numbers(orders_metrics.SECONDS)}.\n\n"
        + _table(theirs)
    )


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _table(rows: Iterable[tuple[str, str, tuple[str, ...], str]]) -> str:
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {text} |"
        for name, kind, labels, text in rows
    ]
    return "\n".join(lines) + "\n"
