"""`import log`: files of access logs to `Traffic`."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loadtest.importing.import_error import ImportingError
from loadtest.importing.keys import MOST_KEYS, path_keys, query_keys, values_in
from loadtest.importing.log_files import pieces_of
from loadtest.importing.log_format import BY_ADDRESS, FORMATS, NOBODY, LogFormat, Who
from loadtest.importing.log_paths import no_paths
from loadtest.importing.log_scan import batch_in
from loadtest.importing.log_tally import LogTally, steps_of
from loadtest.importing.path_tree import PARAMETER
from loadtest.importing.recorded import counted
from loadtest.importing.shares import Share, shares_of
from loadtest.importing.traffic import Endpoint, Traffic
from loadtest.importing.visits import Visits, visits_of
from loadtest.release import installs

if TYPE_CHECKING:
    import polars as pl

MOST_ENDPOINTS = 60
SMALLEST_SHARE = 0.001
"""Endpoints with a smaller share of the requests are dropped, and named as dropped, unless all of them have one."""
_LINES_TO_TELL = 200
_LEAST_GOOD = 0.5


class _Broken(NamedTuple):
    """A line that was broken, by the bytes before it in its file, unpacked: a log may grow while it is read."""

    path: Path
    offset: int

    def __str__(self) -> str:
        """Where it is. Lines are counted only here, where somebody asks: it takes a sixth of what reading does."""
        if not self.path.is_file():
            return str(self.path)  # a pipe, which is read once
        line, left = 1, self.offset
        for piece in pieces_of(self.path):
            line += bytes(piece[:left]).count(b"\n")
            left -= len(piece)
            if left <= 0:
                return f"{self.path}:{line}"
        return str(self.path)


def read_logs(
    paths: Sequence[Path], format_name: str | None = None, *, visits: bool = False, field: str | None = None
) -> Traffic:
    """Read logs of one format, which is told from the first lines if it is not given. Raises `ImportingError`.

    With `visits` it also tells what clients asked for one after another. A client is an address with its browser, or
    what stands in `field` of JSON lines.
    """
    who = Who(agent=field is None, field=field) if visits else BY_ADDRESS
    if importlib.util.find_spec("polars") is None:
        raise ImportingError(f"import log: needs the package polars: {installs('import')}")
    tally = LogTally()
    log_format = FORMATS[format_name] if format_name else None
    first_broken: _Broken | None = None
    for path in paths:
        begin = 0
        for piece in pieces_of(path):
            log_format = log_format or _format_of(path, bytes(piece))
            _check_field(log_format, field)
            asked = who if visits or not tally.has_enough_steps else NOBODY
            batch = batch_in(piece, log_format, asked, tally.paths)
            tally.add(batch)
            if batch.first_broken is not None and first_broken is None:
                first_broken = _Broken(path, begin + _offset_of(bytes(piece), batch.first_broken))
            begin += len(piece)
    if log_format is None:
        raise ImportingError(f"{paths[0]}: expected lines of an access log, got none")
    if tally.requests == 0 or tally.broken > _LEAST_GOOD * (tally.broken + tally.requests + tally.not_found):
        raise ImportingError(_unreadable(paths, log_format, first_broken))
    return _traffic(paths, log_format, tally, first_broken, visits=visits)


def _check_field(log_format: LogFormat, field: str | None) -> None:
    if field is not None and log_format.fields is None:
        raise ImportingError(
            f"--visitor: expected with lines of JSON, whose fields have names, and these are {log_format.name}; "
            "without it, visitors are told by address and browser"
        )


def _format_of(path: Path, piece: bytes) -> LogFormat:
    """The format that most of the first lines have."""
    first = piece.split(b"\n", _LINES_TO_TELL)[:_LINES_TO_TELL]
    best, most = None, 0
    for log_format in FORMATS.values():
        batch = batch_in(b"\n".join(first) + b"\n", log_format, NOBODY, no_paths())
        readable = batch.seconds.total() + batch.not_found
        if readable > most:
            best, most = log_format, readable
        if most == len(first):
            break  # no other format has more
    if best is None:
        known = ", ".join(FORMATS)
        shown = piece.split(b"\n", 1)[0][:80].decode("utf-8", "replace")
        raise ImportingError(f'{path}:1: expected lines of an access log ({known}), got "{shown}"')
    return best


def _offset_of(piece: bytes, row: int) -> int:
    """Where the line begins that became a row: rows are the lines that are not blank."""
    offset = 0
    for line in piece.split(b"\n"):
        row -= bool(line.strip())
        if row < 0:
            break
        offset += len(line) + 1
    return offset


def _unreadable(paths: Sequence[Path], log_format: LogFormat, first: _Broken | None) -> str:
    return f"{first or paths[0]}: expected most lines to be {log_format.name}, such as {log_format.example}"


def _traffic(
    paths: Sequence[Path],
    log_format: LogFormat,
    tally: LogTally,
    first_broken: _Broken | None,
    *,
    visits: bool,
) -> Traffic:
    templates = list(tally.tree.templates())
    usual = [each for each in templates if each[2] >= SMALLEST_SHARE * tally.requests]
    kept = (usual or templates)[:MOST_ENDPOINTS]
    first = min(tally.seconds)
    counts = [0] * (max(tally.seconds) - first + 1)
    for second, requests in tally.seconds.items():
        counts[second - first] = requests
    shares = shares_of(tally.parts(), first, len(counts))
    endpoints = _endpoints(tally, kept, shares)
    names = {each[:2]: endpoint.name for each, endpoint in zip(kept, endpoints, strict=True)}
    seen = tally.seen(names)
    steps = tuple(steps_of(seen))
    found = _visits(seen, tally.one_client_in) if visits else None
    notes = [
        *_dropped(tally, first_broken),
        *_small(templates[len(kept) :] if len(kept) < len(templates) else [], tally.requests),
        *_held_back(endpoints),
    ]
    if not steps:
        notes.append("the order of requests within a visit is not known: the log has too few clients")
    return Traffic(
        source=f"{', '.join(str(path) for path in paths)} ({log_format.name})",
        first_second=first,
        counts=tuple(counts),
        endpoints=tuple(endpoints),
        steps=steps,
        notes=tuple(notes),
        visits=found,
    )


def _visits(seen: pl.DataFrame, one_client_in: int) -> Visits:
    found = visits_of(seen.iter_rows(), one_client_in)
    if found is None:
        raise ImportingError(
            "--visits: expected lines that say who sent each request (an address, or the field that --visitor names)"
        )
    return found


def _endpoints(
    tally: LogTally, kept: Sequence[tuple[str, str, int]], shares: Mapping[tuple[str, str], tuple[Share, ...]]
) -> list[Endpoint]:
    template_of = cache(tally.tree.template_of)
    requested = _requested(tally)
    queries: dict[tuple[str, str], list[str]] = defaultdict(list)
    for method, shape, query in tally.queries:
        queries[method, template_of(method, shape)].append(query)
    with_query: dict[tuple[str, str], int] = defaultdict(int)
    for (method, path), requests in tally.with_query.items():
        with_query[method, template_of(method, path)] += requests
    found = []
    for method, template, requests in kept:
        keys = path_keys(template, requested.get((method, template), ()))
        named = template
        for name in keys.names if keys else ():
            named = named.replace(PARAMETER, f"{{{name}}}", 1)
        asked = query_keys(queries[method, template], with_query[method, template], requests)
        changes = shares.get((method, template), ())
        found.append(Endpoint(method, named, requests, keys, asked, changes))
    return found


def _requested(tally: LogTally) -> dict[tuple[str, str], list[tuple[tuple[str, ...], int]]]:
    """The values in each template's paths with their requests, the most requested first."""
    found: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    of_several = set()
    for asked, paths, requests in tally.paths.most_requested(MOST_KEYS):
        method, _, shape = asked.partition(" ")
        endpoint = method, tally.tree.template_of(method, shape)
        if PARAMETER in endpoint[1]:
            of_several |= {endpoint} & found.keys()
            found[endpoint] += zip(paths, requests, strict=True)
    for endpoint in of_several:
        found[endpoint].sort(key=lambda each: (-each[1], each[0]))
    return {
        endpoint: [(values_in(endpoint[1], path), requests) for path, requests in counted]
        for endpoint, counted in found.items()
    }


def _dropped(tally: LogTally, first_broken: _Broken | None) -> list[str]:
    notes = []
    if tally.broken:
        where = f"; the first is {first_broken}" if first_broken else ""
        notes.append(f"{counted(tally.broken, 'broken line', 'broken lines')} left out{where}")
    if tally.not_found:
        notes.append(f"{counted(tally.not_found, 'request', 'requests')} left out, answered with 404")
    if tally.forgotten:
        rare = counted(tally.forgotten, "request to a rare path is", "requests to rare paths are")
        notes.append(f"{rare} counted, but without keys, which were not kept")
    return notes


def _small(dropped: Sequence[tuple[str, str, int]], requests: int) -> list[str]:
    if not dropped:
        return []
    share = sum(each[2] for each in dropped) / requests
    some = ", ".join(f"{method} {template}" for method, template, _ in dropped[:3]).replace("{}", "[…]")
    more = ", …" if len(dropped) > 3 else ""
    rare = counted(len(dropped), "rare endpoint", "rare endpoints")
    return [f"{rare} left out, {share:.2%} of the requests: {some}{more}"]


def _held_back(endpoints: Sequence[Endpoint]) -> list[str]:
    return [
        f"{name} of {endpoint.name} was not copied, since it looks like a secret: made up instead"
        for endpoint in endpoints
        for keys in (endpoint.keys, endpoint.query)
        if keys is not None
        for name in keys.held_back
    ]
