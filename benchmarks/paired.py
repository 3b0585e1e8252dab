"""Small effects on a noisy machine: blocks with and without, in one run, and an interval that says what is known.

Two runs of one machine differ more than most effects that are asked for, so the two sides take turns within one run.
A quartet is four neighbouring blocks of equal length, ABBA or BAAB: what drifts steadily through it touches both
sides alike (R. Fisher, The Design of Experiments, 1935). B is with what is tried, A is without; every block has a
histogram of latencies, and each side's are added up. The statistic is the ratio B : A of one quantile of the sums.

What the machine does to one quartet it does to no other, so quartets are what is resampled, whole (block bootstrap:
A. Davison and D. Hinkley, Bootstrap Methods, 1997, section 8.2.3). The percentile interval is widened as Student's t
is over the normal, since with few quartets it is too sure of itself (T. Hesterberg, The American Statistician 69,
2015, "expanded percentile interval").

Every other quartet is A/A: labelled and judged like the rest, with nothing tried. Its interval is the noise floor.
If even that misses 1, the sides differ by something else than what was tried, and the run decides nothing; nor does
it if A/A reaches as far as the effect to be called missed, or the limit to be called shown.

    python -m benchmarks.paired FILE… [--limit 1.05] [--quantile 0.99] [--metric response]

pools the quartets of several runs' records (`singlesday bench service effects` writes them) and judges anew. Fix
how many runs there will be before looking: who goes on until the verdict pleases finds one that does.
"""

import argparse
import math
import random
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import msgspec
import numpy as np

from loadtest.measure import codec
from loadtest.measure.histogram import Histogram, upper_us

CONFIDENCE = 0.95
QUIET_CONFIDENCE = 0.99
"""Of the A/A interval that must hold 1: a quiet run is called loud once in a hundred."""
RESAMPLES = 4000
LEAST_QUARTETS = 6
"""Fewer have too few different resamples to speak of an interval."""
SEED = 1111
ORDERS = ("ABBA", "BAAB")


class Verdict(Enum):
    """What is known of an effect and its limit."""

    SHOWN = "shown"
    """The whole interval lies below the limit."""
    MISSED = "missed"
    """The whole interval lies above it."""
    UNDECIDED = "not decided"


class Pair(NamedTuple):
    """One quartet's latencies, each side's two blocks added up."""

    a: Histogram
    b: Histogram


class Estimate(NamedTuple):
    """The ratio B : A of a quantile, and the range that holds the true one."""

    ratio: float
    low: float
    high: float
    quartets: int
    a_ms: float
    """The quantile of everything in A."""
    b_ms: float

    def __str__(self) -> str:
        """As a line of a report says it."""
        return f"{self.ratio:.3f} ({self.low:.3f} .. {self.high:.3f}; {self.quartets} quartets)"


class Judgement(NamedTuple):
    """A verdict and why."""

    verdict: Verdict
    reason: str
    needed: int | None = None
    """About how many quartets would decide, if the ratio is what it seems; None if it is decided or none would."""


class Block(msgspec.Struct):
    """Some seconds of one side."""

    label: str
    """`A` or `B`."""
    latencies: dict[str, bytes]
    """By metric, as `loadtest.measure.codec` writes a histogram."""


class Quartet(msgspec.Struct):
    """Four neighbouring blocks."""

    treated: bool
    """Whether B was with what is tried; False in an A/A quartet."""
    blocks: list[Block]

    def pair(self, metric: str) -> Pair:
        """Its two sides. Raises ValueError if it is no quartet, or one side has nothing."""
        if sorted(block.label for block in self.blocks) != ["A", "A", "B", "B"]:
            raise ValueError(f"expected two blocks of A and two of B, got {[b.label for b in self.blocks]}")
        pair = Pair(Histogram(), Histogram())
        for block in self.blocks:
            codec.merge_into(pair.a if block.label == "A" else pair.b, block.latencies[metric])
        if not (pair.a.counts and pair.b.counts):
            raise ValueError(f"a quartet has a side without {metric}")
        return pair


class Record(msgspec.Struct):
    """What one run measured."""

    effect: str
    settings: dict[str, float]
    quartets: list[Quartet]
    limits: dict[str, float]
    """By metric: the largest ratio that is still good."""


def plan_orders(quartets: int, seed: int = SEED) -> list[str]:
    """The order of the blocks in each quartet, by lot."""
    lot = random.Random(seed)
    return [lot.choice(ORDERS) for _ in range(quartets)]


def estimate(
    pairs: Sequence[Pair], quantile: float, *, confidence: float = CONFIDENCE, seed: int = SEED
) -> Estimate:
    """The ratio and its interval; the same pairs and seed give the same. Raises ValueError with too few pairs."""
    size = len(pairs)
    if size < LEAST_QUARTETS:
        raise ValueError(f"expected at least {LEAST_QUARTETS} quartets, got {size}")
    buckets = sorted({bucket for pair in pairs for side in pair for bucket in side.counts})
    weights = np.random.default_rng(seed).multinomial(size, [1 / size] * size, size=RESAMPLES).astype(float)
    resampled = [
        _quantiles(weights, [side.counts for side in sides], buckets, quantile)
        for sides in zip(*pairs, strict=True)
    ]
    logs = np.log(resampled[1] / resampled[0])
    tail = _expanded_tail(confidence, size)
    low, high = np.exp(np.quantile(logs, [tail, 1 - tail]))
    a_us, b_us = (_merged(sides).quantile(quantile) for sides in zip(*pairs, strict=True))
    return Estimate(b_us / a_us, float(low), float(high), size, a_us / 1e3, b_us / 1e3)


def judge(effect: Estimate, noise: Estimate | None, limit: float) -> Judgement:
    """The verdict on an effect, given the interval of A/A at `QUIET_CONFIDENCE` if there is one."""
    if noise is not None and not noise.low <= 1 <= noise.high:
        return Judgement(Verdict.UNDECIDED, f"even A/A differs: {noise}")
    reach = 1.0 if noise is None else noise.high
    if effect.high < limit <= reach or limit < effect.low <= effect.ratio <= reach:
        return Judgement(Verdict.UNDECIDED, f"A/A alone reaches {reach:.3f}: the machine was too loud")
    if effect.high < limit:
        return Judgement(Verdict.SHOWN, f"the interval lies below {limit:g}")
    if effect.low > limit:
        return Judgement(Verdict.MISSED, f"the interval lies above {limit:g}")
    needed = _needed(effect, limit)
    hope = "no number of quartets would" if needed is None else f"about {needed:,} quartets would"
    return Judgement(Verdict.UNDECIDED, f"{limit:g} lies in the interval; {hope} decide", needed)


def judged(
    record: Record, metric: str, quantile: float, limit: float
) -> tuple[Estimate, Estimate | None, Judgement]:
    """The effect, the noise floor (None without enough A/A), and the verdict. Raises ValueError."""
    effect = estimate([q.pair(metric) for q in record.quartets if q.treated], quantile)
    same = [q.pair(metric) for q in record.quartets if not q.treated]
    if len(same) < LEAST_QUARTETS:
        return effect, None, judge(effect, None, limit)
    quiet = estimate(same, quantile, confidence=QUIET_CONFIDENCE)
    return effect, estimate(same, quantile), judge(effect, quiet, limit)


def pooled(records: Sequence[Record]) -> Record:
    """All quartets as one record. Raises ValueError if they tried different things."""
    first = records[0]
    if {record.effect for record in records} != {first.effect}:
        raise ValueError(f"expected records of one effect, got {sorted({r.effect for r in records})}")
    return msgspec.structs.replace(first, quartets=[q for record in records for q in record.quartets])


def report(record: Record, quantile: float) -> str:
    """What a record says of each metric that has a limit, for a terminal."""
    return "\n".join(
        _lines(record, metric, quantile, limit) for metric, limit in sorted(record.limits.items())
    )


def figures(record: Record, quantile: float) -> dict[str, object]:
    """The same for programs, by metric."""
    found: dict[str, object] = {}
    for metric, limit in record.limits.items():
        effect, noise, judgement = judged(record, metric, quantile, limit)
        found[metric] = {
            "limit": limit,
            "effect": effect._asdict(),
            "noise": None if noise is None else noise._asdict(),
            "verdict": judgement.verdict.value,
            "reason": judgement.reason,
            "needed_quartets": judgement.needed,
        }
    return found


def _lines(record: Record, metric: str, quantile: float, limit: float) -> str:
    effect, noise, judgement = judged(record, metric, quantile, limit)
    return (
        f"{record.effect}: p{100 * quantile:g} of {metric}, with : without\n"
        f"    effect       {effect}; {effect.a_ms:.3f} ms -> {effect.b_ms:.3f} ms\n"
        f"    noise floor  {noise or 'too few A/A quartets'}\n"
        f"    <= {limit:g}: {judgement.verdict.value}: {judgement.reason}"
    )


def _merged(histograms: Sequence[Histogram]) -> Histogram:
    total = Histogram()
    for histogram in histograms:
        total.merge(histogram)
    return total


def _quantiles(
    weights: "np.ndarray", sides: Sequence[dict[int, int]], buckets: list[int], quantile: float
) -> "np.ndarray":
    """The quantile, in us, of each resample, by the rank that `Histogram.quantile` takes."""
    # Of floats, exact up to 2^53: matrices of integers are multiplied a hundred times slower.
    table = np.array([[float(side.get(bucket, 0)) for bucket in buckets] for side in sides])
    reached = np.cumsum(weights @ table, axis=1)
    ranks = np.maximum(1, np.ceil(np.round(quantile * reached[:, -1], 6)))
    uppers = np.array([float(upper_us(bucket)) for bucket in buckets])
    return np.asarray(uppers[(reached >= ranks[:, None]).argmax(axis=1)])


def _expanded_tail(confidence: float, size: int) -> float:
    """The share of resamples to cut off on each side (Hesterberg's expanded percentile interval)."""
    normal = NormalDist()
    student = _student(normal.inv_cdf((1 + confidence) / 2), size - 1)
    return normal.cdf(-student * math.sqrt(size / (size - 1)))


def _student(z: float, freedom: int) -> float:
    """Student's quantile from the normal one (Abramowitz and Stegun, 26.7.5, to 1 % from five degrees on)."""
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def _needed(effect: Estimate, limit: float) -> int | None:
    """How many quartets bring the interval's end, which nears the ratio by their root, to the limit."""
    gap = math.log(limit / effect.ratio)
    reach = math.log((effect.high if gap > 0 else effect.low) / effect.ratio)
    return math.ceil(effect.quartets * (reach / gap) ** 2) if gap else None


def main() -> None:
    """Pool records and say what they show together."""
    parser = argparse.ArgumentParser(prog="benchmarks.paired", description="Pool paired runs and judge anew")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--quantile", type=float, default=0.99)
    parser.add_argument("--metric", help="judge this one only")
    parser.add_argument("--limit", type=float, help="the largest good ratio, in place of the records' own")
    arguments = parser.parse_args()
    try:
        record = pooled([read(path) for path in arguments.files])
        limits = record.limits
        if arguments.metric is not None:
            limits = {arguments.metric: arguments.limit or limits[arguments.metric]}
        elif arguments.limit is not None:
            limits = dict.fromkeys(limits, arguments.limit)
        print(report(msgspec.structs.replace(record, limits=limits), arguments.quantile))
    except (OSError, KeyError, ValueError) as error:
        parser.error(str(error))


def read(path: Path) -> Record:
    """A record that a run has written. Raises OSError, ValueError naming the file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}: expected the record of a paired run: {error}") from error


def write(record: Record, path: Path, quantile: float = 0.99) -> None:
    """Leave a record, and beside its blocks what they show. Raises OSError, ValueError."""
    whole = msgspec.to_builtins(record) | {"figures": figures(record, quantile)}
    path.write_bytes(msgspec.json.encode(whole) + b"\n")


if __name__ == "__main__":
    main()
