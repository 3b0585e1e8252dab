"""Orders: create one, check a basket out, look at one, pay for one."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from target_service import problem
from target_service.api.operation import ApiRequest, Operation, Service
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
from target_service.response import ApiResponse, json_response
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

    async def create(self, request: ApiRequest) -> ApiResponse:
        """`POST /orders`: 201 when the order is durable."""
        order, units = self._draft(self._service.ids.next(), request.wanted, request.wanted.lines)
        receipt = await self._buy(request, (order,), units)
        created = _created(receipt.orders[0])
        return json_response(created, 201, _headers(receipt, {"Location": f"/orders/{created.order_id}"}))

    async def check_out(self, request: ApiRequest) -> ApiResponse:
        """`POST /checkouts`: one order for each seller, all of them or none."""
        baskets = self._by_seller(request.wanted.lines)
        numbers = self._service.ids.several(len(baskets))
        orders: list[Order] = []
        quantities: Counter[int] = Counter()
        for part, (number, basket) in enumerate(zip(numbers, baskets, strict=True), 1):
            order, units = self._draft(number, request.wanted, basket, part)
            orders.append(order)
            quantities.update(units)
        receipt = await self._buy(request, tuple(orders), quantities)
        created = tuple(map(_created, receipt.orders))
        body = CheckoutCreated(created, sum(order.total_cents for order in created))
        return json_response(body, 201, _headers(receipt, {}))

    async def show(self, request: ApiRequest) -> ApiResponse:
        """`GET /orders/{order_id}`."""
        order = await self._service.store.order(request.run_id, _number(request))
        if order is None:
            raise UnknownOrderError(f"there is no order {request.names['order_id']}")
        return json_response(_view(order))

    async def pay(self, request: ApiRequest) -> ApiResponse:
        """`POST /orders/{order_id}/payment`: 200 when it is known to be paid."""
        payment = Payment(request.run_id, _number(request), request.wanted.amount_cents)
        order = await self._service.store.write(payment, request.deadline_ns)
        return json_response(_view(order))

    async def _buy(self, request: ApiRequest, orders: tuple[Order, ...], units: Mapping[int, int]) -> Receipt:
        purchase = Purchase(request.run_id, request.key, orders, units)
        receipt: Receipt = await self._service.store.write(purchase, request.deadline_ns)
        metrics = self._service.metrics
        counters = metrics.replayed if receipt.replayed else metrics.created
        counters[traffic_of(request.run_id)].add(len(receipt.orders))
        return receipt

    def _draft(
        self, number: int, wanted: OrderRequest, lines: Iterable[Line], part: int = 0
    ) -> tuple[Order, dict[int, int]]:
        priced = [(self._sku_no(line.sku, wanted), line.quantity) for line in lines]
        return draft_order(number, wanted.buyer_id, priced, part, wanted.region or "")

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


def _number(request: ApiRequest) -> int:
    name = request.names["order_id"]
    number = order_number(name)
    if number is None:
        raise UnknownOrderError(f"there is no order {name}")
    return number


def _headers(receipt: Receipt, headers: dict[str, str]) -> dict[str, str]:
    return headers | {"Idempotent-Replayed": "true"} if receipt.replayed else headers


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
