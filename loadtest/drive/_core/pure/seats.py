"""Users at work and the arrivals in their hands, in Python: the twin of `seats.pxi`."""

from collections.abc import Callable
from typing import Any

from loadtest.records import EMPTY, Arrival


class Seat:
    """One user at work: which arrival it serves and how that has gone so far."""

    __slots__ = (
        "arrival",
        "client",
        "greenlet",
        "has_http_client",
        "name",
        "outcome",
        "requests",
        "scenario",
        "started_ns",
        "unanswered",
    )

    def __init__(self, scenario: int, name: str, greenlet: Any = None) -> None:
        self.scenario = scenario
        self.name = name
        self.greenlet = greenlet
        """The user's own greenlet."""
        self.client: Any = None
        """The user's client, if it is one that takes an arrival's intent."""
        self.has_http_client = False
        """Whether the user has a client that tells of its requests with their responses."""
        self.arrival: Arrival | None = None
        self.started_ns = 0
        self.requests = 0
        self.outcome = EMPTY
        """How the arrival would end if it ended now."""
        self.unanswered = False
        """Whether the drain ended while a request of it was in flight."""


class Seats:
    """Arrivals in the hands of users: seats take them, and finish them."""

    def __init__(self, loop: Any, now_ns: Callable[[], int]) -> None:
        self.loop = loop
        self._now_ns = now_ns
        self._sink: Callable[[Any], None] | None = None
        self._first_asked: dict[int, tuple[str, str]] = {}
        """(method, name) of what the arrivals of each scenario ask first."""

    def _finish_other(self, seat: Seat, arrival: Arrival) -> None:
        raise NotImplementedError

    def take(self, seat: Seat) -> None:
        """Wait for the next arrival; the seat serves it from now on."""
        arrival = self.loop.take(seat.scenario)
        seat.arrival, seat.requests, seat.outcome = arrival, 0, EMPTY
        seat.started_ns = self._now_ns()
        client = seat.client
        if client is not None:
            client.intended_ns = arrival.intended_ns
            if client.seat is None and seat.scenario in self._first_asked:
                client.seat = seat

    def finish(self, seat: Seat) -> None:
        """Count the seat's arrival, and a journey of several requests as an entry of its own."""
        arrival = seat.arrival
        if arrival is None:
            return
        seat.arrival = None
        if seat.requests != 1:
            self._finish_other(seat, arrival)
        if seat.client is not None:
            seat.client.intended_ns = (
                None  # what is sent before the next arrival is not timed from this one's
            )
        self.loop.finish(arrival, seat.outcome, seat.started_ns)
