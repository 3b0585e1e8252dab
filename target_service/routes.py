"""Every operation of the API in one table, and the routes made from it."""

from typing import Any

import msgspec
from aiohttp import HttpVersion11, hdrs, web

from target_service import problem
from target_service.api import assistant, health, orders, parcels, products
from target_service.api.frame import framed
from target_service.api.operation import Handler, Operation, Service
from target_service.openapi import document
from target_service.problem import ProblemError


def operations(service: Service) -> list[Operation]:
    """The API."""
    areas = (orders, products, parcels, assistant, health)
    return [operation for area in areas for operation in area.operations(service)]


def add_routes(app: web.Application, service: Service) -> None:
    """Add every operation to the application, the document that describes them, and answers for the rest."""
    table = operations(service)
    table.append(_description(table))
    for operation in table:
        _add(app, service, operation)
    for path in dict.fromkeys(operation.path for operation in table):
        _add(app, service, _refusal(path, _method_not_allowed))
    _add(app, service, _refusal("/{path:.*}", _not_found))


def _add(app: web.Application, service: Service, operation: Operation) -> None:
    handler = framed(service, operation)
    app.router.add_route(operation.method, operation.path, handler, expect_handler=_go_on)


async def _go_on(request: web.Request) -> None:
    """Tell who waits for it to send the body. aiohttp's own handler stumbles over what is not UTF-8."""
    if request.headers[hdrs.EXPECT].lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="expected no Expect but 100-continue")
    if request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


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
