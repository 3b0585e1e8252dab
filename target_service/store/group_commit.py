"""What happens inside one transaction of many purchases, whichever database it is: the rules, without the
SQL.

A batch is planned from two reads (which keys are known already, how many units are left) and yields the rows
to write and everyone's answer. Purchases of one key in one batch are put off to the next batch, where the
first one's order is found.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from target_service.idempotency import KeyReusedError
from target_service.inventory import SoldOutError, allot
from target_service.orders import Purchase, Receipt

Answer = Receipt | SoldOutError | KeyReusedError
"""What one purchase is told."""


class Delivery(NamedTuple):
    """A purchase handed to the store, by its place in the caller's list."""

    place: int
    purchase: Purchase

    @property
    def quantities(self) -> Mapping[int, int]:
        """Units wanted of each product number."""
        return self.purchase.quantities


class Plan(NamedTuple):
    """What to write for one run's share of a batch, and what to answer."""

    new: list[Purchase]
    taken: dict[int, int]
    """Units sold of each product number; the one write a product gets."""
    answers: dict[int, Answer]


def by_run(purchases: Sequence[Purchase]) -> dict[str, list[Delivery]]:
    """Split a batch by run; the first of each key only (the rest is put off)."""
    runs: dict[str, list[Delivery]] = {}
    seen: set[tuple[str, str]] = set()
    for index, purchase in enumerate(purchases):
        if purchase.key is not None:
            if (purchase.run_id, purchase.key) in seen:
                continue
            seen.add((purchase.run_id, purchase.key))
        runs.setdefault(purchase.run_id, []).append(Delivery(index, purchase))
    return runs


def plan(deliveries: Iterable[Delivery], known: Mapping[str, Purchase], left: dict[int, int]) -> Plan:
    """Decide one run's share: replay `known` keys, allot `left` (units by product number) to the others."""
    answers: dict[int, Answer] = {}
    fresh: list[Delivery] = []
    for delivery in deliveries:
        stored = known.get(delivery.purchase.key or "")
        if stored is None:
            fresh.append(delivery)
        else:
            answers[delivery.place] = _replay(delivery.purchase, stored)
    served, refused = allot(fresh, left)
    answers.update((delivery.place, sold_out) for delivery, sold_out in refused)
    answers.update((delivery.place, Receipt(delivery.purchase.orders, False)) for delivery in served)
    return Plan([delivery.purchase for delivery in served], _units(served), answers)


def _replay(purchase: Purchase, stored: Purchase) -> Answer:
    if purchase.is_same_as(stored):
        return Receipt(stored.orders, True)
    return KeyReusedError(f"Idempotency-Key {purchase.key} belongs to a request with another body")


def _units(served: Iterable[Delivery]) -> dict[int, int]:
    taken: dict[int, int] = {}
    for delivery in served:
        for sku_no, units in delivery.purchase.quantities.items():
            taken[sku_no] = taken.get(sku_no, 0) + units
    return taken
