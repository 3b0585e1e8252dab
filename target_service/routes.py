"""Every operation of the API in one table, and the routes made from it."""

from typing import Any

import msgspec
from aiohttp import HttpVersion11, hdrs, web

from target_service import problem
from target_service.api import assistant, health, orders, parcels, products
from target_service.api.frame import Frame
from target_service.api.operation import ApiRequest, Handler, Operation, Service
from target_service.openapi import document
from target_service.problem import ProblemError
from target_service.response import ApiResponse


def operations(service: Service) -> list[Operation]:
    """The API."""
    areas = (orders, products, parcels, assistant, health)
    return [operation for area in areas for operation in area.operations(service)]


def add_routes(app: web.Application, service: Service) -> list[Frame]:
    """Add every operation to the application, the document that describes them, and answers for the rest."""
    table = operations(service)
    frames = [Frame(service, operation) for operation in (*table, _description(table))]
    paths = dict.fromkeys(frame.operation.path for frame in frames)
    refusals = [_refusal(path, _method_not_allowed) for path in paths]
    refusals.append(_refusal("/{path:.*}", _not_found))
    for frame in (*frames, *(Frame(service, refusal) for refusal in refusals)):
        operation = frame.operation
        app.router.add_route(operation.method, operation.path, frame.serve, expect_handler=_go_on)
    return frames


async def _go_on(request: web.Request) -> None:
    """Ask a client that waits for it to send the body. aiohttp's own handler fails on what is not UTF-8."""
    if request.headers[hdrs.EXPECT].lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="expected no Expect but 100-continue")
    if request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def _description(table: list[Operation]) -> Operation:
    described = ApiResponse(200, msgspec.json.encode(document(table)))

    async def describe(_request: ApiRequest) -> ApiResponse:
        return described

    return Operation(
        "GET", "/openapi.json", "getOpenapi", "other", "This description", describe, dict[str, Any]
    )


def _refusal(path: str, handler: Handler) -> Operation:
    return Operation("*", path, "refuse", "other", "Refuse", handler, None)


async def _method_not_allowed(request: ApiRequest) -> ApiResponse:
    asked = _parsed(request)
    raise ProblemError(problem.METHOD_NOT_ALLOWED, f"{asked.method} is not allowed on {asked.path}")


async def _not_found(request: ApiRequest) -> ApiResponse:
    raise ProblemError(problem.NOT_FOUND, f"there is no {_parsed(request).path}")


def _parsed(request: ApiRequest) -> web.Request:
    assert request.parsed is not None  # noqa: S101 - the fast path knows no such operation
    return request.parsed
