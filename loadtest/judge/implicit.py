"""The objectives that every run has, so that one without objectives of its own cannot look green when it is not.

    errors(*) < 1%      availability > 99%      dropped == 0      scenarios_without_requests == 0

Each is printed as implicit. One's own objective on the same measure takes its place, if it looks at the whole run
(not at a phase); for errors, one's own must together cover every endpoint that was requested.
"""

from collections.abc import Collection, Sequence

from loadtest.judge.slo_syntax import IMPLICIT, SCENARIOS_WITHOUT_REQUESTS, Slo, parse
from loadtest.measure.endpoint_pattern import matches
from loadtest.records import is_request

OBJECTIVES = tuple(
    parse(expr, IMPLICIT)
    for expr in (
        "errors(*) < 1%",
        "availability > 99%",
        "dropped == 0",
        f"{SCENARIOS_WITHOUT_REQUESTS} == 0",
    )
)


def with_implicit(own: Sequence[Slo], requested: Collection[str]) -> list[Slo]:
    """The objectives that were set, then each implicit one that none of them replaces.

    `requested` are the names of endpoints that were requested so far, as in `RunResult.endpoints`.
    """
    return [*own, *(slo for slo in OBJECTIVES if not _has_its_place_taken(slo, own, requested))]


def _has_its_place_taken(implicit: Slo, own: Sequence[Slo], requested: Collection[str]) -> bool:
    same = [slo for slo in own if slo.metric == implicit.metric and slo.phase is None]
    if implicit.endpoint is None:
        return bool(same)
    patterns = [slo.endpoint for slo in same if slo.endpoint]
    names = [name for name in requested if is_request(name)]
    return "*" in patterns or (bool(names) and all(_covered(name, patterns) for name in names))


def _covered(name: str, patterns: Sequence[str]) -> bool:
    return any(matches(pattern, name) for pattern in patterns)
