"""Bugs that somebody could make in harness and service, each put in on purpose by taking one piece's place.

A bug of the harness is met by a whole run on a virtual clock (`simulated_run`); one of the service or of the client's
books by a run whose orders went to a real store (`stored_run`), which is then audited. Each says which verdict has to
come of it, and a pattern of the reason: being no PASS for another reason would be luck.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from loadtest.drive.start import ArrivalStream
from loadtest.fleet.coordinator import Coordinator
from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import Report
from loadtest.fleet.timeline import Timeline
from loadtest.measure import second
from loadtest.measure.histogram import Histogram, bucket_of, upper_us
from loadtest.measure.ledger import OrderState
from loadtest.measure.run_result import Buckets, Quantiles
from loadtest.measure.second import EndpointSecond, OpenSeconds, Second
from target_service.orders import Purchase, Receipt
from target_service.store import changes, purchases
from target_service.store.base import StoreUnavailableError
from tests.judge import stored_run
from tests.judge.seeded_ways import failing
from tests.judge.simulated_run import Answer, Fate, World

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Bug:
    """One bug, and what must come of it."""

    put_in: Callable[[Patch], None]
    verdict: str
    reason: str
    world: World = field(default_factory=World)


HARNESS: dict[str, Bug] = {}


def harness(
    verdict: str, reason: str, world: World | None = None
) -> Callable[[Callable[[Patch], None]], Any]:
    """Note a bug of the harness, by what its function is called."""

    def noted(put_in: Callable[[Patch], None]) -> Callable[[Patch], None]:
        HARNESS[put_in.__name__.replace("_", " ")] = Bug(put_in, verdict, reason, world or World())
        return put_in

    return noted


def without_counter(patch: Patch, name: str) -> None:
    """Have seconds be added up without one of their counters."""
    patch.setattr(second, "COUNTERS", tuple(one for one in second.COUNTERS if one != name))


SOME_DROPPED = World(
    lambda number: Fate(dropped=number % 40 == 0), slos=("dropped < 1000", "availability > 50%")
)
TWO_SPEEDS = World(lambda number: Fate((Answer(took_ms=80.0 if number % 25 == 0 else 5.0),)))
SOME_FAIL = World(
    lambda number: failing("status-500") if number % 10 == 0 else Fate(), slos=("errors(*) < 50%",)
)


@harness("INVALID", "started are|were started|ok \\+ failed", SOME_FAIL)
def stops_counting_failed_arrivals(patch: Patch) -> None:
    without_counter(patch, "failed")


@harness("INVALID", "were scheduled, and started \\+ dropped", SOME_DROPPED)
def stops_counting_drops(patch: Patch) -> None:
    without_counter(patch, "dropped")


@harness("INVALID", "were started, and ok")
def stops_counting_what_went_well(patch: Patch) -> None:
    without_counter(patch, "ok")


@harness("INVALID", "were scheduled, and started|lost")
def stops_counting_starts(patch: Patch) -> None:
    without_counter(patch, "started")


@harness("INVALID", "never reached the master|were lost", TWO_SPEEDS)
def counts_times_in_the_wrong_bucket(patch: Patch) -> None:
    """A master refuses such a report, and then it is missing."""

    def record_ns(self: Histogram, value_ns: int) -> None:
        value_us = max((value_ns + 500) // 1000, 1)
        self.record_us(value_us)
        bucket = bucket_of(value_us)
        self.counts[bucket + 16] += 1
        self.counts[bucket] -= 1
        if not self.counts[bucket]:
            del self.counts[bucket]

    patch.setattr(Histogram, "record_ns", record_ns)


@harness("INVALID", "buckets that they do not belong to", TWO_SPEEDS)
def shows_buckets_by_the_edges_of_others(patch: Patch) -> None:
    with_other_figures(
        patch,
        lambda quantiles, buckets: (
            quantiles,
            Buckets(
                upper_us=[upper_us(bucket_of(edge) + 4) for edge in buckets.upper_us], counts=buckets.counts
            ),
        ),
    )


@harness("INVALID", "response times|buckets|never reached", TWO_SPEEDS)
def loses_the_slowest_times(patch: Patch) -> None:
    def without_last(quantiles: Quantiles, buckets: Buckets) -> tuple[Quantiles, Buckets]:
        return (
            replace(quantiles, count=sum(buckets.counts[:-1])),
            Buckets(upper_us=buckets.upper_us[:-1], counts=buckets.counts[:-1]),
        )

    with_other_figures(patch, without_last)


def with_other_figures(
    patch: Patch, change: Callable[[Quantiles, Buckets], tuple[Quantiles, Buckets]]
) -> None:
    drawn = Histogram.drawn
    patch.setattr(Histogram, "drawn", lambda self: change(*drawn(self)))


def with_other_quantiles(patch: Patch, change: Callable[[Quantiles], Quantiles]) -> None:
    with_other_figures(patch, lambda quantiles, buckets: (change(quantiles), buckets))


@harness("INVALID", "buckets that they do not belong to")
def sums_times_in_another_unit(patch: Patch) -> None:
    with_other_quantiles(patch, lambda right: replace(right, mean=right.mean / 1000))


@harness("INVALID", "buckets that they do not belong to", TWO_SPEEDS)
def reports_p90_as_p99(patch: Patch) -> None:
    with_other_quantiles(patch, lambda right: replace(right, p99=right.p90))


@harness("INVALID", "buckets that they do not belong to", TWO_SPEEDS)
def forgets_the_maximum(patch: Patch) -> None:
    with_other_quantiles(patch, lambda right: replace(right, max=right.p50))


@harness("INVALID", "report.* never reached the master|were lost")
def loses_a_report_and_acknowledges_it(patch: Patch) -> None:
    fold = Merge.fold

    def lossy(self: Merge, worker: str, report: Report) -> Any:
        return None if report.number == 3 else fold(self, worker, report)

    patch.setattr(Merge, "fold", lossy)


@harness("INVALID", "more arrivals were served than the plan has|seconds of the run have|were planned")
def counts_each_second_of_a_worker_twice(patch: Patch) -> None:
    add = Second.add

    def twice(self: Second, other: Second) -> None:
        add(self, other)
        self.scheduled += other.scheduled
        self.started += other.started
        self.ok += other.ok

    patch.setattr(Second, "add", twice)


@harness("INVALID", "were lost, and no worker was|were lost")
def begins_each_slice_one_arrival_late(patch: Patch) -> None:
    due = ArrivalStream.due
    skipped: set[int] = set()

    def late(self: ArrivalStream, now_ns: int) -> Any:
        found = due(self, now_ns)
        if found is not None and id(self) not in skipped:
            skipped.add(id(self))
            return due(self, now_ns)
        return found

    patch.setattr(ArrivalStream, "due", late)


@harness("ABORTED", "the last worker was lost")
def its_clock_jumps(patch: Patch) -> None:
    silent = Coordinator.tick
    jumped: set[int] = set()

    def tick(self: Coordinator) -> None:
        if self.offset_ns > 2_000_000_000 and id(self) not in jumped:
            jumped.add(id(self))
            for member in self.roster.members.values():
                member.heard_ns -= 5_000_000_000  # as if it had been five seconds later by then
        silent(self)

    patch.setattr(Coordinator, "tick", tick)


@harness("INVALID", "the seconds of the run have")
def leaves_a_second_out_of_the_timeline(patch: Patch) -> None:
    add = Timeline.add
    patch.setattr(Timeline, "add", lambda self, second: None if second.index == 2 else add(self, second))


@harness("INVALID", "the seconds of the run have .* requests|response times", World(workers=2))
def counts_requests_of_the_whole_run_twice(patch: Patch) -> None:
    merge = EndpointSecond.merge

    def doubled(self: EndpointSecond, other: EndpointSecond) -> None:
        merge(self, other)
        self.requests += other.requests

    patch.setattr(EndpointSecond, "merge", doubled)


@harness("FAIL", "availability", World(lambda n: failing("status-500") if n % 5 == 0 else Fate()))
def swallows_the_errors_of_requests(patch: Patch) -> None:
    record = OpenSeconds.record
    patch.setattr(OpenSeconds, "record", lambda self, outcome: record(self, outcome._replace(error=None)))


@harness("INVALID", "more arrivals were served than the plan has")
def plans_one_arrival_too_few(patch: Patch) -> None:
    planned = Coordinator.planned
    patch.setattr(Coordinator, "planned", lambda self: planned(self) - 1)


@harness("INVALID", "were lost, and no worker was|lost")
def plans_one_arrival_too_many(patch: Patch) -> None:
    planned = Coordinator.planned
    patch.setattr(Coordinator, "planned", lambda self: planned(self) + 1)


SERVICE: dict[str, Bug] = {}
"""Bugs of the order service and of the client's books; every verdict is the audit's, but where it says otherwise."""


def service(reason: str, verdict: str = "AUDIT") -> Callable[[Callable[[Patch], None]], Any]:
    """Note a bug of the service, by what its function is called."""

    def noted(put_in: Callable[[Patch], None]) -> Callable[[Patch], None]:
        SERVICE[put_in.__name__.replace("_", " ")] = Bug(put_in, verdict, reason)
        return put_in

    return noted


Applied = Callable[[Any, Sequence[Any], dict[int, Any]], dict[int, Any]]


def after_each_batch(patch: Patch, spoil: Applied) -> None:
    """Do something else to the database when the purchases of a batch are written, before they are committed."""
    apply = purchases.apply_purchases

    async def spoilt(session: Any, batch: Sequence[Any]) -> dict[int, Any]:
        return spoil(session.connection, batch, await apply(session, batch))

    patch.setattr(changes, "apply_purchases", spoilt)


def executing(patch: Patch, statement: str) -> None:
    """Execute a statement after each batch."""

    def spoil(connection: Any, _batch: Sequence[Any], answers: dict[int, Any]) -> dict[int, Any]:
        connection.execute(statement)
        return answers

    after_each_batch(patch, spoil)


@service("acknowledged and not stored")
def acknowledges_before_the_commit_which_then_fails(patch: Patch) -> None:
    def spoil(connection: Any, _batch: Sequence[Any], answers: dict[int, Any]) -> dict[int, Any]:
        connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        return answers

    after_each_batch(patch, spoil)


@service("acknowledged and not stored")
def drops_the_last_order_of_a_batch(patch: Patch) -> None:
    executing(patch, "DELETE FROM shadow_orders WHERE rowid = (SELECT max(rowid) FROM shadow_orders)")


@service("sold beyond the stock")
def oversells_by_one(patch: Patch) -> None:
    executing(patch, "UPDATE shadow_stock SET available = available + 1 WHERE sku_no = 1")


@service("sold beyond the stock")
def never_takes_anything_from_the_stock(patch: Patch) -> None:
    executing(patch, "UPDATE shadow_stock SET available = initial")


@service("sold beyond the stock")
def takes_units_twice_from_the_stock(patch: Patch) -> None:
    executing(patch, "UPDATE shadow_stock SET available = max(available - 1, 0) WHERE sku_no = 2")


@service("acknowledged and not stored")
def stores_orders_under_another_run(patch: Patch) -> None:
    executing(patch, "UPDATE shadow_orders SET run_id = 'other' WHERE rowid % 5 = 0")


@service("acknowledged and not stored")
def stores_orders_under_a_wrong_key(patch: Patch) -> None:
    wrong = "UPDATE shadow_orders SET idempotency_key = idempotency_key || 'x'"
    executing(patch, f"{wrong} WHERE rowid % 5 = 0 AND idempotency_key NOT LIKE '%x'")


@service("acknowledged and not stored")
def forgets_the_key(patch: Patch) -> None:
    executing(patch, "UPDATE shadow_orders SET idempotency_key = NULL WHERE rowid % 5 = 0")


@service("live|acknowledged and not stored")
def forgets_the_shadow_tag(patch: Patch) -> None:
    write = Purchase.__new__
    patch.setattr(
        stored_run,
        "Purchase",
        lambda _run, key, orders, quantities: write(Purchase, "", key, orders, quantities),
    )


@service("acknowledged and not stored")
def acknowledges_what_is_sold_out(patch: Patch) -> None:
    def spoil(_connection: Any, batch: Sequence[Any], answers: dict[int, Any]) -> dict[int, Any]:
        return {
            place: Receipt(batch[place].orders, False) if isinstance(answer, Exception) else answer
            for place, answer in answers.items()
        }

    after_each_batch(patch, spoil)


@service("stored and never sent")
def refuses_what_it_has_stored(patch: Patch) -> None:
    def spoil(_connection: Any, batch: Sequence[Any], answers: dict[int, Any]) -> dict[int, Any]:
        return answers | {max(answers): StoreUnavailableError("too slow")} if answers else answers

    after_each_batch(patch, spoil)


@service("stored more than once")
def inserts_an_order_twice(patch: Patch) -> None:
    def spoil(connection: Any, _batch: Sequence[Any], answers: dict[int, Any]) -> dict[int, Any]:
        names = [row[1] for row in connection.execute("PRAGMA table_info(shadow_orders)")]
        # As another part of the purchase: the tables themselves let no order in twice.
        others = [{"order_id": "-order_id", "part": "1 - part"}.get(name, name) for name in names]
        twice = f"INSERT INTO shadow_orders SELECT {', '.join(others)} FROM shadow_orders LIMIT 1"  # noqa: S608
        if not connection.execute("SELECT 1 FROM shadow_orders WHERE order_id < 0").fetchone():
            connection.execute(twice)
        return answers

    after_each_batch(patch, spoil)


@service("stored and never sent")
def retries_under_another_key(patch: Patch) -> None:
    send = stored_run.Client.send

    async def again(self: stored_run.Client, sku_no: int, key: str) -> int:
        await send(self, sku_no, key)
        return await send(self, sku_no, f"{key}-again")

    patch.setattr(stored_run.Client, "send", again)


@service("acknowledged and not stored")
def takes_every_answer_for_a_yes(patch: Patch) -> None:
    patch.setattr(stored_run.Client, "state_of", lambda _self, _status: OrderState.ACKNOWLEDGED)


@service("orders are counted as created, and the ledgers have", "INVALID")
def counts_refusals_as_orders(patch: Patch) -> None:
    order = stored_run.Client.order

    async def counted(self: stored_run.Client, sku_no: int) -> None:
        await order(self, sku_no)
        self.ok = self.ledger._next

    patch.setattr(stored_run.Client, "order", counted)
