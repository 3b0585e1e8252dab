"""Redis or Valkey, with redis-py, in an ordinary Locust user."""

from random import randrange

import redis
from locust import User, task

from loadtest import open_loop


class Basket(User):
    """A client with a connection of its own."""

    wait_time = open_loop()

    def on_start(self) -> None:
        """Connect, before the first arrival."""
        self.store = redis.Redis.from_url(str(self.host), socket_timeout=10)
        self.store.ping()

    def on_stop(self) -> None:
        """Disconnect."""
        self.store.close()

    @task
    def put(self) -> None:
        """Put a piece into a basket, then look at all of it: two requests, the first timed from the intent."""
        basket = f"basket:{randrange(1000)}"
        with self.environment.events.request.measure("REDIS", "HINCRBY"):
            self.store.hincrby(basket, "sku-000001", 1)
        with self.environment.events.request.measure("REDIS", "HGETALL") as told:
            told["response_length"] = len(str(self.store.hgetall(basket)))
