"""FastAPI on uvicorn doing the same work: orders checked by pydantic, kept by the service's own store."""

import socket
import sys
from typing import Annotated

import uvicorn
import uvloop
from fastapi import FastAPI, Header
from pydantic import BaseModel, ConfigDict, Field

from target_service.inventory import Catalogue
from target_service.metrics import SharedMetrics, WorkerMetrics
from target_service.orders import OrderIds, Purchase, created_at_ms, draft_order, order_name
from target_service.store.base import StoreSettings
from target_service.store.store import Store, make_store


class Line(BaseModel):
    """Units of one product."""

    model_config = ConfigDict(extra="forbid", strict=True)
    sku: str = Field(pattern=r"^sku-[0-9]{6,9}$")
    quantity: int = Field(ge=1, le=1000)


class OrderRequest(BaseModel):
    """What a buyer orders."""

    model_config = ConfigDict(extra="forbid", strict=True)
    buyer_id: int = Field(ge=1, le=(1 << 53) - 1)
    lines: list[Line] = Field(min_length=1, max_length=100)


def make_app(store: Store, ids: OrderIds) -> FastAPI:
    """The application: one operation."""
    app = FastAPI()
    catalogue = Catalogue(1_000_000)

    @app.post("/orders", status_code=201)
    async def create(
        wanted: OrderRequest,
        idempotency_key: Annotated[str | None, Header()] = None,
        x_load_test: Annotated[str, Header()] = "",
    ) -> dict[str, str | int]:
        lines = [(catalogue.number(line.sku) or 1, line.quantity) for line in wanted.lines]
        order, quantities = draft_order(ids.next(), wanted.buyer_id, lines)
        receipt = await store.write(Purchase(x_load_test, idempotency_key, (order,), quantities))
        stored = receipt.orders[0]
        return {
            "order_id": order_name(stored.order_id),
            "status": "created",
            "buyer_id": stored.buyer_id,
            "total_cents": stored.total_cents,
            "created_at_ms": created_at_ms(stored.order_id),
        }

    return app


async def serve(dsn: str) -> None:
    """Serve on a free port until SIGTERM."""
    metrics = WorkerMetrics(SharedMetrics.create(1).blocks[0])
    store = make_store(StoreSettings(dsn, 1_000_000, 2.0, shared=False), metrics)
    ids = OrderIds(await store.open())
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    sys.stdout.write(f"ready http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(make_app(store, ids), log_level="error", access_log=False)
    await uvicorn.Server(config).serve(sockets=[listener])
    await store.close()


if __name__ == "__main__":
    sys.setswitchinterval(0.0005)
    uvloop.run(serve(sys.argv[1]))
