"""A scenario whose every request fails, so that panels about errors have something to show."""

from locust import task

from loadtest import FastHttpUser, open_loop


class MissingPage(FastHttpUser):
    """Asks for a page that nobody has."""

    wait_time = open_loop()

    @task
    def look(self) -> None:
        """One request, answered 404."""
        self.client.get("/missing", name="/missing")
