"""The periods of a run that objectives are judged over: the whole, a phase of it, or each window of some length.

Phases and windows need exact histograms of their own, because quantiles of seconds cannot be merged: whoever
records a run asks `wanted_periods` which ones to keep. A period that was not kept has no data.
"""

from collections.abc import Callable, Iterable, Sequence

from loadtest.judge.slo_syntax import Slo
from loadtest.measure.run_result import Period, RunResult

Span = tuple[float, float]
"""(from_s, to_s), offsets of the plan."""
Find = Callable[[Span], Period | None]


def wanted_periods(
    slos: Iterable[Slo], phases: Sequence[tuple[float, float, str]], duration_s: float
) -> list[Period]:
    """The empty periods a run must fill so that every objective can be judged: each phase, each window."""
    wanted = {(start, end): name for start, end, name in phases}
    for slo in slos:
        for span in own_spans(slo, phases, duration_s):
            wanted.setdefault(span, "")
    return [Period(name=name, from_s=start, to_s=end) for (start, end), name in wanted.items()]


def own_spans(slo: Slo, phases: Sequence[tuple[float, float, str]], duration_s: float) -> list[Span]:
    """What an objective is judged over, if that is not the whole run."""
    return spans_of(slo, phases, duration_s) if slo.phase or slo.window_s else []


def spans_of(slo: Slo, phases: Sequence[tuple[float, float, str]], duration_s: float) -> list[Span]:
    whole = [(0.0, duration_s)]
    spans = [(start, end) for start, end, name in phases if name == slo.phase] if slo.phase else whole
    if slo.window_s is None:
        return spans
    return [window for span in spans for window in _windows(span, slo.window_s)]


def _windows(span: Span, length_s: float) -> list[Span]:
    """Windows of full length that cover the span; the last may overlap, so that the end is judged."""
    start, end = span
    full = int((end - start) / length_s + 1e-9)
    windows = [(start + i * length_s, start + (i + 1) * length_s) for i in range(full)]
    if not windows:
        return [span]
    if end - windows[-1][1] > 1e-6:
        windows.append((end - length_s, end))
    return windows


def periods_of(slo: Slo, result: RunResult) -> Find:
    """Finds the record of a span among those that the objective is about; None for one that was not kept."""
    if slo.phase or slo.window_s:
        kept = {_rounded((period.from_s, period.to_s)): period for period in result.periods}
        return lambda span: kept.get(_rounded(span))
    whole = Period(
        name="",
        from_s=0.0,
        to_s=result.run.duration_s,
        endpoints=result.endpoints,
        arrivals=result.arrivals,
        transactions=result.transactions.count,
        patterns=result.patterns,
    )
    return lambda _: whole


def _rounded(span: Span) -> tuple[float, float]:
    """As a key: spans are computed by adding up, and written to files in between."""
    return round(span[0], 5), round(span[1], 5)
