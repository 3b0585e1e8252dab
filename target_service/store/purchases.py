"""The purchases of a batch, for any database: known keys and stock are read, a plan is made and written.

No step is done purchase by purchase: its statements are for all of a run. The plan knows no SQL: of two reads (which
keys are known already, how many units are left) it makes the rows to write and everyone's answer. In a database that
other processes write to as well, stock is locked by run and product, after everything else (`changes.apply_batch`).
"""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from target_service import problem
from target_service.inventory import take_units
from target_service.orders import Order, Purchase, Receipt
from target_service.problem import ProblemError
from target_service.store.base import Answer, Change, Session, names_of
from target_service.store.tables import STORED_MS, Tables, tables_of

ORDER = "order_id, part, buyer_id, total_cents, lines, status, region"
"""The columns of `orders.Order`."""

_NEW_ORDER = (
    "order_id bigint, run_id text, idempotency_key text, part int, buyer_id bigint, total_cents bigint,"
    " lines text, region text"
)
_LEFT = "run_id text, sku_no bigint, initial bigint, available bigint"
_SET = "UPDATE SET available = excluded.available"


class Plan(NamedTuple):
    """What to write for one run's share of a batch, and what to answer."""

    new: list[Purchase]
    answers: dict[int, Answer]


Placed = tuple[int, Purchase]
"""A purchase, and its place in its batch."""


def by_run(batch: Iterable[Change]) -> dict[str, list[Placed]]:
    """The purchases of a batch, split by run."""
    runs: dict[str, list[Placed]] = {}
    for place, purchase in enumerate(batch):
        if isinstance(purchase, Purchase):
            runs.setdefault(purchase.run_id, []).append((place, purchase))
    return runs


def plan(share: Iterable[Placed], known: Mapping[str, Purchase], left: dict[int, int]) -> Plan:
    """Plan one run's purchases: a key that is known, or was met before, is replayed; the others take from `left`.

    `left` is units by product number.
    """
    decided, stored_by_key = Plan([], {}), dict(known)
    for place, purchase in share:
        stored = stored_by_key.get(purchase.key or "")
        if stored is not None:
            decided.answers[place] = _replay(purchase, stored)
            continue
        sold_out = take_units(purchase.quantities, left)
        if sold_out is not None:
            decided.answers[place] = sold_out
            continue
        decided.new.append(purchase)
        if purchase.key is not None:
            stored_by_key[purchase.key] = purchase
        decided.answers[place] = Receipt(purchase.orders, False)
    return decided


def _replay(purchase: Purchase, stored: Purchase) -> Receipt | ProblemError:
    if purchase.is_same_as(stored):
        return Receipt(stored.orders, True)
    return key_reused(purchase.key, "another request")


def key_reused(key: str | None, by: str) -> ProblemError:
    """The refusal of what comes under a key that belongs to something else."""
    return ProblemError(problem.KEY_REUSED, f"Idempotency-Key {key} belongs to {by}")


async def apply_purchases(session: Session, batch: Iterable[Change]) -> dict[int, Answer]:
    """Write a batch's purchases inside the open transaction; answers by place."""
    answers: dict[int, Answer] = {}
    for run_id, share in sorted(by_run(batch).items()):
        answers |= await _apply_run(session, run_id, share)
    return answers


async def _apply_run(session: Session, run_id: str, share: list[Placed]) -> dict[int, Answer]:
    tables = tables_of(run_id)
    keys = [purchase.key for _, purchase in share if purchase.key is not None]
    known = await _known(session, tables, run_id, keys) if keys else {}
    new = [purchase for _, purchase in share if purchase.key not in known]
    wanted = sorted({sku_no for purchase in new for sku_no in purchase.quantities})
    left = await _claim(session, tables.stock, run_id, wanted) if wanted else {}
    decided = plan(share, known, left)
    await _insert_orders(session, tables.orders, decided.new)
    sold = {sku_no: left[sku_no] for purchase in decided.new for sku_no in purchase.quantities}
    await _write_stock(session, tables.stock, run_id, sold)
    return decided.answers


async def _known(session: Session, tables: Tables, run_id: str, keys: list[str]) -> dict[str, Purchase]:
    """The orders stored under keys; a key of a parcel's change counts as a purchase of nothing."""
    under = f"WHERE run_id = $1 AND idempotency_key {session.among(2, 'text')}"
    source = (
        f"FROM (SELECT idempotency_key, {ORDER} FROM {tables.orders} {under} AND key_live = 1 UNION ALL"
        f" SELECT idempotency_key, 0, 0, 0, 0, NULL, NULL, NULL FROM {tables.parcel_keys} {under}) AS known"
    )
    rows = await session.fetch_many(f"idempotency_key, {ORDER}", source, run_id, session.listed(keys))
    known: dict[str, Purchase] = {}
    for key, *columns in sorted(rows, key=lambda row: row[2]):
        order = Order(*columns)
        before = known[key].orders if key in known else ()
        known[key] = Purchase(run_id, key, (*before, order) if order.lines is not None else (), {})
    return known


async def _claim(session: Session, stock: str, run_id: str, wanted: list[int]) -> dict[int, int]:
    """Units by product number that may be sold, their rows locked until the transaction ends."""
    seen = await _levels(session, stock, run_id, wanted)
    left = dict.fromkeys(wanted, session.initial_units) | seen
    if not session.locked:
        return left
    # What was sold out at the instant of the read needs no lock: a crowd wants it, and gets none.
    to_lock, locked = [sku_no for sku_no in wanted if left[sku_no] > 0], seen
    while to_lock:
        missing = {sku_no: session.initial_units for sku_no in to_lock if sku_no not in locked}
        await _write_stock(session, stock, run_id, missing, "NOTHING")
        locked = await _levels(session, stock, run_id, to_lock, f" ORDER BY sku_no{session.locked}")
        if len(locked) == len(to_lock):  # else a purge took rows away between the two
            break
    return left | locked


async def _levels(
    session: Session, stock: str, run_id: str, skus: list[int], lock: str = ""
) -> dict[int, int]:
    source = f"FROM {stock} WHERE run_id = $1 AND sku_no {session.among(2)}{lock}"
    rows = await session.fetch_many("sku_no, available", source, run_id, session.listed(skus))
    return {row[0]: row[1] for row in rows}


async def _insert_orders(session: Session, orders: str, purchases: Iterable[Purchase]) -> None:
    rows = [
        (number, purchase.run_id, purchase.key, part, buyer_id, total_cents, lines, region)
        for purchase in purchases
        for number, part, buyer_id, total_cents, lines, _, region in purchase.orders
    ]
    into = f"INSERT INTO {orders} ({names_of(_NEW_ORDER)}, stored_ms)"
    await session.with_rows(_NEW_ORDER, rows, f"{into} SELECT new.*, {STORED_MS} FROM new")


async def _write_stock(
    session: Session, stock: str, run_id: str, left: dict[int, int], where_there: str = _SET
) -> None:
    rows = [(run_id, sku_no, session.initial_units, units) for sku_no, units in left.items()]
    into = f"INSERT INTO {stock} ({names_of(_LEFT)}) SELECT * FROM new WHERE true"
    await session.with_rows(_LEFT, rows, f"{into} ON CONFLICT (run_id, sku_no) DO {where_there}")
