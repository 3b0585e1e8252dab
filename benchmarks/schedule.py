"""What an arrival costs: nanoseconds of CPU for each, by kind of schedule and shape of profile.

Run `python -m benchmarks.schedule`. Each figure is the median of five rounds over about 200,000 arrivals of
one slot of two, taken one by one as the generator takes them.
"""

from collections.abc import Callable, Iterator
from statistics import median
from time import process_time_ns

from loadtest.plan.mix import Mix
from loadtest.plan.plan_file import Plan
from loadtest.plan.profile import Piecewise, constant, decay, ramp
from loadtest.plan.schedule import Poisson, Uniform

ROUNDS = 5

SHAPES: dict[str, Piecewise] = {
    "constant": constant(40_000, 10),
    "ramp": ramp(0, 40_000, 20),
    "decay": decay(40_000, 10, 30),
    "decay on a floor": constant(4_000, 30).add(decay(40_000, 10, 30)),
    "singles-day": Plan.load("singles-day").with_overrides(peak_tps=8_000).profile(),
}


def cost_ns(arrivals: Callable[[], Iterator[object]]) -> float:
    """Median CPU time of one arrival."""
    rounds = []
    for _ in range(ROUNDS):
        start_ns = process_time_ns()
        count = sum(1 for _ in arrivals())
        rounds.append((process_time_ns() - start_ns) / count)
    return median(rounds)


def main() -> None:
    """Print the table."""
    print(f"{'profile':20}{'uniform':>10}{'poisson':>10}{'mix of 3':>10}   ns an arrival")
    for name, profile in SHAPES.items():
        uniform, poisson = Uniform(profile), Poisson(profile, seed=1)
        mix = Mix([uniform, Uniform(profile.scale(0.5)), Uniform(profile.scale(0.2))])
        figures = [
            cost_ns(lambda: uniform.arrivals(0, 2)),  # noqa: B023 -- called within the round
            cost_ns(lambda: poisson.arrivals(0, 2)),  # noqa: B023
            cost_ns(lambda: mix.arrivals(0, 2)),  # noqa: B023
        ]
        print(f"{name:20}" + "".join(f"{figure:10.0f}" for figure in figures))


if __name__ == "__main__":
    main()
