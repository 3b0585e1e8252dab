"""Products and their stock: what a customer sees, what a warehouse sees, and more units of one."""

from target_service import problem
from target_service.api.operation import ApiRequest, Operation, Service
from target_service.inventory import UnknownSkuError, price_cents
from target_service.problem import ProblemError
from target_service.response import ApiResponse, json_response
from target_service.schema import Inventory, Product, RestockRequest
from target_service.store.base import Restock, StockLevel


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
        for_operators=True,
    )
    return [look, count, restock]


class ProductHandlers:
    """Answers what is asked of products."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def show(self, request: ApiRequest) -> ApiResponse:
        """`GET /products/{sku}`."""
        sku, sku_no = self._sku(request)
        level = await self._service.store.stock(request.run_id, sku_no)
        return json_response(Product(sku, price_cents(sku_no), level.available))

    async def inventory(self, request: ApiRequest) -> ApiResponse:
        """`GET /inventory/{sku}`."""
        sku, sku_no = self._sku(request)
        return json_response(_inventory(sku, await self._service.store.stock(request.run_id, sku_no)))

    async def restock(self, request: ApiRequest) -> ApiResponse:
        """`POST /inventory/{sku}/restocks`, for operators only."""
        sku, sku_no = self._sku(request)
        level = await self._service.store.write(Restock(request.run_id, sku_no, request.wanted.units))
        return json_response(_inventory(sku, level))

    def _sku(self, request: ApiRequest) -> tuple[str, int]:
        sku = request.names["sku"]
        try:
            return sku, self._service.catalogue.parse(sku)
        except UnknownSkuError as error:
            raise ProblemError(problem.NOT_FOUND, str(error)) from None


def _inventory(sku: str, level: StockLevel) -> Inventory:
    return Inventory(sku, level.initial, level.available, level.initial - level.available)
