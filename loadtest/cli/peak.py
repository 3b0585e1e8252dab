"""The peak that `--peak-tps auto` plays: a share of full speed, lowered until the generator keeps time there.

Full speed is found in a closed loop, which waits politely whenever something is slow. So it says how fast the
machine is on average and nothing of its pauses: a neighbour that slows both cores tenfold for a tenth of a second
every second takes 10 % off full speed, but makes every arrival of that tenth late. A trial plays the proposed peak
in an open loop and looks at dispatch lag; while that is too high, the next trial plays less.
"""

from collections.abc import Callable

from msgspec import Struct

FRACTIONS = (0.7, 0.5, 0.35, 0.2, 0.1)
"""Shares of full speed, in the order in which they are tried. An open loop at more than about 0.7 queues without end,
and a disk or a neighbour that pauses needs room to catch up."""
MAX_LAG_MS = 5.0
"""Dispatch lag at p99 above which a peak is too much: half of what makes a run INVALID, since a run has a master
and its ledgers besides, and lasts longer than a trial."""


class Trial(Struct, frozen=True):
    """How late the generator was at a peak."""

    peak_tps: int
    lag_p99_ms: float

    @property
    def on_time(self) -> bool:
        """Whether the generator kept time well enough for a run at this peak."""
        return self.lag_p99_ms <= MAX_LAG_MS


class Sizing(Struct, frozen=True):
    """What a probe found: transactions a second in a closed loop, and its trials, of which the last one decides.

    There is no trial, and no peak, where nothing was completed in the closed loop.
    """

    full_speed_tps: float
    trials: list[Trial]

    @property
    def peak_tps(self) -> int:
        """What the plan should peak at."""
        return self.trials[-1].peak_tps

    def in_words(self) -> str:
        """What was found, for whoever waits for the run to start."""
        if not self.trials:
            return "Nothing was completed at full speed in a closed loop: the plan keeps its own peak."
        peak, share = f"{self.peak_tps:,}", self.peak_tps / self.full_speed_tps
        said = [f"At full speed {self.full_speed_tps:,.0f} TPS in a closed loop"]
        late = [trial for trial in self.trials if not trial.on_time]
        said += [
            f"at {trial.peak_tps:,} in an open loop this machine was {trial.lag_p99_ms:.0f} ms late at p99"
            for trial in late
        ]
        words = f"{'; '.join(said)}; the plan will peak at {peak} ({share:.0%})."
        if self.trials[-1].on_time:
            return words
        return f"{words} Something else slows this machine: stop it, or expect an INVALID run."


def find_peak(full_speed_tps: float, lag_p99_ms: Callable[[int], float]) -> Sizing:
    """Try `FRACTIONS` of `full_speed_tps` until the generator keeps time.

    `lag_p99_ms` plays a peak and tells the 99th percentile of its dispatch lag.
    """
    trials: list[Trial] = []
    for fraction in FRACTIONS if full_speed_tps else ():
        peak_tps = max(1, round(full_speed_tps * fraction))
        trials.append(Trial(peak_tps, lag_p99_ms(peak_tps)))
        if trials[-1].on_time:
            break
    return Sizing(full_speed_tps, trials)
