"""Orders: create one, check a basket out, look at one, pay for one."""

from collections.abc import Iterable, Sequence

import msgspec
from aiohttp import web

from target_service import problem
from target_service.api.body import decode, json_response, read_json
from target_service.api.frame import deadline_ns_of
from target_service.api.operation import Operation, Service
from target_service.idempotency import HEADER as KEY_HEADER
from target_service.idempotency import parse_key
from target_service.inventory import UnknownSkuError, seller_of, sku_name
from target_service.orders import (
    Order,
    Purchase,
    Receipt,
    created_at_ms,
    draft_order,
    order_name,
    order_number,
)
from target_service.payments import CREATED, Payment, UnknownOrderError
from target_service.problem import FieldError, ProblemError
from target_service.schema import (
    CheckoutCreated,
    Line,
    OrderCreated,
    OrderLine,
    OrderRequest,
    OrderView,
    PaymentRequest,
)
from target_service.shadow import traffic_of

_orders = msgspec.json.Decoder(OrderRequest)
_payments = msgspec.json.Decoder(PaymentRequest)
_lines_of = msgspec.json.Decoder(tuple[tuple[int, int, int], ...]).decode


_PURCHASE = (problem.SOLD_OUT, problem.KEY_IN_FLIGHT, problem.KEY_REUSED)


def operations(service: Service) -> list[Operation]:
    """What can be done with orders."""
    orders = OrderHandlers(service)
    purchase = Operation(
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
    )
    checkout = purchase._replace(
        path="/checkouts",
        name="createCheckout",
        route="create_checkout",
        summary="Check a basket out: one order for each seller",
        handler=orders.check_out,
        answer=CheckoutCreated,
    )
    look = Operation(
        "GET", "/orders/{order_id}", "getOrder", "get_order", "Look at an order", orders.show, OrderView
    )
    payment = Operation(
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
    )
    return [purchase, checkout, look, payment]


class OrderHandlers:
    """Answers what is asked of orders."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, request: web.Request, run_id: str) -> web.Response:
        """`POST /orders`: 201 when the order is durable."""
        key = parse_key(request.headers.get(KEY_HEADER))
        deadline_ns = deadline_ns_of(request)
        wanted = decode(_orders, await read_json(request))
        receipt = await self._place(self._purchase(run_id, key, wanted, [wanted.lines], 0), deadline_ns)
        created = _created(receipt.orders[0])
        headers = {"Location": f"/orders/{created.order_id}"}
        return json_response(created, 201, _marked(headers, receipt))

    async def check_out(self, request: web.Request, run_id: str) -> web.Response:
        """`POST /checkouts`: one order for each seller, all of them or none."""
        key = parse_key(request.headers.get(KEY_HEADER))
        deadline_ns = deadline_ns_of(request)
        wanted = decode(_orders, await read_json(request))
        baskets = self._by_seller(wanted.lines)
        receipt = await self._place(self._purchase(run_id, key, wanted, baskets, 1), deadline_ns)
        orders = tuple(_created(order) for order in receipt.orders)
        body = CheckoutCreated(orders, sum(order.total_cents for order in orders))
        return json_response(body, 201, _marked({}, receipt))

    async def show(self, request: web.Request, run_id: str) -> web.Response:
        """`GET /orders/{order_id}`."""
        order = await self._service.store.order(run_id, _number(request))
        if order is None:
            raise UnknownOrderError(f"there is no order {request.match_info['order_id']}")
        return json_response(_view(order))

    async def pay(self, request: web.Request, run_id: str) -> web.Response:
        """`POST /orders/{order_id}/payment`: 200 when it is known to be paid."""
        deadline_ns = deadline_ns_of(request)
        money = decode(_payments, await read_json(request))
        payment = Payment(run_id, _number(request), money.amount_cents)
        with self._service.limit.place():
            order = await self._service.store.write(payment, deadline_ns)
        return json_response(_view(order))

    async def _place(self, purchase: Purchase, deadline_ns: int | None) -> Receipt:
        service = self._service
        with service.keys.hold(purchase.run_id, purchase.key), service.limit.place():
            receipt = await service.store.write(purchase, deadline_ns)
        counters = service.metrics.replayed if receipt.replayed else service.metrics.created
        counters[traffic_of(purchase.run_id)].add(len(receipt.orders))
        return receipt

    def _purchase(
        self,
        run_id: str,
        key: str | None,
        wanted: OrderRequest,
        baskets: Sequence[Iterable[Line]],
        first_part: int,
    ) -> Purchase:
        service = self._service
        orders: list[Order] = []
        quantities: dict[int, int] = {}
        numbers = service.ids.several(len(baskets))
        for part, (order_id, basket) in enumerate(zip(numbers, baskets, strict=True), first_part):
            order, units = draft_order(
                order_id,
                wanted.buyer_id,
                [(self._sku_no(line.sku, wanted), line.quantity) for line in basket],
                part,
                wanted.region or "",
            )
            orders.append(order)
            for sku_no, quantity in units.items():
                quantities[sku_no] = quantities.get(sku_no, 0) + quantity
        return Purchase(run_id, key, tuple(orders), quantities)

    def _by_seller(self, lines: Iterable[Line]) -> list[list[Line]]:
        sellers: dict[int, list[Line]] = {}
        for line in lines:
            sellers.setdefault(seller_of(int(line.sku[4:])), []).append(line)
        return list(sellers.values())

    def _sku_no(self, sku: str, wanted: OrderRequest) -> int:
        try:
            return self._service.catalogue.number(sku)
        except UnknownSkuError as error:
            index = next(n for n, line in enumerate(wanted.lines) if line.sku == sku)
            raise ProblemError(
                problem.BAD_FIELD, str(error), FieldError(f"/lines/{index}/sku", "not in the catalogue")
            ) from None


def _number(request: web.Request) -> int:
    name = request.match_info["order_id"]
    number = order_number(name)
    if number is None:
        raise UnknownOrderError(f"there is no order {name}")
    return number


def _marked(headers: dict[str, str], receipt: Receipt) -> dict[str, str]:
    if receipt.replayed:
        headers["Idempotent-Replayed"] = "true"
    return headers


def _created(order: Order) -> OrderCreated:
    """The answer to a new order, made of what never changes, so that a replay is the same to the byte."""
    return OrderCreated(
        order_name(order.order_id), CREATED, order.buyer_id, order.total_cents, created_at_ms(order.order_id)
    )


def _view(order: Order) -> OrderView:
    return OrderView(
        order_name(order.order_id),
        order.status,
        order.buyer_id,
        order.total_cents,
        created_at_ms(order.order_id),
        tuple(
            OrderLine(sku_name(sku_no), units, each_cents)
            for sku_no, units, each_cents in _lines_of(order.lines)
        ),
        order.region,
    )
