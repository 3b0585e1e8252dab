"""What a reader of a run wants to know first: did it reach its peak, what broke and when, can it be trusted."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from loadtest.judge.peak import Peak, fell_short, find_peak
from loadtest.judge.validity import MAX_LAG_P99_MS
from loadtest.measure.run_result import RunResult, SloResult
from loadtest.publish import wording

MOST_LINES = 4
MOST_ERRORS = 3
SHORT_SHARE = 0.97
"""What broke is told of a time in which the target completed less than this share of what was asked for."""

State = Literal["good", "bad", "warn", "none"]


class Answer(NamedTuple):
    """A question with its answer in a word or figure, and what stands behind it."""

    question: str
    value: str
    state: State
    lines: list[str]


def answers(result: RunResult) -> list[Answer]:
    """The three answers of the first screen."""
    return [peak(result), broken(result), trust(result)]


def peak(result: RunResult) -> Answer:
    """Which rate was planned, which one was reached, and for how long it was held."""
    found = find_peak(result)
    noun = wording.transaction(result)
    if found is None:
        return Answer("Was the peak held?", "No data", "none", ["The plan was over before its first second."])
    lines = [
        _held(found),
        f"Best second: {_rate(found.best_tps, noun)}, at {wording.duration(found.best_at_s)}.",
    ]
    asked_tps = float(result.run.settings.get("peak_tps", 0.0))
    if found.planned_tps < 0.99 * asked_tps:
        lines.append(
            f"No whole second of what was played had the plan's full peak of {_rate(asked_tps, noun)}."
        )
    if wording.is_about_singles_day(result):
        lines.append(f"That is {wording.share_of_record(found.best_tps)}/s, the peak of Singles' Day 2020.")
    question = f"Was the peak of {_rate(found.planned_tps, noun)} held?"
    if result.verdict == "ABORTED" and found.planned_tps < 0.99 * asked_tps:
        ended = f"The run ended before the plan's full peak of {_rate(asked_tps, noun)}."
        return Answer("Was the peak held?", "Not reached", "none", [ended, lines[1]])
    if found.held_s >= found.lasted_s:
        return Answer(question, "Yes", "good", lines)
    if not found.held_s:
        return Answer(question, "No", "bad", lines)
    value = f"For {wording.duration(found.held_s)} of {wording.duration(found.lasted_s)}"
    return Answer(question, value, "warn", lines)


def broken(result: RunResult) -> Answer:
    """What went wrong in the run, by time."""
    found = sorted(incidents(result))
    if not found:
        return Answer("What broke, and when?", "Nothing", "good", ["No error, no stall, no lost worker."])
    more = len(found) - MOST_LINES
    lines = [text for _, text in found[:MOST_LINES]]
    if more > 0:
        lines.append(f"And {more:,} more, below.")
    missed = any(not slo.passed for slo in result.slo) or result.verdict != "PASS"
    return Answer(
        "What broke, and when?", f"From {wording.duration(found[0][0])}", "bad" if missed else "warn", lines
    )


def trust(result: RunResult) -> Answer:
    """Whether the load generator did its own part, and whether every acknowledged order is stored."""
    verdict, lag = result.validity.verdict, result.generator.dispatch_lag_ms.p99
    value, state = _TRUST.get(verdict, (verdict, "warn"))
    said = wording.headline(result).reasons
    if wording.is_too_little(result) and value == "Yes":
        value, state = "With care", "warn"
    told = (*said, *(reason for reason in result.validity.reasons if reason.startswith(wording.STOPPED)))
    lines = [reason for reason in result.validity.reasons if reason not in told][:MOST_LINES]
    lines.append(f"The generator was {wording.latency(lag)} late at p99; the limit is {MAX_LAG_P99_MS:g} ms.")
    balanced = all(holds for _, holds in wording.identities(result))
    lines.append("Every arrival is accounted for." if balanced else "The arrivals do not add up.")
    lines.append(_audited(result))
    if not balanced or (result.audit is not None and not result.audit.balanced):
        state = "bad"
    return Answer("Can these numbers be trusted?", value, state, lines)


def incidents(result: RunResult) -> Iterator[tuple[float, str]]:
    """(t_s, sentence) of everything that went wrong, in no order."""
    for at_s, what in result.events:
        yield at_s, f"{wording.duration(round(at_s, 1))}: {what}."
    for from_s, to_s, share in fell_short(result):
        if share < SHORT_SHARE:
            span = f"{from_s:g}-{to_s:g} s" if to_s - from_s > 1 else f"{from_s:g} s"
            yield from_s, f"{span}: the target completed {wording.percent(share)} of what was planned."
    for row in wording.error_rows(result)[:MOST_ERRORS]:
        seen = result.endpoints[row.endpoint].evidence.get(row.error)
        when = f"{row.when}: " if row.when else ""
        yield seen.first_s if seen else 0.0, f"{when}{row.failures:,} x {row.error} at {row.endpoint}."
    slowest = max(result.timeline, key=lambda point: point.response_ms.p99, default=None)
    if slowest is not None and any(map(_is_slow, result.slo)):
        yield (
            slowest.t_s,
            f"{slowest.t_s:g} s: the slowest second, with p99 {wording.latency(slowest.response_ms.p99)}.",
        )


_TRUST: dict[str, tuple[str, State]] = {
    "VALID": ("Yes", "good"),
    "DEGRADED": ("With care", "warn"),
    "INVALID": ("No", "bad"),
}


def _is_slow(slo: SloResult) -> bool:
    return slo.observed is not None and not slo.passed and slo.expr.startswith("p")


def _audited(result: RunResult) -> str:
    said = wording.audit(result)
    if result.audit is None:
        return f"{said}."
    return f"Audit {said}." if result.audit.balanced else f"Audit: {said}."


def _held(found: Peak) -> str:
    lasted, held = wording.duration(found.lasted_s), wording.duration(found.held_s)
    average = f"{wording.percent(min(found.share, 1.0))} of it was completed on average"
    if found.held_s >= found.lasted_s:
        return f"The plan's peak lasts {lasted}; all of it was completed within 1%."
    return f"The plan's peak lasts {lasted}; within 1% for {held} of them, and {average}."


def _rate(tps: float, noun: str) -> str:
    return f"{wording.rate(tps)} {noun}s/s"
