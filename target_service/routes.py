"""What the service answers: one handler an operation, and the frame that all of them run in.

The frame (`endpoint`) finds the run, times the request, and turns what was raised into a problem response. It
is applied when the routes are added rather than as a middleware, which would cost each request another layer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter

import msgspec
from aiohttp import web

from target_service import problem
from target_service.idempotency import BadKeyError, KeyInFlightError, KeyReusedError, KeysInFlight, parse_key
from target_service.inventory import Catalogue, SoldOutError, UnknownSkuError, price_cents, sku_name
from target_service.metrics import WorkerMetrics
from target_service.orders import (
    Order,
    OrderIds,
    Purchase,
    created_at_ms,
    draft_order,
    order_name,
    order_number,
)
from target_service.problem import FieldError, ProblemError
from target_service.schema import (
    DuplicateKeyError,
    Health,
    OrderCreated,
    OrderLine,
    OrderRequest,
    OrderView,
    Product,
    field_of,
    has_plain_keys,
    refuse_duplicate_keys,
)
from target_service.shadow import HEADER, LIVE, BadRunIdError, run_id_of, traffic_of
from target_service.store.base import Store, StoreFullError, StoreUnavailableError

MAX_BODY_BYTES = 64 * 1024
BODY_DEADLINE_S = 10.0

Handler = Callable[[web.Request, str], Awaitable[web.Response]]
"""Answers a request of a run (the empty run id is live traffic)."""

_encode = msgspec.json.Encoder().encode
_order_decoder = msgspec.json.Decoder(OrderRequest)


class Service:
    """What the handlers share within one worker."""

    def __init__(self, store: Store, catalogue: Catalogue, ids: OrderIds, metrics: WorkerMetrics) -> None:
        self.store = store
        self.catalogue = catalogue
        self.ids = ids
        self.metrics = metrics
        self.keys = KeysInFlight()
        self.draining = False
        """Set when the process is about to stop: each connection is closed after its next answer."""


def add_routes(app: web.Application, service: Service) -> None:
    """Add every operation of the API to the application."""
    orders = OrderRoutes(service)
    products = ProductRoutes(service)
    health = HealthRoutes(service)
    operations: list[tuple[str, str, str, Handler]] = [
        ("POST", "/orders", "create_order", orders.create),
        ("GET", "/orders/{order_id}", "get_order", orders.show),
        ("GET", "/products/{sku}", "get_product", products.show),
        ("GET", "/healthz", "other", health.alive),
        ("GET", "/readyz", "other", health.ready),
    ]
    for method, path, name, handler in operations:
        app.router.add_route(method, path, endpoint(service, name, handler))
    for path in {operation[1] for operation in operations}:
        app.router.add_route("*", path, endpoint(service, "other", _method_not_allowed))
    app.router.add_route("*", "/{path:.*}", endpoint(service, "other", _not_found))


def endpoint(
    service: Service, name: str, handler: Handler
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Wrap a handler: run id in, timing, problems as responses, metrics."""
    metrics = service.metrics
    seconds = {traffic: metrics.request_seconds[name, traffic] for traffic in ("live", "shadow")}

    async def answer(request: web.Request) -> web.Response:
        started = perf_counter()
        metrics.in_flight.add(1)
        run_id = LIVE
        try:
            if HEADER in request.headers:
                run_id = run_id_of(request.headers)
            response = await handler(request, run_id)
        except Exception as error:
            refusal = _problem_of(error, request)
            metrics.rejected[refusal.kind.slug, traffic_of(run_id)].add()
            response = refusal.response()
        finally:
            metrics.in_flight.add(-1)
        seconds[traffic_of(run_id)].observe(perf_counter() - started)
        if service.draining:
            response.force_close()
        return response

    return answer


def _problem_of(error: Exception, request: web.Request) -> ProblemError:
    for kind, raised in _PROBLEM_KINDS:
        if isinstance(error, raised):
            return ProblemError(kind, str(error))
    if isinstance(error, ProblemError):
        return error
    request.app.logger.exception("%s %s failed", request.method, request.path, exc_info=error)
    return ProblemError(problem.INTERNAL, "this is a defect of the service; it was logged")


_PROBLEM_KINDS: tuple[tuple[problem.Kind, type[Exception]], ...] = (
    (problem.SOLD_OUT, SoldOutError),
    (problem.KEY_REUSED, KeyReusedError),
    (problem.KEY_IN_FLIGHT, KeyInFlightError),
    (problem.STORE_FULL, StoreFullError),
    (problem.UNAVAILABLE, StoreUnavailableError),
    (problem.BAD_REQUEST, BadKeyError),
    (problem.BAD_REQUEST, BadRunIdError),
)


async def _method_not_allowed(request: web.Request, _run_id: str) -> web.Response:
    raise ProblemError(problem.METHOD_NOT_ALLOWED, f"{request.method} is not allowed on {request.path}")


async def _not_found(request: web.Request, _run_id: str) -> web.Response:
    raise ProblemError(problem.NOT_FOUND, f"there is no {request.path}")


async def read_json(request: web.Request) -> bytes:
    """The body, checked for type, size and deadline. Raises ProblemError."""
    if request.content_type != "application/json" or (request.charset or "utf-8").lower() != "utf-8":
        raise ProblemError(problem.UNSUPPORTED_TYPE, "expected Content-Type: application/json in UTF-8")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise ProblemError(problem.UNSUPPORTED_TYPE, "expected no Content-Encoding")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise ProblemError(problem.TOO_LARGE, f"expected at most {MAX_BODY_BYTES} bytes", close=True)
    try:
        if request.content.is_eof():
            return await request.read()
        async with asyncio.timeout(BODY_DEADLINE_S):
            return await request.read()
    except TimeoutError:
        raise ProblemError(
            problem.BODY_TIMEOUT, f"not complete after {BODY_DEADLINE_S:g} s", close=True
        ) from None
    except web.HTTPRequestEntityTooLarge:
        raise ProblemError(
            problem.TOO_LARGE, f"expected at most {MAX_BODY_BYTES} bytes", close=True
        ) from None


def decode_order(body: bytes) -> OrderRequest:
    """Read an order from JSON, strictly. Raises ProblemError naming the field."""
    try:
        order = _order_decoder.decode(body)
        if not has_plain_keys(body, order):
            refuse_duplicate_keys(body)
    except msgspec.ValidationError as error:
        pointer, detail = field_of(error)
        raise ProblemError(problem.BAD_FIELD, str(error), FieldError(pointer, detail)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, DuplicateKeyError) as error:
        raise ProblemError(problem.BAD_JSON, str(error)) from None
    return order


def json_response(value: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON response."""
    return web.Response(body=_encode(value), status=status, content_type="application/json", headers=headers)


class OrderRoutes:
    """Orders: create one, look at one."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, request: web.Request, run_id: str) -> web.Response:
        """`POST /orders`: 201 when the order is on disk."""
        service = self._service
        key = parse_key(request.headers.get("Idempotency-Key"))
        wanted = decode_order(await read_json(request))
        purchase = self._purchase(run_id, key, wanted)
        with service.keys.hold(run_id, key):
            receipt = await service.store.place(purchase)
        counters = service.metrics.replayed if receipt.replayed else service.metrics.created
        counters[traffic_of(run_id)].add()
        return _created(receipt.orders[0], receipt.replayed)

    def _purchase(self, run_id: str, key: str | None, wanted: OrderRequest) -> Purchase:
        service = self._service
        lines = [(line.sku, line.quantity) for line in wanted.lines]
        try:
            order, quantities = draft_order(service.ids.next(), wanted.buyer_id, lines, service.catalogue)
        except UnknownSkuError as error:
            index = next(n for n, (sku, _) in enumerate(lines) if sku == error.sku)
            raise ProblemError(
                problem.BAD_FIELD, str(error), FieldError(f"/lines/{index}/sku", "not in the catalogue")
            ) from None
        return Purchase(run_id, key, (order,), quantities)

    async def show(self, request: web.Request, run_id: str) -> web.Response:
        """`GET /orders/{order_id}`."""
        name = request.match_info["order_id"]
        number = order_number(name)
        order = None if number is None else await self._service.store.order(run_id, number)
        if order is None:
            raise ProblemError(problem.NOT_FOUND, f"there is no order {name}")
        return json_response(_view(order))


def _created(order: Order, replayed: bool) -> web.Response:
    name = order_name(order.order_id)
    body = OrderCreated(name, "created", order.buyer_id, order.total_cents, created_at_ms(order.order_id))
    headers = {"Location": f"/orders/{name}"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return json_response(body, 201, headers)


def _view(order: Order) -> OrderView:
    lines = msgspec.json.decode(order.lines, type=tuple[tuple[int, int, int], ...])
    return OrderView(
        order_name(order.order_id),
        order.status,
        order.buyer_id,
        order.total_cents,
        created_at_ms(order.order_id),
        tuple(OrderLine(sku_name(sku_no), units, each_cents) for sku_no, units, each_cents in lines),
    )


class ProductRoutes:
    """Products: price and what is left."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def show(self, request: web.Request, run_id: str) -> web.Response:
        """`GET /products/{sku}`."""
        sku = request.match_info["sku"]
        sku_no = self._number(sku)
        available = await self._service.store.available(run_id, sku_no)
        return json_response(Product(sku, price_cents(sku_no), available))

    def _number(self, sku: str) -> int:
        try:
            return self._service.catalogue.parse(sku)
        except UnknownSkuError as error:
            raise ProblemError(problem.NOT_FOUND, str(error)) from None


class HealthRoutes:
    """What an orchestrator asks."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def alive(self, _request: web.Request, _run_id: str) -> web.Response:
        """`GET /healthz`: the process runs."""
        return json_response(Health("alive"))

    async def ready(self, _request: web.Request, _run_id: str) -> web.Response:
        """`GET /readyz`: the store answers and the process is not about to stop."""
        if self._service.draining:
            raise ProblemError(problem.UNAVAILABLE, "the service is stopping")
        await self._service.store.ping()
        return json_response(Health("ready"))
