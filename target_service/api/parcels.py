"""Parcels: send one, note what happened to it, look where it is.

An answer shows the newest events, a page of them.
"""

import time

import msgspec
from aiohttp import web

from target_service import problem
from target_service.api.body import decode, json_response, read_json
from target_service.api.frame import deadline_ns_of
from target_service.api.operation import Operation, Service
from target_service.idempotency import HEADER as KEY_HEADER
from target_service.idempotency import parse_key
from target_service.orders import order_name, order_number
from target_service.parcels import (
    MOST_EVENTS,
    KeyedParcel,
    Parcel,
    ParcelEvent,
    Scan,
    UnknownParcelError,
)
from target_service.problem import FieldError, ProblemError
from target_service.schema import EventView, ParcelRequest, ParcelView, ScanRequest

PAGE = 20
"""Events in one answer."""

_parcels = msgspec.json.Decoder(ParcelRequest)
_scans = msgspec.json.Decoder(ScanRequest)


def operations(service: Service) -> list[Operation]:
    """What can be done with parcels."""
    parcels = ParcelHandlers(service)
    send = Operation(
        "POST",
        "/parcels",
        "createParcel",
        "parcels",
        "Send a parcel",
        parcels.create,
        ParcelView,
        status=201,
        body=ParcelRequest,
        problems=(problem.CONFLICT, problem.KEY_IN_FLIGHT, problem.KEY_REUSED),
        keyed=True,
        sheds=True,
    )
    scan = send._replace(
        path="/parcels/{parcel_id}/events",
        name="addParcelEvent",
        summary="Note what happened to a parcel",
        handler=parcels.scan,
        status=200,
        body=ScanRequest,
    )
    look = Operation(
        "GET",
        "/parcels/{parcel_id}",
        "getParcel",
        "parcels",
        "Look where a parcel is",
        parcels.show,
        ParcelView,
    )
    return [send, scan, look]


class ParcelHandlers:
    """Answers what is asked of parcels."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, request: web.Request, run_id: str) -> web.Response:
        """`POST /parcels`: 201 when the parcel is known to the network."""
        key = parse_key(request.headers.get(KEY_HEADER))
        deadline_ns = deadline_ns_of(request)
        wanted = decode(_parcels, await read_json(request))
        order_id = await self._order_id(run_id, wanted.order_id)
        accepted = ParcelEvent("accepted", "accepted", wanted.origin, _now_ms())
        parcel = Parcel(
            order_id or self._service.ids.next(), run_id, order_id, wanted.destination, (accepted,)
        )
        asked = f"parcel {wanted.order_id} {wanted.origin} {wanted.destination}"
        kept, headers = await self._write(parcel, key, asked, deadline_ns)
        headers["Location"] = f"/parcels/{order_name(kept.parcel_id)}"
        return json_response(_view(kept), 201, headers)

    async def scan(self, request: web.Request, run_id: str) -> web.Response:
        """`POST /parcels/{parcel_id}/events`."""
        key = parse_key(request.headers.get(KEY_HEADER))
        deadline_ns = deadline_ns_of(request)
        wanted = decode(_scans, await read_json(request))
        event = ParcelEvent(wanted.event_id, wanted.kind, wanted.region, _now_ms())
        scan = Scan(run_id, _number(request), event)
        asked = f"event {scan.parcel_id} {event.event_id} {event.kind} {event.region}"
        parcel, headers = await self._write(scan, key, asked, deadline_ns)
        return json_response(_view(parcel), 200, headers)

    async def _write(
        self, change: Parcel | Scan, key: str | None, asked: str, deadline_ns: int | None
    ) -> tuple[Parcel, dict[str, str]]:
        """Make a change, under its key if it has one; the parcel then, and headers that say if it was made before."""
        service = self._service
        with service.keys.hold(change.run_id, key), service.limit.place():
            if key is None:
                return await service.store.write(change, deadline_ns), {}
            receipt = await service.store.write(KeyedParcel(key, asked, change), deadline_ns)
        return receipt.parcel, {"Idempotent-Replayed": "true"} if receipt.replayed else {}

    async def show(self, request: web.Request, run_id: str) -> web.Response:
        """`GET /parcels/{parcel_id}`; `?before=20` shows the events before the 21st."""
        before = request.query.get("before", str(MOST_EVENTS))
        if not (before.isascii() and before.isdigit() and len(before) <= 3):
            raise ProblemError(
                problem.BAD_REQUEST, f"before: expected 0 to {MOST_EVENTS}, got {before[:40]!r}"
            )
        parcel = await self._service.store.parcel(run_id, _number(request))
        if parcel is None:
            raise UnknownParcelError(f"there is no parcel {request.match_info['parcel_id']}")
        return json_response(_view(parcel, int(before)))

    async def _order_id(self, run_id: str, name: str | None) -> int:
        """The number of an order that exists; 0 if none is named."""
        if name is None:
            return 0
        number = order_number(name) or 0
        if await self._service.store.order(run_id, number) is None:
            raise ProblemError(
                problem.BAD_FIELD, f"there is no order {name}", FieldError("/order_id", "no such order")
            )
        return number


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _number(request: web.Request) -> int:
    name = request.match_info["parcel_id"]
    number = order_number(name)
    if number is None:
        raise UnknownParcelError(f"there is no parcel {name}")
    return number


def _view(parcel: Parcel, before: int = MOST_EVENTS) -> ParcelView:
    earlier = max(0, min(before, len(parcel.events)) - PAGE)
    return ParcelView(
        order_name(parcel.parcel_id),
        parcel.status,
        parcel.destination,
        order_name(parcel.order_id) if parcel.order_id else None,
        earlier,
        tuple(EventView(*event) for event in parcel.events[earlier:before]),
    )
