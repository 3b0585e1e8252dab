"""Parcels: send one, note what happened to it, look where it is.

An answer shows the newest events, a page of them.
"""

import time

from target_service import problem
from target_service.api.operation import ApiRequest, Operation, Shop
from target_service.orders import order_name, order_number
from target_service.parcels import MOST_EVENTS, Parcel, ParcelChange, ParcelEvent, Scan
from target_service.problem import FieldError, ProblemError
from target_service.response import ApiResponse, json_response
from target_service.schema import EventView, ParcelRequest, ParcelView, ScanRequest
from target_service.tags import headers_of

PAGE = 20
"""Events in one answer."""
_REFUSALS = (problem.CONFLICT, problem.KEY_IN_FLIGHT, problem.KEY_REUSED)


def operations(shop: Shop) -> list[Operation]:
    """What can be done with parcels."""
    its = ParcelHandlers(shop)
    send = Operation(
        "POST", "/parcels", its.create_parcel, ParcelView, ParcelRequest, "parcels", 201, _REFUSALS
    )
    send = send._replace(keyed=True, sheds=True)
    path = "/parcels/{parcel_id}"
    scan = send._replace(path=path + "/events", handler=its.add_parcel_event, body=ScanRequest, status=200)
    return [send, scan, Operation("GET", path, its.get_parcel, ParcelView, route="parcels")]


class ParcelHandlers:
    """Answers what is asked of parcels."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def create_parcel(self, request: ApiRequest) -> ApiResponse:
        """Send a parcel."""
        wanted = request.wanted
        order_id = await self._order_id(request.run_id, wanted.order_id)
        accepted = ParcelEvent("accepted", "accepted", wanted.origin, _now_ms())
        number = order_id or self._shop.ids.next()
        parcel = Parcel(number, request.run_id, order_id, wanted.destination, (accepted,))
        asked = f"parcel {wanted.order_id} {wanted.origin} {wanted.destination}"
        receipt = await self._shop.store.write(ParcelChange(parcel, request.key, asked), request.deadline_ns)
        its = {"Location": f"/parcels/{order_name(receipt.parcel.parcel_id)}"}
        return json_response(_view(receipt.parcel), 201, its | headers_of(replayed=receipt.replayed))

    async def add_parcel_event(self, request: ApiRequest) -> ApiResponse:
        """Note what happened to a parcel."""
        wanted = request.wanted
        event = ParcelEvent(wanted.event_id, wanted.kind, wanted.region, _now_ms())
        scan = Scan(request.run_id, request.number_of("parcel"), event)
        asked = f"event {scan.parcel_id} {event.event_id} {event.kind} {event.region}"
        receipt = await self._shop.store.write(ParcelChange(scan, request.key, asked), request.deadline_ns)
        return json_response(_view(receipt.parcel), 200, headers_of(replayed=receipt.replayed))

    async def get_parcel(self, request: ApiRequest) -> ApiResponse:
        """Look where a parcel is; `?before=20` shows the events before the 21st."""
        before = request.query.get("before", str(MOST_EVENTS))
        if not (before.isascii() and before.isdigit() and len(before) <= 3):
            expected = f"before: expected 0 to {MOST_EVENTS}, got {before[:40]!r}"
            raise ProblemError(problem.BAD_REQUEST, expected)
        parcel = await self._shop.store.parcel(request.run_id, request.number_of("parcel"))
        if parcel is None:
            raise request.unknown("parcel")
        return json_response(_view(parcel, int(before)))

    async def _order_id(self, run_id: str, name: str | None) -> int:
        """The number of an order that exists; 0 if none is named."""
        if name is None:
            return 0
        number = order_number(name) or 0
        if await self._shop.store.order(run_id, number) is None:
            wrong = FieldError("/order_id", "no such order")
            raise ProblemError(problem.BAD_FIELD, f"there is no order {name}", wrong)
        return number


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _view(parcel: Parcel, before: int = MOST_EVENTS) -> ParcelView:
    earlier = max(0, min(before, len(parcel.events)) - PAGE)
    return ParcelView(
        parcel_id=order_name(parcel.parcel_id),
        status=parcel.status,
        destination=parcel.destination,
        order_id=order_name(parcel.order_id) if parcel.order_id else None,
        earlier_events=earlier,
        events=tuple(EventView(*event) for event in parcel.events[earlier:before]),
    )
