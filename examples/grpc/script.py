"""gRPC, with grpcio. Its C core blocks the whole process unless `init_gevent` is called before the first channel."""

from typing import Any

import grpc
import grpc.experimental.gevent
from locust import User, task

grpc.experimental.gevent.init_gevent()
messages, services = grpc.protos_and_services("orders.proto")  # or what protoc made


class Buyer(User):
    """A client with a channel of its own."""

    def on_start(self) -> None:
        """Open the channel and wait until it stands, so that no arrival pays for it."""
        self.channel = grpc.insecure_channel(str(self.host), [("grpc.use_local_subchannel_pool", 1)])
        grpc.channel_ready_future(self.channel).result(timeout=10)
        self.orders = services.OrdersStub(self.channel)

    def on_stop(self) -> None:
        """Close it."""
        self.channel.close()

    @task(3)
    def create(self) -> None:
        """Create an order. A status other than OK is raised by grpcio, and so a failure."""
        with self.environment.events.request.measure("gRPC", "/shop.Orders/Create") as told:
            created: Any = self.orders.Create(messages.Order(sku="sku-000001", quantity=1), timeout=10)
            told["response_length"] = created.ByteSize()

    @task
    def watch(self) -> None:
        """Follow an order: a stream is one request, to its last message."""
        with self.environment.events.request.measure("gRPC", "/shop.Orders/Watch") as told:
            states = list(self.orders.Watch(messages.Created(order_id="1"), timeout=10))
            told["response_length"] = sum(state.ByteSize() for state in states)
