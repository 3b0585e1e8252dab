"""GraphQL: one path, so each operation is named; errors in an answer of status 200 are failures."""

from random import randrange
from typing import Any

from locust import task

from loadtest import FastHttpUser, open_loop

PRODUCT = "query product($sku: String!) { product(sku: $sku) { sku cents } }"
ORDER = "mutation order($sku: String!) { order(sku: $sku) }"


class Reader(FastHttpUser):
    """A client of the shop."""

    wait_time = open_loop()

    def ask(self, name: str, query: str, **variables: Any) -> Any:
        """Send one operation; its data, or None if it failed."""
        body = {"operationName": name, "query": query, "variables": variables}
        with self.client.post("/graphql", json=body, name=name, catch_response=True) as answer:
            told: Any = answer.json() if answer.ok else {}
            if errors := told.get("errors"):
                answer.failure(f"GraphQL: {errors[0]['message']}")
            return told.get("data")

    @task(4)
    def product(self) -> None:
        """Read a product."""
        self.ask("product", PRODUCT, sku=f"sku-{randrange(1, 1000):06}")

    @task
    def order(self) -> None:
        """Order one."""
        self.ask("order", ORDER, sku=f"sku-{randrange(1, 1000):06}")
