"""The keys of each template and the queries of each endpoint, with nothing in them that is somebody's secret."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from urllib.parse import parse_qsl, urlencode

from loadtest.importing.path_tree import PARAMETER, parameter_names, segments_of
from loadtest.importing.secrets import is_secret_name, is_secret_value
from loadtest.importing.traffic import Keys
from loadtest.importing.zipf_fit import fit_zipf

MOST_KEYS = 50_000
MOST_MADE_UP = 1_000
MOST_QUERY_ROWS = 2_000
_SECRET_SHARE = 0.2
"""With more values than this that look like secrets, all of them are taken for such (A)."""
QUERY = "query"


def made_up(name: str, number: int) -> str:
    """A value in the place of a secret one."""
    return f"made-up-{number:06d}@example.com" if "mail" in name.lower() else f"made-up-{number:06d}"


def values_in(template: str, path: str) -> tuple[str, ...]:
    """What stands in the parameters of a template in one of its paths."""
    segments = segments_of(path)
    return tuple([segments[number] for number in _places_of(template) if number < len(segments)])


@cache
def _places_of(template: str) -> tuple[int, ...]:
    """Which of a template's segments are parameters."""
    return tuple(number for number, word in enumerate(segments_of(template)) if word == PARAMETER)


def path_keys(template: str, counted: Sequence[tuple[tuple[str, ...], int]]) -> Keys | None:
    """The keys of a template's paths; `counted` has values and requests, the most requested first."""
    if PARAMETER not in segments_of(template) or not counted:
        return None
    columns = list(zip(*(values for values, _ in counted[:MOST_KEYS]), strict=True))
    names = parameter_names(template, columns)
    skew = fit_zipf([requests for _, requests in counted])
    secret = [tuple(map(is_secret_value, values)) for values, _ in counted]
    kept = [values for (values, _), some in zip(counted, secret, strict=True) if not any(some)]
    held = [
        name
        for name, column in zip(names, zip(*secret[:MOST_KEYS], strict=True), strict=True)
        if is_secret_name(name) or sum(column) > _SECRET_SHARE * len(column)
    ]
    if held or not kept:
        held = held or names
        number_of = {name: number for number, name in enumerate(names)}
        kept = [
            tuple(made_up(name, row) if name in held else values[number_of[name]] for name in names)
            for row, (values, _) in enumerate(counted[:MOST_MADE_UP], start=1)
        ]
    return Keys(tuple(names), tuple(kept[:MOST_KEYS]), len(counted), skew, tuple(held))


def query_keys(queries: Sequence[str], with_query: int, requests: int) -> Keys | None:
    """The queries of an endpoint as rows to draw from, each as often as it was seen; no query is a row too."""
    held: Counter[str] = Counter()
    rows = []
    for query in queries[:: max(len(queries) // MOST_QUERY_ROWS, 1)][:MOST_QUERY_ROWS]:
        pairs = []
        for name, value in parse_qsl(query, keep_blank_values=True):
            if is_secret_value(name):
                held["a name"] += 1
                name = made_up("", held["a name"])  # noqa: PLW2901 - in its place
            if is_secret_name(name) or is_secret_value(value):
                held[name] += 1
                value = made_up(name, held[name])  # noqa: PLW2901 - in its place
            pairs.append((name, value))
        rows.append(("?" + urlencode(pairs) if pairs else "",))
    if not rows:
        return None
    without = round(len(rows) * (requests - with_query) / with_query) if with_query < requests else 0
    rows += [("",)] * min(without, 20 * MOST_QUERY_ROWS)
    return Keys((QUERY,), tuple(rows), len(set(rows)), None, tuple(sorted(held)))
