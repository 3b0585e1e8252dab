"""The same aiohttp application, answering from memory: the ceiling the durable one is compared with.

Routes, checks, metrics and the process around them are the service's own; only the store is a dictionary.
"""

import asyncio
import signal
import socket
import sys
from typing import Any, cast

import uvloop

from target_service.config import parse
from target_service.metrics import SharedMetrics, WorkerMetrics
from target_service.orders import Order, Purchase, Receipt
from target_service.parcels import Parcel
from target_service.store.base import Change, StockLevel
from target_service.store.store import Store
from target_service.worker import Server


class MemoryStore:
    """Takes purchases at once and forgets them with the process."""

    def __init__(self) -> None:
        self._orders: dict[tuple[str, int], Order] = {}
        self._keys: dict[tuple[str, str | None], Receipt] = {}

    async def open(self) -> int:
        return 1

    async def close(self) -> None:
        self._orders.clear()

    async def ping(self) -> None:
        return None

    async def write(self, change: Change, deadline_ns: int | None = None) -> Any:  # noqa: ARG002 - never late
        assert isinstance(change, Purchase)
        known = self._keys.get((change.run_id, change.key))
        if known is not None:
            return known._replace(replayed=True)
        for order in change.orders:
            self._orders[change.run_id, order.order_id] = order
        receipt = Receipt(change.orders, replayed=False)
        self._keys[change.run_id, change.key] = receipt
        return receipt

    async def order(self, run_id: str, order_id: int) -> Order | None:
        return self._orders.get((run_id, order_id))

    async def stock(self, run_id: str, sku_no: int) -> StockLevel:  # noqa: ARG002 - endless
        return StockLevel(1, 1)

    async def parcel(self, run_id: str, parcel_id: int) -> Parcel | None:  # noqa: ARG002 - none
        return None


async def serve() -> None:
    """Serve on a free port until SIGTERM."""
    config = parse(["--reservation-s", "0", "--key-ttl-s", "0"], {})
    metrics = WorkerMetrics(SharedMetrics.create(1).blocks[0])
    server = Server(config, metrics, 0, cast("Store", MemoryStore()))
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    await server.start(listener)
    sys.stdout.write(f"ready http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await server.run()


if __name__ == "__main__":
    uvloop.run(serve())
