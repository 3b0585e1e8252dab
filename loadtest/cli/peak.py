"""The peak that `--peak-tps auto` plays: a share of full speed, lowered until the generator keeps time there.

Full speed is found in a closed loop, which waits politely whenever something is slow. So it says how fast the
machine is on average and nothing of its pauses: a neighbour that slows both cores tenfold for a tenth of a second
every second takes 10 % off full speed, but makes every arrival of that tenth late. A trial plays the proposed peak
in an open loop and looks at dispatch lag, and whether the target keeps up; if not, the next trial plays less.
"""

from collections.abc import Callable

from msgspec import Struct

FRACTIONS = (0.4, 0.3, 0.2, 0.1)
"""Shares of full speed, in the order in which they are tried. An open loop near full speed queues without end, and a
disk or a neighbour that pauses needs room to catch up. A trial lasts seconds and a run a minute: the machine may be
slower by then. Of 75 % a trial was on time and the run was not three times of three on two cores, of 50 % two times
of three in one hour: there the generator shares the cores with a service that uses what it gets."""
MAX_LAG_MS = 5.0
"""Dispatch lag at p99 above which a peak is too much: half of what makes a run INVALID, since a run has a master
and its ledgers besides, and lasts longer than a trial."""
MAX_QUEUEING_MS = 100.0
"""Wait for a free user at p99 above which a peak is too much for the target: it only grows from there."""
MAX_FAILED = 0.001
"""Share of failed arrivals above which a peak is too much for the target: what the shipped plans allow."""


class Trial(Struct, frozen=True):
    """How a peak went: how late the generator was, and how the target kept up."""

    peak_tps: int
    lag_p99_ms: float
    queueing_p99_ms: float = 0.0
    failed: float = 0.0
    """The share of arrivals that failed or were dropped."""

    @property
    def on_time(self) -> bool:
        """Whether the generator kept time well enough for a run at this peak."""
        return self.lag_p99_ms <= MAX_LAG_MS

    @property
    def fits(self) -> bool:
        """Whether a run may peak there."""
        return self.on_time and self.queueing_p99_ms <= MAX_QUEUEING_MS and self.failed <= MAX_FAILED

    def complaint(self) -> str:
        """Why a run cannot peak there, in words."""
        at = f"at {self.peak_tps:,} TPS in an open loop"
        if not self.on_time:
            return f"{at} this machine sent requests {self.lag_p99_ms:.0f} ms late (p99)"
        if self.failed > MAX_FAILED:
            return f"{at} {self.failed:.1%} of the arrivals failed or were dropped"
        return f"{at} arrivals waited {self.queueing_p99_ms:.0f} ms for a free user (p99)"


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
        """The result of the probe in a sentence, for the console."""
        if not self.trials:
            return "At full speed no request was answered without an error, so the plan keeps its own peak."
        peak, share = f"{self.peak_tps:,}", self.peak_tps / self.full_speed_tps
        said = [f"At full speed (closed loop) {self.full_speed_tps:,.0f} TPS"]
        said += [trial.complaint() for trial in self.trials if not trial.fits]
        words = f"{'; '.join(said)}; the plan will peak at {peak} TPS ({share:.0%} of full speed)."
        if self.trials[-1].fits:
            return words
        if self.trials[-1].on_time:
            return f"{words} The target does not keep up with even that: expect missed objectives."
        return f"{words} Something else slows this machine: stop it, or expect an INVALID run."


def find_peak(full_speed_tps: float, play: Callable[[int], Trial]) -> Sizing:
    """Try `FRACTIONS` of `full_speed_tps` with `play` until one fits."""
    trials: list[Trial] = []
    for fraction in FRACTIONS if full_speed_tps else ():
        trials.append(play(max(1, round(full_speed_tps * fraction))))
        if trials[-1].fits:
            break
    return Sizing(full_speed_tps, trials)
