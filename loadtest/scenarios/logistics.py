"""Parcels after the orders: one arrival is one parcel and its whole chain of events.

A domestic parcel has twelve events, a cross-border one twenty (A, docs/traffic.md "Logistics"): it is accepted when
it is sent, then packed, handed over, passed through stations, delivered and signed for. A few meet with an error on
their way, fail to be delivered at first, or go back. The events of one parcel follow each other; the arrival as a
whole has an entry of its own, `arrival Parcel`. Where parcels go follows the order shares by region (A); their events
are measured by that region.
"""

from random import Random

from locust import task

from loadtest.drive.run_context import run_context
from loadtest.drive.serving import open_loop
from loadtest.drive.user import FastHttpUser
from loadtest.records import in_region

STATION = ("station_in", "station_out")
BEGIN = ("packed", "handed_over")
EVENTS = (*BEGIN, *STATION * 3, "station_in", "delivering", "signed")
"""What follows `accepted`, which the service notes itself: twelve in all."""
CROSS_BORDER_EVENTS = (*BEGIN, *STATION * 7, "station_in", "delivering", "signed")
"""The same across a border: twenty."""
FAILED_AT_FIRST, SENT_BACK, MISROUTED = 0.02, 0.005, 0.005
"""A: shares of the parcels that nobody was at home for, that went back, and that met with an error on the way."""
CROSS_BORDER = ("singapore",)

ORIGIN = "hangzhou"
DESTINATIONS = ("shanghai", "shenzhen", "beijing", "chengdu", "singapore")
WEIGHTS = (45, 25, 18, 10, 2)
"""A: East China, South, North, West, overseas, in per cent of the orders; a city stands for its region."""

EVENTS_OF = {place: in_region("/parcels/[id]/events", place) for place in DESTINATIONS}
"""What a parcel's events are measured as, by the region that reports them."""


def chain_to(destination: str, random: Random) -> tuple[str, ...]:
    """What happens to a parcel after it was accepted: its chain, for a few with an exception in it."""
    chain = CROSS_BORDER_EVENTS if destination in CROSS_BORDER else EVENTS
    fate = random.random()
    if fate < FAILED_AT_FIRST:
        return (*chain[:-1], "failed", *chain[-2:])
    fate -= FAILED_AT_FIRST
    if fate < SENT_BACK:
        return (*chain[:-1], "failed", "returned")
    if fate < SENT_BACK + MISROUTED:
        return (*chain[:3], "error", *chain[2:])
    return chain


class Parcel(FastHttpUser):
    """Sends a parcel and reports everything that happens to it."""

    host = "http://127.0.0.1:8080"
    wait_time = open_loop()

    def on_start(self) -> None:
        """Take the random numbers of this worker's parcels."""
        self.random = run_context(self.environment).random("parcel")

    @task
    def ship(self) -> None:
        """One parcel from the warehouse to the door; it stops where the service refuses a step."""
        (destination,) = self.random.choices(DESTINATIONS, WEIGHTS)
        sent = self.client.post("/parcels", json={"origin": ORIGIN, "destination": destination})
        if sent.status_code != 201:
            return
        path = f"/parcels/{sent.json()['parcel_id']}/events"
        for number, kind in enumerate(chain_to(destination, self.random)):
            event = {"event_id": str(number), "kind": kind, "region": destination}
            if not self.client.post(path, json=event, name=EVENTS_OF[destination]).ok:
                return
