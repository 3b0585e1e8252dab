"""Our side: one order an arrival, each with a key of its own, as orders.lua sends them."""

from itertools import count

from locust import task

from loadtest import FastHttpUser, open_loop

_numbers = count(1)


class Buyer(FastHttpUser):
    """Buys one piece."""

    wait_time = open_loop()

    @task
    def buy(self) -> None:
        """One order."""
        n = next(_numbers)
        self.client.post(
            "/orders",
            json={"buyer_id": 123, "lines": [{"sku": f"sku-{1 + n % 1000:06d}", "quantity": 1}]},
            headers={"Idempotency-Key": f"buyer-{n}"},
        )
