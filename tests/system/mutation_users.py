"""User classes whose runs are bad, each in a way of its own, and some whose runs are good."""

import random

from locust import tag, task

from loadtest import FastHttpUser, open_loop


class Arrives(FastHttpUser):
    """Serves arrivals; Locust hands tasks down to subclasses, so it has none."""

    abstract = True
    wait_time = open_loop()
    network_timeout = 10.0


class Asks(Arrives):
    """Asks one path of the target, its class's."""

    abstract = True
    path = "/ok"

    @tag("asks")
    @task
    def ask(self) -> None:
        """One request."""
        self.client.post(self.path, data=b"x", name=self.path)


class Fine(Asks):
    """Gets what it asks for."""


class GetsErrors(Asks):
    """Is told that the server is broken."""

    path = "/status/500"


class IsRefusedFast(Asks):
    """Is refused in no time."""

    path = "/status/503"


class IsNeverAnswered(Asks):
    """Waits in vain."""

    path = "/hang"


class IsAnsweredAtFirst(Asks):
    """Waits in vain from the tenth order on."""

    path = "/hang-after/tail/10"


class GetsHalf(Asks):
    """Gets the beginning of a body."""

    path = "/half"


class IsReset(Asks):
    """Has its connections reset."""

    path = "/reset"


class WaitsLong(Asks):
    """Keeps its user busy."""

    path = "/slow/900"


class AlwaysRaises(Arrives):
    """Has a fault in its script."""

    @task
    def ask(self) -> None:
        """Looks for what is not there."""
        baskets: dict[str, int] = {}
        self.client.post("/ok", data=str(baskets["basket"]))


class SometimesRaises(Arrives):
    """Has a fault in its script that shows after a request, now and then."""

    @task
    def ask(self) -> None:
        """One request, then a fault in every fourth."""
        self.client.get("/ok")
        if random.random() < 0.25:
            raise ValueError("no such basket")


class DoesNothing(Arrives):
    """Has a task that sends nothing."""

    @task
    def ask(self) -> None:
        """Nothing."""


class CannotStart(Asks):
    """Has no account to start with."""

    def on_start(self) -> None:
        """Fails."""
        raise IndexError("no account left")


class Journeys(Arrives):
    """Makes two requests an arrival."""

    @task
    def ask(self) -> None:
        """Two requests."""
        self.client.get("/ok")
        self.client.get("/slow/5")
