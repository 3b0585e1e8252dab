"""Finds endpoints that objectives name and nobody requests: mostly a typing error, best said early in a run."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from loadtest.judge.slo_syntax import Slo
from loadtest.measure.endpoint_pattern import matches
from loadtest.records import is_request

SURE_AFTER_S = 5.0
"""Seconds of a plan after which an endpoint that was not requested is worth a word."""


def nearest(pattern: str, endpoints: Collection[str]) -> str:
    """The name most like `pattern` among those that were requested; empty where there is none."""
    requested = [name for name in endpoints if is_request(name) and not matches(pattern, name)]
    return next(iter(get_close_matches(pattern, requested, n=1, cutoff=0.0)), "")


def never_requested(slos: Iterable[Slo], endpoints: Collection[str]) -> list[str]:
    """A sentence for each endpoint that an objective needs and that is not among those requested."""
    patterns = dict.fromkeys(slo.endpoint for slo in slos if slo.endpoint and _needs_requests(slo))
    return [
        f"an objective names {pattern}, and there were no requests to it so far"
        + (f"; the nearest that was requested is {near}" if (near := nearest(pattern, endpoints)) else "")
        for pattern in patterns
        if not any(matches(pattern, name) for name in endpoints)
    ]


def _needs_requests(slo: Slo) -> bool:
    """Whether it cannot be met without a request: `requests(GET /old) == 0` and `<` can."""
    if slo.metric != "requests":
        return True
    return slo.operator == ">" or (slo.operator in (">=", "==") and slo.bound > 0)


class EarlyWarning:
    """Says once, early in a run, which endpoints were never requested."""

    def __init__(self, slos: Iterable[Slo], duration_s: float) -> None:
        self._slos = list(slos)
        self._due_s = min(SURE_AFTER_S, duration_s / 2)
        self._said = False

    def is_due(self, played_s: float) -> bool:
        """Whether this offset of the plan is late enough to be sure; not any more once it was said."""
        return not self._said and played_s >= self._due_s

    def say(self, endpoints: Collection[str]) -> list[str]:
        """A sentence for each endpoint that is named and was not requested."""
        self._said = True
        whole = [slo for slo in self._slos if slo.phase is None]  # a phase may still be to come
        return never_requested(whole, endpoints)
