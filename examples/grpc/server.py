"""The order service of `orders.proto`.

Started by `python examples/grpc/server.py PORT`.
"""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

sys.path.append(str(Path(__file__).parent))  # where `orders.proto` is looked for
messages, services = grpc.protos_and_services("orders.proto")


class Orders(services.OrdersServicer):  # type: ignore[misc,name-defined]  # generated as it is imported
    """Creates orders and tells how they go on."""

    def Create(self, order: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Create one; a quantity below one is refused."""
        if order.quantity < 1:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "quantity: expected at least 1")
        return messages.Created(order_id="1")

    def Watch(self, _: Any, context: Any) -> Iterator[Any]:  # noqa: N802 - the protocol's name
        """Tell three states."""
        del context
        yield from (messages.State(name=name) for name in ("created", "paid", "sent"))


if __name__ == "__main__":
    server = grpc.server(ThreadPoolExecutor(4))
    services.add_OrdersServicer_to_server(Orders(), server)
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()
