"""Exemplars: the slowest recent request of each bucket, and never many."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.exemplar import (
    BOUNDS_S,
    MOST_KEPT,
    MOST_REPORTED,
    RECENT_MS,
    Exemplar,
    Exemplars,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"


def traced(response_us: int, at_ms: int = 0, endpoint: str = "POST /orders") -> Exemplar:
    return Exemplar(endpoint, response_us, TRACE, at_ms)


@given(st.lists(st.integers(0, 20_000_000), min_size=1))
def test_each_bucket_keeps_its_slowest(latencies_us: list[int]) -> None:
    exemplars = Exemplars()
    exemplars.offer_all(traced(latency_us) for latency_us in latencies_us)
    kept = exemplars.of("POST /orders")
    bounds_us = [0, *(round(bound_s * 1e6) for bound_s in BOUNDS_S), 10**12]
    for number, (above, up_to) in enumerate(itertools.pairwise(bounds_us)):
        within = [us for us in latencies_us if above < us <= up_to or (us == 0 and number == 0)]
        assert (kept[number].response_us if number in kept else None) == (max(within) if within else None)


def test_an_old_exemplar_gives_way_to_a_new_one_that_is_less_slow() -> None:
    exemplars = Exemplars()
    exemplars.offer(traced(900_000, at_ms=0))
    exemplars.offer(traced(800_000, at_ms=RECENT_MS))
    assert next(iter(exemplars.of("POST /orders").values())).response_us == 900_000
    exemplars.offer(traced(800_000, at_ms=RECENT_MS + 1))
    assert next(iter(exemplars.of("POST /orders").values())).response_us == 800_000


def test_a_report_takes_the_slowest_few_and_forgets_all() -> None:
    exemplars = Exemplars()
    exemplars.offer_all(traced(us, endpoint=f"GET /{n}") for n, us in enumerate(range(1000, 3000, 100)))
    assert [e.response_us for e in exemplars.take()] == list(range(2900, 2900 - 100 * MOST_REPORTED, -100))
    assert exemplars.take() == []


def test_a_script_that_puts_ids_into_names_cannot_fill_the_memory() -> None:
    exemplars = Exemplars()
    exemplars.offer_all(traced(1000, endpoint=f"GET /{n}") for n in range(MOST_KEPT * 2))
    assert len(exemplars._kept) == MOST_KEPT
