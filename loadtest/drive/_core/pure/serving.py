"""What becomes of every arrival in the hands of a user, in Python: the twin of `serving.pxi`."""

from collections.abc import Callable
from typing import Any

from loadtest.records import EMPTY, Arrival


class UserState:
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


class ServingCore:
    """How users take arrivals and finish them."""

    def __init__(self, loop: Any, now_ns: Callable[[], int]) -> None:
        self.loop = loop
        self._now_ns = now_ns
        self._sink: Callable[[Any], None] | None = None
        self._first_asked: dict[int, tuple[str, str]] = {}
        """(method, name) of what the arrivals of each scenario ask first."""

    def _finish_other(self, state: UserState, arrival: Arrival) -> None:
        raise NotImplementedError

    def take(self, state: UserState) -> None:
        """Wait for the next arrival; the user serves it from now on."""
        arrival = self.loop.take(state.scenario)
        state.arrival, state.requests, state.outcome = arrival, 0, EMPTY
        state.started_ns = self._now_ns()
        client = state.client
        if client is not None:
            client.intended_ns = arrival.intended_ns
            if client.user_state is None and state.scenario in self._first_asked:
                client.user_state = state

    def finish(self, state: UserState) -> None:
        """Count the user's arrival, and a journey of several requests as an entry of its own."""
        arrival = state.arrival
        if arrival is None:
            return
        state.arrival = None
        if state.requests != 1:
            self._finish_other(state, arrival)
        if state.client is not None:
            state.client.intended_ns = (
                None  # what is sent before the next arrival is not timed from this one's
            )
        self.loop.finish(arrival, state.outcome, state.started_ns)
