"""Orders: create one, check a basket out, look at one, pay for one."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from target_service import problem
from target_service.api.operation import ApiRequest, Operation, Shop
from target_service.inventory import seller_of, sku_name
from target_service.orders import (
    CREATED,
    Order,
    Payment,
    Purchase,
    Receipt,
    created_at_ms,
    draft_order,
    order_name,
)
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
from target_service.tags import headers_of, traffic_of

_lines_of = msgspec.json.Decoder(tuple[tuple[int, int, int], ...]).decode
_REFUSALS = (problem.SOLD_OUT, problem.KEY_IN_FLIGHT, problem.KEY_REUSED)


def operations(shop: Shop) -> list[Operation]:
    """What can be done with orders."""
    its = OrderHandlers(shop)
    purchase = Operation("POST", "/orders", its.create_order, OrderCreated, OrderRequest, "create_order", 201)
    purchase = purchase._replace(problems=_REFUSALS, keyed=True, sheds=True)
    checkout = purchase._replace(
        path="/checkouts", handler=its.create_checkout, answer=CheckoutCreated, route="create_checkout"
    )
    look = Operation("GET", "/orders/{order_id}", its.get_order, OrderView, route="get_order")
    pay = Operation("POST", look.path + "/payment", its.pay_order, OrderView, PaymentRequest, "pay_order")
    return [purchase, checkout, look, pay._replace(problems=(problem.CONFLICT,), sheds=True)]


class OrderHandlers:
    """Answers what is asked of orders."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def create_order(self, request: ApiRequest) -> ApiResponse:
        """Create an order; it is durable when this is answered."""
        order, units = self._draft(self._shop.ids.next(), request.wanted, request.wanted.lines)
        receipt = await self._buy(request, (order,), units)
        created = _created(receipt.orders[0])
        return json_response(
            created, 201, {"Location": f"/orders/{created.order_id}"} | headers_of(replayed=receipt.replayed)
        )

    async def create_checkout(self, request: ApiRequest) -> ApiResponse:
        """Check a basket out: one order for each seller, all of them or none."""
        sellers: dict[int, list[Line]] = {}
        for line in request.wanted.lines:
            sellers.setdefault(seller_of(int(line.sku[4:])), []).append(line)
        numbers = self._shop.ids.several(len(sellers))
        orders: list[Order] = []
        quantities: Counter[int] = Counter()
        for part, (number, lines) in enumerate(zip(numbers, sellers.values(), strict=True), 1):
            order, units = self._draft(number, request.wanted, lines, part)
            orders.append(order)
            quantities.update(units)
        receipt = await self._buy(request, tuple(orders), quantities)
        created = tuple(map(_created, receipt.orders))
        body = CheckoutCreated(created, sum(order.total_cents for order in created))
        return json_response(body, 201, headers_of(replayed=receipt.replayed))

    async def get_order(self, request: ApiRequest) -> ApiResponse:
        """Look at an order."""
        order = await self._shop.store.order(request.run_id, request.number_of("order"))
        if order is None:
            raise request.unknown("order")
        return json_response(_view(order))

    async def pay_order(self, request: ApiRequest) -> ApiResponse:
        """Pay for an order."""
        payment = Payment(request.run_id, request.number_of("order"), request.wanted.amount_cents)
        return json_response(_view(await self._shop.store.write(payment, request.deadline_ns)))

    async def _buy(self, request: ApiRequest, orders: tuple[Order, ...], units: Mapping[int, int]) -> Receipt:
        purchase = Purchase(request.run_id, request.key, orders, units)
        receipt: Receipt = await self._shop.store.write(purchase, request.deadline_ns)
        metrics = self._shop.metrics
        counters = metrics.replayed if receipt.replayed else metrics.created
        counters[traffic_of(request.run_id)].add(len(receipt.orders))
        return receipt

    def _draft(
        self, number: int, wanted: OrderRequest, lines: Iterable[Line], part: int = 0
    ) -> tuple[Order, dict[int, int]]:
        priced = [(self._sku_no(line.sku, wanted), line.quantity) for line in lines]
        return draft_order(number, wanted.buyer_id, priced, part, wanted.region or "")

    def _sku_no(self, sku: str, wanted: OrderRequest) -> int:
        sku_no = self._shop.catalogue.number(sku)
        if sku_no is None:
            index = next(n for n, line in enumerate(wanted.lines) if line.sku == sku)
            wrong = FieldError(f"/lines/{index}/sku", "not in the catalogue")
            raise ProblemError(problem.BAD_FIELD, f"{sku} is not in the catalogue", wrong)
        return sku_no


def _created(order: Order) -> OrderCreated:
    """The answer to a new order, made of what never changes, so that a replay is the same to the byte."""
    made_ms = created_at_ms(order.order_id)
    return OrderCreated(order_name(order.order_id), CREATED, order.buyer_id, order.total_cents, made_ms)


def _view(order: Order) -> OrderView:
    return OrderView(
        order_id=order_name(order.order_id),
        status=order.status,
        buyer_id=order.buyer_id,
        total_cents=order.total_cents,
        created_at_ms=created_at_ms(order.order_id),
        lines=tuple(OrderLine(sku_name(sku_no), *rest) for sku_no, *rest in _lines_of(order.lines)),
        region=order.region,
    )
