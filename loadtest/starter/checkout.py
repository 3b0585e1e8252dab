"""What customers do: ordinary Locust users. `wait_time = open_loop()` makes them serve the arrivals of a plan.

Change the requests into those of your service; what a request is called (`name`) is what objectives look at.
"""

import random

from locust import task

from loadtest import FastHttpUser, open_loop


class Browse(FastHttpUser):
    """Looks at a product; one arrival is one page."""

    wait_time = open_loop()

    @task
    def look(self) -> None:
        """Read one product page."""
        # The path holds data, so the request gets a name; else each product would be an endpoint of its own.
        self.client.get(f"/products/{a_product()}", name="/products/[sku]")


class Checkout(FastHttpUser):
    """Orders a product; one arrival is one order, which is one transaction."""

    wait_time = open_loop()

    @task
    def order(self) -> None:
        """Order one product and look at the order."""
        body = {"buyer_id": random.randint(1, 1_000_000), "lines": [{"sku": a_product(), "quantity": 1}]}
        answer = self.client.post("/orders", json=body)
        if answer.status_code == 201:  # any status from 400 on has counted as a failure already
            self.client.get(f"/orders/{answer.json()['order_id']}", name="/orders/[id]")


def a_product() -> str:
    """A product that somebody wants: a few of them are wanted most of the time."""
    return f"sku-{min(int(random.paretovariate(1.0)), 100_000):06d}"
