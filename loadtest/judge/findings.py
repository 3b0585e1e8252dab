"""What the target, the pool of users or the script did wrong, in sentences: what to look at first.

`judge.validity` says whether the generator did its job; what is here is no fault of it. Each sentence says who, how
much and what to do. Whether it fails the run is for the objectives to say.

*Too few users, or a slow target?* Both leave arrivals without a user. By Little's law (J. Little, Operations
Research 9, 1961) a rate keeps rate x time users busy. If the peak rate times the time that an arrival takes while
nobody waits is more than there are users, the pool was too small from the beginning; otherwise it was the target that
became slow.
"""

import math
from statistics import median

from loadtest.measure.run_result import Endpoint, RunResult
from loadtest.records import ARRIVAL, is_request

MOST_SCRIPT_ERRORS = 3
MOST_ENDPOINTS = 3
LONG_WAIT_MS = 100.0
"""How long one arrival in ten must wait for a free user before that is told."""
SPARE = 1.5
"""How many times the users that are busy on average a pool should have."""


def find(result: RunResult) -> list[str]:
    """Every finding there is about a run, live or final."""
    return [
        *_script_errors(result),
        *_empty(result),
        *_missing_users(result),
        *_unanswered(result),
        *_without_a_user(result),
    ]


def _script_errors(result: RunResult) -> list[str]:
    errors = sorted(result.script_errors, key=lambda error: -error.count)
    said = [
        f"the script raised {error.error} {_times(error.count)} (in {error.scenario}, at {error.where}); "
        "fix the script, or look at what the target answered"
        for error in errors[:MOST_SCRIPT_ERRORS]
    ]
    more = len(errors) - MOST_SCRIPT_ERRORS
    return (
        [*said, f"the script raised {more} other errors; see script_errors in result.json"]
        if more > 0
        else said
    )


def _empty(result: RunResult) -> list[str]:
    empty = result.arrivals.empty
    if not empty:
        return []
    return [
        (
            f"{empty:,} of {result.arrivals.started:,} arrivals made no request; "
            "check that every task sends one with self.client, or fires events.request for a client of its own"
        )
    ]


def _missing_users(result: RunResult) -> list[str]:
    """Users that could not start, and users that ended themselves. `ready` alone tells nothing: users may be busy."""
    said = []
    for name, users in result.generator.users.items():
        if users.failed:
            why = f": {users.why_not}" if users.why_not else ""
            said.append(
                f"{users.failed:,} of {users.wanted:,} users of {name} could not start{why}; "
                "fix on_start or lower virtual_users"
            )
        if users.left:
            said.append(
                f"{users.left:,} users of {name} ended themselves (StopUser) and served no more arrivals; "
                "let tasks return instead"
            )
    return said


def _unanswered(result: RunResult) -> list[str]:
    """Requests that the target never answered, and arrivals under way with them when the run ended."""
    waiting = {
        name: e.unanswered for name, e in result.endpoints.items() if e.unanswered and is_request(name)
    }
    cancelled = result.arrivals.cancelled
    if waiting:
        most = sorted(waiting.items(), key=lambda item: -item[1])[:MOST_ENDPOINTS]
        named = ", ".join(f"{name} {count:,}" for name, count in most)
        count = sum(waiting.values())
        were = "request was" if count == 1 else "requests were"
        return [
            f"{count:,} {were} never answered ({named}); counted as failed, with the time waited as response time"
        ]
    if cancelled:
        return [
            (
                f"{cancelled:,} {'arrival was' if cancelled == 1 else 'arrivals were'} still under way when "
                "the run ended; "
                "they lower availability, and count with the time taken until then"
            )
        ]
    return []


def _without_a_user(result: RunResult) -> list[str]:
    """Arrivals that were dropped, or else waited, since all users were busy, and whose fault that was."""
    dropped = result.arrivals.dropped - result.generator.overdue  # those have a note of their own
    if dropped <= 0:
        return _waited(result)
    what = f"{dropped:,} of {result.arrivals.planned:,} arrivals were dropped"
    if gone := [
        name
        for name, users in result.generator.users.items()
        if 0 < users.wanted <= users.left + users.failed
    ]:
        return [f"{what}: no user of {' or '.join(gone)} was left"]
    return [f"{what} because all users were busy: {_why_busy(result)}"]


def _waited(result: RunResult) -> list[str]:
    waits = result.generator.queueing_ms
    if waits.p90 < LONG_WAIT_MS:
        return []
    return [f"one arrival in ten waited {waits.p90:,.0f} ms or longer for a free user: {_why_busy(result)}"]


def _why_busy(result: RunResult) -> str:
    arrivals = result.arrivals
    answered = sum(e.requests - e.unanswered for name, e in result.endpoints.items() if is_request(name))
    if arrivals.started and not _ended(result) and answered > arrivals.started:
        return (
            f"none that began has ended, after {answered / arrivals.started:,.1f} answers each; look for a task that "
            "goes on without end, such as a task set in a sequence that nothing interrupts"
        )
    users = int(result.run.settings.get("virtual_users", 0))
    rate = max((point.scheduled for point in result.timeline), default=0)
    usual_s = _usual_s(result)
    busy = rate * usual_s
    if users and busy > users:
        wanted = math.ceil(busy * SPARE)
        return (
            f"the pool of {users:,} users is too small for {rate:,} arrivals/s of {usual_s * 1000:,.0f} ms each; "
            f"raise virtual_users to {wanted:,}"
        )
    slowest = _slowest(result)
    return f"the target was too slow{slowest}; find out why, or lower the peak"


def _usual_s(result: RunResult) -> float:
    """How long an arrival takes while no other waits: by the seconds without a queue, else by the fastest half."""
    requests = [e for name, e in result.endpoints.items() if is_request(name)]
    started = max(result.arrivals.started, 1)
    each = sum(e.requests for e in requests) / started
    calm = [
        p.response_ms.p50 for p in result.timeline if p.response_ms.count and not (p.backlog or p.dropped)
    ]
    service_ms = sum(e.requests * e.service_ms.p50 for e in requests) / started
    return (min(service_ms, median(calm) * each if calm else math.inf) + _pauses_ms(result)) / 1000


def _ended(result: RunResult) -> int:
    arrivals = result.arrivals
    return arrivals.ok + arrivals.failed + arrivals.empty


def _pauses_ms(result: RunResult) -> float:
    """How long an arrival of several requests makes none of them: a script's own pauses and work.

    Where it sends some at once, their times are more than its own; then this is 0 at the least.
    """
    spent_ms = {True: 0.0, False: 0.0}
    for name, e in result.endpoints.items():
        if is_request(name) or name.startswith(f"{ARRIVAL} "):
            spent_ms[is_request(name)] += e.requests * e.service_ms.mean
    return max(spent_ms[False] - spent_ms[True], 0.0) / max(_ended(result), 1)


def _slowest(result: RunResult) -> str:
    """` (POST /orders took 2.1 s at p99)` of the endpoint that took most time in all."""
    named: list[tuple[float, str, Endpoint]] = [
        (e.requests * e.service_ms.mean, name, e) for name, e in result.endpoints.items() if is_request(name)
    ]
    if not named:
        return ""
    _, name, endpoint = max(named, key=lambda item: item[0])
    return f" ({name} took {endpoint.service_ms.p50:,.0f} ms at p50 and {endpoint.service_ms.p99:,.0f} ms at p99)"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
