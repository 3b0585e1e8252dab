"""What a visitor of the sample order service looks at; put your own in its place."""

from locust import task

from loadtest import FastHttpUser, open_loop


class Checkout(FastHttpUser):
    """Looks at a product."""

    wait_time = open_loop()

    @task
    def look(self) -> None:
        """One request."""
        self.client.get("/products/sku-000001", name="/products/[sku]")
