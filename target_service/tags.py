"""The headers of any request: its run, the key it may be repeated under, how long its caller waits, and its trace.

A request that carries `X-Load-Test: <run id>` reads and writes shadow tables and shadow stock only, and each
run has its own: its orders, keys and units are no other run's, and purging one run leaves the rest alone.
This is how full-link stress tests share production (S[45][46] of docs/traffic.md). Inside the service the run id
travels as `run_id`; live traffic has the empty one.

The answer to a repeated request lies in the store, next to the order (same transaction, same fsync), so it is
replayed across workers, restarts and machines. A process keeps only the set of keys it is
working on: a second delivery that overtakes the first is told 409 at once. Two workers that get the same key
at the same time are told apart by the store's write lock: the later one finds the earlier one's order.

Only orders that were created are remembered. A refusal (sold out, overloaded) leaves no trace, so that the
same key may be tried again.

A caller that records a trace says so in `traceparent` (W3C Trace Context, sampled flag); the trace of a request that
carries none, or is not recorded, cannot be looked up and costs a look at the headers.
"""

import re
from time import monotonic_ns

from multidict import MultiMapping, istr

from target_service import problem
from target_service.problem import ProblemError

RUN_HEADER, KEY_HEADER, TRACEPARENT = istr("X-Load-Test"), istr("Idempotency-Key"), istr("traceparent")
LIVE = ""
"""The run id of traffic that belongs to no load test."""

DEADLINE_HEADER = istr("X-Request-Deadline-Ms")
LONGEST_DEADLINE_MS = 3_600_000
KEY_PATTERN = "[!-~]{1,128}"
RUN_ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9._:-]{0,63}"
"""Of the whole value, as the OpenAPI document has it too."""
_KEY = re.compile(KEY_PATTERN)
_RUN_ID = re.compile(RUN_ID_PATTERN)
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?"
)
_SAMPLED = 0x01


def only_value(headers: MultiMapping[str], name: str) -> str | None:
    """The value of a header that may be there once; None without it.

    Raises ProblemError: of two that differ, a proxy in front of this service may mean the other.
    """
    text = headers.get(name)
    if text is not None and len(headers.getall(name)) > 1:
        raise ProblemError(problem.BAD_REQUEST, f"{name}: expected it once")
    return text


def run_id_of(text: str | None) -> str:
    """The run that an `X-Load-Test` header names; empty, as of live traffic, without one.

    Raises ProblemError if it cannot be one: a tagged request must never be taken for a live one.
    """
    if text is None:
        return LIVE
    if _RUN_ID.fullmatch(text) is None:
        detail = f"{RUN_HEADER}: expected 1 to 64 letters, digits, '.', '_', ':' or '-'"
        raise ProblemError(problem.BAD_REQUEST, detail)
    return text


def traffic_of(run_id: str) -> str:
    """The label of this run's traffic in metrics."""
    return "shadow" if run_id else "live"


def parse_key(text: str | None) -> str | None:
    """Check an `Idempotency-Key` header; None stays None. Raises ProblemError."""
    if text is None:
        return None
    if _KEY.fullmatch(text) is None:
        raise ProblemError(problem.BAD_REQUEST, "Idempotency-Key: expected 1 to 128 visible ASCII characters")
    return text


def deadline_ns_of(headers: MultiMapping[str]) -> int | None:
    """The instant after which the caller no longer waits, on the monotonic clock. Raises ProblemError."""
    text = only_value(headers, DEADLINE_HEADER)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) <= LONGEST_DEADLINE_MS):
        raise ProblemError(
            problem.BAD_REQUEST, f"{DEADLINE_HEADER}: expected 1 to {LONGEST_DEADLINE_MS}, got {text[:20]!r}"
        )
    return monotonic_ns() + int(text) * 1_000_000


def headers_of(*, replayed: bool) -> dict[str, str]:
    """The headers of an answer under a key: whether it is the first one's again."""
    return {"Idempotent-Replayed": "true"} if replayed else {}


def sampled_trace(traceparent: str) -> str | None:
    """The trace that a request belongs to; None if it is not recorded, or the header is none (section 3.2)."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or (found[1] == "00" and found[4] is not None) or not int(found[3], 16) & _SAMPLED:
        return None
    return found[2]
