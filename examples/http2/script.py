"""HTTP/2, with this package's `Http2User`, which is httpx and h2."""

from random import randrange

from locust import task

from loadtest import Http2User, open_loop


class Visitor(Http2User):
    """A visitor with a connection of its own; its requests are streams of it."""

    wait_time = open_loop()

    @task
    def look(self) -> None:
        """Read a page."""
        self.client.get(f"/pages/{randrange(1000)}", name="/pages/[number]")
