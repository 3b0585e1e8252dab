"""Server-sent events: the first one and the pauses between them are endpoints of their own, with objectives."""

from locust import task

from loadtest import FastHttpUser, open_loop

LAST = "done"


class Watcher(FastHttpUser):
    """Somebody who follows an order."""

    wait_time = open_loop()

    @task
    def follow(self) -> None:
        """Read the stream to its end. Raises, so that the arrival fails, if that came too soon."""
        states = [event.data for event in self.client.events("/orders/1/events", name="/orders/[id]/events")]
        if states[-1:] != [LAST]:
            raise ValueError(f"expected the state {LAST} last, got {states}")
