"""Our side of the comparison: one request an arrival."""

from locust import task

from loadtest import FastHttpUser, open_loop


class Caller(FastHttpUser):
    """Asks for one page."""

    wait_time = open_loop()

    @task
    def call(self) -> None:
        """One request."""
        self.client.get("/")
