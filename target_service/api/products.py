"""Products and their stock: what a customer sees, what a warehouse sees, and more units of one."""

import msgspec
from aiohttp import web

from target_service import problem
from target_service.api.body import decode, json_response, read_json
from target_service.api.operation import Operation, Service
from target_service.bearer import carries_token
from target_service.inventory import UnknownSkuError, price_cents
from target_service.problem import ProblemError
from target_service.schema import Inventory, Product, RestockRequest
from target_service.store.base import Restock, StockLevel

_restocks = msgspec.json.Decoder(RestockRequest)


def operations(service: Service) -> list[Operation]:
    """What can be asked of products."""
    products = ProductHandlers(service)
    look = Operation(
        "GET", "/products/{sku}", "getProduct", "get_product", "Look at a product", products.show, Product
    )
    count = Operation(
        "GET",
        "/inventory/{sku}",
        "getInventory",
        "inventory",
        "Count a product's units",
        products.inventory,
        Inventory,
    )
    restock = Operation(
        "POST",
        "/inventory/{sku}/restocks",
        "restock",
        "inventory",
        "Add units of a product (operators)",
        products.restock,
        Inventory,
        body=RestockRequest,
        problems=(problem.UNAUTHORIZED,),
    )
    return [look, count, restock]


class ProductHandlers:
    """Answers what is asked of products."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def show(self, request: web.Request, run_id: str) -> web.Response:
        """`GET /products/{sku}`."""
        sku, sku_no = self._sku(request)
        level = await self._service.store.stock(run_id, sku_no)
        return json_response(Product(sku, price_cents(sku_no), level.available))

    async def inventory(self, request: web.Request, run_id: str) -> web.Response:
        """`GET /inventory/{sku}`."""
        sku, sku_no = self._sku(request)
        return json_response(_inventory(sku, await self._service.store.stock(run_id, sku_no)))

    async def restock(self, request: web.Request, run_id: str) -> web.Response:
        """`POST /inventory/{sku}/restocks`, for operators only."""
        sku, sku_no = self._sku(request)
        self._check_operator(request)
        more = decode(_restocks, await read_json(request))
        level = await self._service.store.write(Restock(run_id, sku_no, more.units))
        return json_response(_inventory(sku, level))

    def _sku(self, request: web.Request) -> tuple[str, int]:
        sku = request.match_info["sku"]
        try:
            return sku, self._service.catalogue.parse(sku)
        except UnknownSkuError as error:
            raise ProblemError(problem.NOT_FOUND, str(error)) from None

    def _check_operator(self, request: web.Request) -> None:
        if not carries_token(request.headers, self._service.admin_token):
            raise ProblemError(problem.UNAUTHORIZED, "expected the operator's bearer token")


def _inventory(sku: str, level: StockLevel) -> Inventory:
    return Inventory(sku, level.initial, level.available, level.initial - level.available)
