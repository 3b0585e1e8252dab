"""Products and their stock: what a customer sees, what a warehouse sees, and more units of one."""

from target_service import problem
from target_service.api.operation import ApiRequest, Operation, Shop
from target_service.inventory import price_cents
from target_service.problem import ProblemError
from target_service.response import ApiResponse, json_response
from target_service.schema import Inventory, Product, RestockRequest
from target_service.store.base import Restock, StockLevel


def operations(shop: Shop) -> list[Operation]:
    """What can be asked of products."""
    its = ProductHandlers(shop)
    restock = Operation(
        "POST", "/inventory/{sku}/restocks", its.restock, Inventory, RestockRequest, "inventory"
    )
    return [
        Operation("GET", "/products/{sku}", its.get_product, Product, route="get_product"),
        Operation("GET", "/inventory/{sku}", its.get_inventory, Inventory, route="inventory"),
        restock._replace(problems=(problem.UNAUTHORIZED,), for_operators=True),
    ]


class ProductHandlers:
    """Answers what is asked of products."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def get_product(self, request: ApiRequest) -> ApiResponse:
        """Look at a product."""
        sku, sku_no = self._sku(request)
        level = await self._shop.store.stock(request.run_id, sku_no)
        return json_response(Product(sku, price_cents(sku_no), level.available))

    async def get_inventory(self, request: ApiRequest) -> ApiResponse:
        """Look at a product's stock."""
        sku, sku_no = self._sku(request)
        return json_response(_inventory(sku, await self._shop.store.stock(request.run_id, sku_no)))

    async def restock(self, request: ApiRequest) -> ApiResponse:
        """Add units of a product; needs the operator's token."""
        sku, sku_no = self._sku(request)
        level = await self._shop.store.write(Restock(request.run_id, sku_no, request.wanted.units))
        return json_response(_inventory(sku, level))

    def _sku(self, request: ApiRequest) -> tuple[str, int]:
        sku = request.names["sku"]
        sku_no = self._shop.catalogue.number(sku)
        if sku_no is None:
            raise ProblemError(problem.NOT_FOUND, f"{sku} is not in the catalogue")
        return sku, sku_no


def _inventory(sku: str, level: StockLevel) -> Inventory:
    return Inventory(sku, level.initial, level.available, level.initial - level.available)
