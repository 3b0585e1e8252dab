"""A worker shows that it lives while its store opens, and ends when a part of it has died."""

import asyncio
import socket
from typing import Any, cast

import pytest

from target_service import worker
from target_service.config import parse
from target_service.metrics import SharedMetrics, WorkerMetrics
from target_service.store.store import Store
from target_service.worker import Server

SOON_S = 20.0


class SlowStore:
    """A store that opens only once its worker's event loop has turned a few times."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self.metrics = metrics
        self.is_closed = False

    async def open(self) -> int:
        await turns(self.metrics, 3)
        return 1

    async def write(self, *_: Any) -> Any:
        await asyncio.Event().wait()

    async def ping(self) -> None:
        raise RuntimeError("not a kind of failure that anybody thought of")

    async def close(self) -> None:
        self.is_closed = True


async def turns(metrics: WorkerMetrics, count: int) -> None:
    """Wait until the event loop has turned so often again."""
    enough = metrics.beats.value + count
    while metrics.beats.value < enough:
        await asyncio.sleep(0.01)


def serve(proof_s: float) -> SlowStore:
    """Start a worker, watch its pulse, and let it run until it ends by itself or is asked to."""
    metrics = WorkerMetrics(SharedMetrics.create(1).blocks[0])
    store = SlowStore(metrics)

    async def scenario() -> None:
        server = Server(parse(["--drain-s", "1"], {}), metrics, 0, cast("Store", store))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            await server.start(listener)
            await turns(metrics, 3)
            if proof_s:
                server.stop()
            await server.run()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "PROOF_S", proof_s)
        asyncio.run(asyncio.wait_for(scenario(), SOON_S))
    return store


def test_a_worker_shows_that_it_lives_while_its_store_opens_and_afterwards() -> None:
    store = serve(proof_s=1000.0)
    assert store.is_closed
    assert store.metrics.memory_bytes.value > 2**20


def test_a_worker_one_of_whose_tasks_has_died_says_so_and_drains(caplog: pytest.LogCaptureFixture) -> None:
    assert serve(proof_s=0.0).is_closed
    assert "Server._prove_store" in caplog.text
    assert "anybody thought of" in caplog.text
