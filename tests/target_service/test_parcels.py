"""The chain of a parcel's events."""

from hypothesis import given
from hypothesis import strategies as st

from target_service.parcels import NEXT, Parcel, ParcelEvent, Scan, apply_scan
from target_service.problem import ProblemError

ACCEPTED = ParcelEvent("e", "accepted", "hangzhou", 0)
START = Parcel(1, "", 0, "tokyo", (ACCEPTED,))


def scanned(parcel: Parcel, *kinds: str) -> Parcel:
    for kind in kinds:
        event = ParcelEvent(f"e{len(parcel.events)}", kind, "tokyo", 0)
        parcel = apply_scan(Scan("", 1, event), parcel)
    return parcel


def test_the_domestic_chain_of_the_traffic_facts_is_allowed() -> None:
    chain = ("packed", "handed_over", "station_in", "station_out", "station_in", "delivering", "signed")
    assert scanned(START, *chain).status == "signed"


def test_a_parcel_that_could_not_be_delivered_is_tried_again_or_returned() -> None:
    until_door = scanned(START, "packed", "handed_over", "station_in", "delivering", "failed")
    assert scanned(until_door, "delivering", "signed").status == "signed"
    assert scanned(until_door, "returned").status == "returned"


@given(st.lists(st.sampled_from(sorted(NEXT)), max_size=30))
def test_every_parcel_only_ever_takes_allowed_steps(kinds: list[str]) -> None:
    parcel = START
    for kind in kinds:
        before = parcel
        try:
            parcel = scanned(parcel, kind)
        except ProblemError:
            assert kind not in NEXT[before.status]
            assert parcel is before
        else:
            assert kind in NEXT[before.status]


def test_from_every_event_an_end_can_be_reached() -> None:
    reached = {"signed", "returned"}
    while more := {kind for kind, after in NEXT.items() if after & reached} - reached:
        reached |= more
    assert reached == set(NEXT)
