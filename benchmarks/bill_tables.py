"""The tables of docs/scale.md, made from the measurements that the bill of machines is worked out from."""

from collections.abc import Callable, Mapping

from loadtest.records import RECORD_TPS
from loadtest.simulate.bill import DECADES_TPS, Inputs, Measured, bill, figure, rows


def markdown_bill(tps: float, inputs: Inputs) -> str:
    """The bill as a table for docs/scale.md."""
    head = f"| {tps:,.0f} orders/s, *projected* | | estimate | interval | follows from |\n|---|---|---:|---:|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows(tps, inputs))


def markdown_inputs(inputs: Inputs) -> str:
    """The measurements as a table for docs/scale.md."""
    head = f"On {inputs.machine}:\n\n| measured | value | seen | unit | repeat it with |\n|---|---:|---:|---|---|\n"
    said = []
    for name, each in _named(inputs).items():
        seen = f"{figure(each.low)} to {figure(each.high)}"
        found = f"`{each.command}` ({each.when})"
        said.append(f"| {name.replace('_', ' ')} | {figure(each.value)} | {seen} | {each.unit} | {found} |\n")
    return head + "".join(said)


def markdown_decades(inputs: Inputs) -> str:
    """Some lines at each decade, as a table for docs/scale.md."""
    wanted = [("generator", "cores"), ("generator", "connections"), ("network", "traffic"), ("network", "packets"),
              ("service", "worker processes"), ("service", "commits"), ("service", "written")]  # fmt: skip
    bills = [{(line.part, line.what): line for line in bill(tps, inputs)} for tps in DECADES_TPS]
    head = "| *projected*, orders/s | " + " | ".join(f"{tps:,.0f}" for tps in DECADES_TPS) + " |\n"
    head += "|---|" + "---:|" * len(DECADES_TPS) + "\n"
    return head + "".join(
        f"| {part}: {what}{', ' + bills[0][part, what].unit if bills[0][part, what].unit else ''} | "
        + " | ".join(figure(found[part, what].value) for found in bills)
        + " |\n"
        for part, what in wanted
    )


def _named(inputs: Inputs) -> Mapping[str, Measured]:
    found = {name: getattr(inputs, name) for name in inputs.__struct_fields__}
    return {name: each for name, each in found.items() if isinstance(each, Measured)}


PARTS: dict[str, Callable[[Inputs], str]] = {
    "bill": lambda inputs: markdown_bill(RECORD_TPS, inputs),
    "inputs": markdown_inputs,
    "decades": markdown_decades,
}
"""The tables of docs/scale.md, by the name between their marks."""


def with_tables(text: str, inputs: Inputs) -> str:
    """The document with its tables made anew: what stands between `<!-- NAME -->` and `<!-- /NAME -->`."""
    for name, made in PARTS.items():
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        if not (mark and end):
            raise ValueError(f"expected <!-- {name} --> and <!-- /{name} --> in the document")
        text = before + mark + made(inputs) + end + after
    return text
