"""Shadow traffic: requests of a load test, kept apart from live ones.

A request that carries `X-Load-Test: <run id>` reads and writes shadow tables and shadow stock only, and each
run has its own: its orders, keys and units are no other run's, and purging one run leaves the rest alone.
This is how full-link stress tests share production (S[45][46] of docs/traffic.md). Inside the service the run id
travels as `run_id`; live traffic has the empty one.
"""

import re
from collections.abc import Mapping

from multidict import istr

from target_service import problem
from target_service.problem import ProblemError

HEADER = istr("X-Load-Test")
LIVE = ""
"""The run id of traffic that belongs to no load test."""

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


def run_id_of(headers: Mapping[str, str]) -> str:
    """The run a request belongs to; empty for live traffic.

    Raises ProblemError if it cannot be one: a tagged request must never be taken for a live one.
    """
    text = headers.get(HEADER)
    if text is None:
        return LIVE
    if _RUN_ID.fullmatch(text) is None:
        detail = f"{HEADER}: expected 1 to 64 letters, digits, '.', '_', ':' or '-'"
        raise ProblemError(problem.BAD_REQUEST, detail)
    return text


def traffic_of(run_id: str) -> str:
    """The label of this run's traffic in metrics."""
    return "shadow" if run_id else "live"
