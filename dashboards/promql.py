"""Queries as Grafana would send them: variables and macros replaced.

Grafana replaces `$__rate_interval` by four scrape intervals or the step, whichever is longer; a variable of
several values in `=~` by a regular expression of them; `$__range` by the time shown (grafana.com, "Prometheus
template variables").
"""

import re
from collections.abc import Mapping, Sequence

ESCAPED = re.compile(r"([\\^$.|?*+()\[\]{}])")


def substituted(
    expr: str, variables: Mapping[str, str | Sequence[str]], *, scrape_s: float, step_s: float, range_s: float
) -> str:
    """The expression with every `$name` replaced. Raises `KeyError` for a variable that is not given."""
    macros = {
        "__rate_interval": f"{max(4 * scrape_s, step_s + scrape_s):g}s",
        "__range": f"{max(round(range_s), 1)}s",
    }
    values = {name: _text(value) for name, value in variables.items()} | macros

    def value_of(match: re.Match[str]) -> str:
        return values[match[1]]

    return re.sub(r"\$(\w+)", value_of, expr)


def _text(value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return value
    # Twice: once for the regular expression, once for the PromQL string that it stands in.
    escaped = [ESCAPED.sub(r"\\\\\1", one) for one in value]
    return f"({'|'.join(escaped)})" if len(escaped) > 1 else escaped[0]
