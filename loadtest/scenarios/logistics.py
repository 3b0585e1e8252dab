"""Parcels after the orders: one arrival is one parcel and its whole chain of events.

A domestic parcel has twelve events (A, docs/traffic.md "Logistics"): it is accepted when it is sent, then packed,
handed over, passed through stations, delivered and signed for. The events of one parcel follow each other; the
arrival as a whole has an entry of its own, `arrival Parcel`. Where parcels go follows the order shares by region (A);
their events are measured by that region.
"""

from locust import task

from loadtest.drive.run_context import run_context
from loadtest.drive.serving import open_loop
from loadtest.drive.user import FastHttpUser
from loadtest.records import in_region

STATIONS = (
    "station_in",
    "station_out",
    "station_in",
    "station_out",
    "station_in",
    "station_out",
    "station_in",
)
EVENTS = ("packed", "handed_over", *STATIONS, "delivering", "signed")
"""What follows `accepted`, which the service notes itself: twelve in all."""

ORIGIN = "hangzhou"
DESTINATIONS = ("shanghai", "shenzhen", "beijing", "chengdu", "singapore")
WEIGHTS = (45, 25, 18, 10, 2)
"""A: East China, South, North, West, overseas, in per cent of the orders; a city stands for its region."""

EVENTS_OF = {place: in_region("/parcels/[id]/events", place) for place in DESTINATIONS}
"""What a parcel's events are measured as, by the region that reports them."""


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
        for number, kind in enumerate(EVENTS):
            event = {"event_id": str(number), "kind": kind, "region": destination}
            if not self.client.post(path, json=event, name=EVENTS_OF[destination]).ok:
                return
