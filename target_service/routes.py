"""Every operation of the API in one table, and the routes made from it."""

from typing import Any

import msgspec
from aiohttp import web

from target_service import problem
from target_service.api import assistant
from target_service.api.frame import framed
from target_service.api.health import HealthHandlers
from target_service.api.operation import Handler, Operation, Service
from target_service.api.orders import OrderHandlers
from target_service.api.parcels import ParcelHandlers
from target_service.api.products import ProductHandlers
from target_service.openapi import document
from target_service.problem import ProblemError
from target_service.schema import (
    AssistantRequest,
    CheckoutCreated,
    Health,
    Inventory,
    OrderCreated,
    OrderRequest,
    OrderView,
    ParcelRequest,
    ParcelView,
    PaymentRequest,
    Product,
    RestockRequest,
    ScanRequest,
    Token,
)

_PURCHASE = (problem.SOLD_OUT, problem.KEY_IN_FLIGHT, problem.KEY_REUSED)


def operations(service: Service) -> list[Operation]:
    """The API."""
    orders = OrderHandlers(service)
    products = ProductHandlers(service)
    parcels = ParcelHandlers(service)
    health = HealthHandlers(service)

    return [
        Operation(
            "POST",
            "/orders",
            "createOrder",
            "create_order",
            "Create an order",
            orders.create,
            OrderCreated,
            status=201,
            body=OrderRequest,
            problems=_PURCHASE,
            keyed=True,
            sheds=True,
        ),
        Operation(
            "POST",
            "/checkouts",
            "createCheckout",
            "create_checkout",
            "Check a basket out: one order for each seller",
            orders.check_out,
            CheckoutCreated,
            status=201,
            body=OrderRequest,
            problems=_PURCHASE,
            keyed=True,
            sheds=True,
        ),
        Operation(
            "GET",
            "/orders/{order_id}",
            "getOrder",
            "get_order",
            "Look at an order",
            orders.show,
            OrderView,
        ),
        Operation(
            "POST",
            "/orders/{order_id}/payment",
            "payOrder",
            "pay_order",
            "Pay for an order",
            orders.pay,
            OrderView,
            body=PaymentRequest,
            problems=(problem.CONFLICT,),
            sheds=True,
        ),
        Operation(
            "GET",
            "/products/{sku}",
            "getProduct",
            "get_product",
            "Look at a product",
            products.show,
            Product,
        ),
        Operation(
            "GET",
            "/inventory/{sku}",
            "getInventory",
            "inventory",
            "Count a product's units",
            products.inventory,
            Inventory,
        ),
        Operation(
            "POST",
            "/inventory/{sku}/restocks",
            "restock",
            "inventory",
            "Add units of a product (operators)",
            products.restock,
            Inventory,
            body=RestockRequest,
            problems=(problem.UNAUTHORIZED,),
        ),
        Operation(
            "POST",
            "/parcels",
            "createParcel",
            "parcels",
            "Send a parcel",
            parcels.create,
            ParcelView,
            status=201,
            body=ParcelRequest,
            problems=(problem.CONFLICT,),
            sheds=True,
        ),
        Operation(
            "POST",
            "/parcels/{parcel_id}/events",
            "addParcelEvent",
            "parcels",
            "Note what happened to a parcel",
            parcels.scan,
            ParcelView,
            body=ScanRequest,
            problems=(problem.CONFLICT,),
            sheds=True,
        ),
        Operation(
            "GET",
            "/parcels/{parcel_id}",
            "getParcel",
            "parcels",
            "Look where a parcel is",
            parcels.show,
            ParcelView,
        ),
        Operation(
            "POST",
            "/assistant/messages",
            "askAssistant",
            "assistant",
            "Ask the shop's assistant; the answer is a stream of events",
            assistant.answer,
            Token,
            body=AssistantRequest,
            media_type="text/event-stream",
        ),
        Operation("GET", "/healthz", "getHealth", "other", "Is the process alive", health.alive, Health),
        Operation("GET", "/readyz", "getReadiness", "other", "Can it serve", health.ready, Health),
    ]


def add_routes(app: web.Application, service: Service) -> None:
    """Add every operation to the application, the document that describes them, and answers for the rest."""
    table = operations(service)
    table.append(_description(table))
    for operation in table:
        app.router.add_route(operation.method, operation.path, framed(service, operation))
    for path in dict.fromkeys(operation.path for operation in table):
        app.router.add_route("*", path, framed(service, _refusal(path, _method_not_allowed)))
    app.router.add_route("*", "/{path:.*}", framed(service, _refusal("/{path:.*}", _not_found)))


def _description(table: list[Operation]) -> Operation:
    body = msgspec.json.encode(document(table))

    async def describe(_request: web.Request, _run_id: str) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    return Operation(
        "GET", "/openapi.json", "getOpenapi", "other", "This description", describe, dict[str, Any]
    )


def _refusal(path: str, handler: Handler) -> Operation:
    return Operation("*", path, "refuse", "other", "Refuse", handler, None)


async def _method_not_allowed(request: web.Request, _run_id: str) -> web.Response:
    raise ProblemError(problem.METHOD_NOT_ALLOWED, f"{request.method} is not allowed on {request.path}")


async def _not_found(request: web.Request, _run_id: str) -> web.Response:
    raise ProblemError(problem.NOT_FOUND, f"there is no {request.path}")
