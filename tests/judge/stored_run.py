"""A run whose orders went to a real store, with the ledger that its client kept, audited as every run is.

The run itself is played on a virtual clock (`simulated_run`); its orders are handed to the order service's own store,
some at once, without a socket between. `Client` is what a scenario does: it notes an order before it sends it and
again when it is answered.
"""

import asyncio
from pathlib import Path

from loadtest.judge.verdict import settle
from loadtest.measure.ledger import Ledger, OrderState
from loadtest.measure.run_result import RunResult
from loadtest.run_audit import audit_folder
from target_service.orders import OrderIds, Purchase, draft_order
from target_service.problem import ProblemError
from target_service.store.base import FateUnknownError, StoreSettings, StoreUnavailableError
from target_service.store.store import Store, make_store
from tests.contract.conftest import Unobserved
from tests.judge.simulated_run import World, play

RUN = "run"
WAVES, AT_ONCE = 4, 12
UNITS = 40
"""Of each of two products: fewer than are asked for, so that some orders are refused."""


class Client:
    """Sends orders and keeps books about them."""

    def __init__(self, ledger: Ledger, store: Store) -> None:
        self.ledger, self.store = ledger, store
        self.ids = OrderIds(writer=0)
        self.ok = 0

    async def order(self, sku_no: int) -> None:
        """Order two units of a product."""
        number, key = self.ledger.intend()
        state = self.state_of(await self.send(sku_no, key))
        self.ok += state is OrderState.ACKNOWLEDGED
        self.ledger.settle(number, state)

    async def send(self, sku_no: int, key: str) -> int:
        """The status that the service answers."""
        order, quantities = draft_order(self.ids.next(), 7, [(sku_no, 2)])
        try:
            await self.store.write(Purchase(RUN, key, (order,), quantities))
        except ProblemError:
            return 409
        except FateUnknownError:
            return 0  # as if there had been no answer
        except StoreUnavailableError:
            return 503
        return 201

    def state_of(self, status: int) -> OrderState:
        """What a status says of an order."""
        if not status:
            return OrderState.UNKNOWN
        return OrderState.ACKNOWLEDGED if status == 201 else OrderState.REJECTED


async def _played(folder: Path, dsn: str) -> int:
    store = make_store(StoreSettings(dsn, UNITS, 2.0, shared=False), Unobserved())
    await store.open()
    client = Client(Ledger(folder / "ledger", RUN, "w"), store)
    for _ in range(WAVES):
        await asyncio.gather(*(client.order(1 + number % 2) for number in range(AT_ONCE)))
    await store.close()
    client.ledger.close()
    return client.ok


def play_stored(folder: Path) -> RunResult:
    """Play a run, audit it, and draw its verdict."""
    dsn = f"sqlite:///{folder}/orders.db"
    ok = asyncio.run(_played(folder, dsn))
    result = play(World())
    result.run.settings["scenarios"] = {"loadtest.scenarios.shop:OrderOnly": 1.0}
    result.transactions.count = ok
    result.audit = audit_folder(folder, result, dsn)
    return settle(result)
