"""A shop over HTTP/1.1: a page is read, then an order is sent."""

from random import randrange

from locust import SequentialTaskSet, task

from loadtest import FastHttpUser, open_loop


class Shopper(FastHttpUser):
    """One arrival is one visit: both steps."""

    wait_time = open_loop()

    @task
    class Visit(SequentialTaskSet):
        """A page, then an order."""

        @task
        def look(self) -> None:
            """Read the page of a product."""
            self.sku = f"sku-{randrange(1, 1000):06}"
            self.client.get(f"/products/{self.sku}", name="/products/[sku]")

        @task
        def order(self) -> None:
            """Order what was looked at; an answer without an id is a failure, whatever its status."""
            order = {"buyer_id": 1, "lines": [{"sku": self.sku, "quantity": 1}]}
            with self.client.post("/orders", json=order, catch_response=True) as answer:
                if answer.ok and not answer.json().get("order_id"):
                    answer.failure("expected an order_id")
