"""Ways in which a run can go: each a world drawn from a seed, with how bad, where and when."""

from collections.abc import Callable
from random import Random

from tests.fleet.simulated_fleet import RATE
from tests.judge.simulated_run import DURATION_S, Answer, Fate, World

ARRIVALS = int(RATE * DURATION_S)
OK = Fate()

Way = Callable[[Random], World]


class Ways(dict[str, Way]):
    """Ways by what they are called; a function is added by decorating it."""

    def __call__(self, way: Way) -> Way:
        self[way.__name__.replace("_", " ")] = way
        return way


def failing(error: str, took_ms: float = 3.0) -> Fate:
    return Fate((Answer(took_ms=took_ms, error=error),))


def some(rng: Random, fate: Fate, least: float = 0.03) -> Callable[[int], Fate]:
    """Arrivals of which a share, drawn from `least` to 1, have `fate`: evenly spread, so that the share is exact."""
    share = rng.uniform(least, 1)
    return lambda number: fate if int((number + 1) * share) > int(number * share) else OK


def within(from_s: float, to_s: float, fate: Fate) -> Callable[[int], Fate]:
    return lambda number: fate if from_s * RATE <= number < to_s * RATE else OK


def few(rng: Random, fate: Fate, number: int = 3) -> Callable[[int], Fate]:
    """So few arrivals have `fate` that the implicit objectives are met."""
    chosen = set(rng.sample(range(ARRIVALS), number))
    return lambda arrival: fate if arrival in chosen else OK
