"""What a search for capacity found: the record that `capacity.json` is, and that console and page are drawn from."""

from math import inf
from pathlib import Path
from typing import Any

import msgspec

from loadtest.judge.capacity import Capacity, Limit
from loadtest.measure.run_result import Buckets, Quantiles
from loadtest.measure.whole_file import write_whole

SCHEMA_VERSION = 1
CAPACITY = "capacity.json"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One rate that was tried. Rates count transactions, latencies are response times."""

    tps: float
    outcome: str
    """`pass`, `fail` or `invalid`."""
    why: list[str] = []
    """What was missed, or what kept the generator from doing its part, a sentence each."""
    measured_s: float
    """Shorter than the others' where the step was broken off."""
    completed_tps: float
    """In its whole seconds."""
    response_ms: Quantiles
    """Of all requests."""
    response_buckets: Buckets = Buckets()
    """The same as a histogram: `singlesday simulate` draws from it."""
    dispatch_lag_p99_ms: float
    cpu_max: float
    """Of the busiest worker, as a share of a core."""
    headroom: float | None = None
    """Bound / observed - 1 of the tightest objective on a quantile; None where there is none or it tells nothing."""

    @property
    def counted(self) -> bool:
        """Whether its completed transactions were counted: not where it was broken off before a second was over."""
        return self.completed_tps > 0 or self.measured_s >= 1


class CapacityResult(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, and every step that led to it."""

    schema: int = SCHEMA_VERSION
    plan: str
    targets: list[str]
    started_at: str
    took_s: float
    objectives: list[str]
    tolerance: float
    sustained_tps: float
    """The highest rate that passed; 0 if none did."""
    exceeded_tps: float | None
    """The lowest rate that did not; None if each one passed."""
    limit: str
    """`target`, `generator`, `ceiling`, `floor` or `trials`."""
    full_speed_tps: float | None = None
    """What a closed loop completed before the first step, where that was tried."""
    steps: list[Step]
    left_out: list[str] = []
    """Objectives of the plan that a steady rate cannot be judged by."""
    versions: dict[str, str] = {}
    machine: dict[str, Any] = {}

    @property
    def sentence(self) -> str:
        """The answer in words."""
        if not self.sustained_tps:
            return f"no rate was sustained: {LIMITS[Limit(self.limit)]}"
        said = f"sustained {tps_words(self.sustained_tps)} TPS"
        if self.exceeded_tps is not None:
            said += f", but not {tps_words(self.exceeded_tps)} TPS"
        return f"{said}: {LIMITS[Limit(self.limit)]}"

    @classmethod
    def read(cls, path: Path) -> "CapacityResult":
        """Read a `capacity.json`. Raises `msgspec.ValidationError` naming the key that is wrong, `OSError`."""
        return msgspec.json.decode(path.read_bytes(), type=cls)

    @classmethod
    def of(cls, found: Capacity, **more: Any) -> "CapacityResult":
        """The record of what a search found."""
        return cls(
            sustained_tps=found.sustained_tps,
            exceeded_tps=None if found.exceeded_tps == inf else found.exceeded_tps,
            limit=found.limit.value,
            **more,
        )

    def write(self, folder: Path) -> Path:
        """Write `capacity.json` into a folder, whole or not at all; its path. Raises `OSError`."""
        path = folder / CAPACITY
        write_whole(msgspec.json.format(msgspec.json.encode(self), indent=1).decode() + "\n", path)
        return path


def tps_words(tps: float) -> str:
    """A rate with as many digits as tell it from another that is 3 % off: 5,120 or 5.12."""
    return f"{tps:,.0f}" if tps >= 100 else f"{tps:.1f}" if tps >= 10 else f"{tps:.2f}"


LIMITS = {
    Limit.TARGET: "at a higher rate the target missed an objective",
    Limit.GENERATOR: "at a higher rate the load generator fell behind; the target may be capable of more",
    Limit.CEILING: "a higher rate is not allowed there",
    Limit.FLOOR: "not even the lowest rate met every objective",
    Limit.TRIALS: "the search used up its steps before it could be more exact",
}
