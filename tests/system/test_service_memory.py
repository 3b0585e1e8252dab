"""Memory of the running service."""

from pathlib import Path

import pytest

from benchmarks.service.memory import growth, pile_up
from tests.target_service.service_process import running

WARM_UP_ORDERS = 40_000
ORDERS = 120_000
A_HUNDREDTH = 0.01


@pytest.mark.campaign
@pytest.mark.timeout(600)
def test_memory_does_not_grow_with_the_orders_once_caches_are_full(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        (worker,) = service.worker_pids()
        samples = list(pile_up(service.address[1], worker, ORDERS, step=10_000))
    assert growth(samples, WARM_UP_ORDERS) < A_HUNDREDTH
