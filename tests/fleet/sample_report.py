"""Seconds and reports such as a worker makes, with chosen contents."""

from loadtest.fleet.messages import Report, pack_second
from loadtest.measure.second import SECOND_NS, EndpointKey, OpenSeconds, Second
from loadtest.records import Exchange, Outcome

ORDERS: EndpointKey = ("POST", "/orders")


def second(
    index: int,
    took_ms: tuple[int, ...] = (10,),
    *,
    key: EndpointKey = ORDERS,
    error: str | None = None,
    lag_us: int = 50,
) -> Second:
    """A second with one arrival, a transaction, for each request of `took_ms` milliseconds."""
    open_seconds = OpenSeconds(0)
    made = open_seconds.second(index * SECOND_NS)
    for milliseconds in took_ms:
        intended_ns = index * SECOND_NS + 7
        done_ns = intended_ns + milliseconds * 1_000_000
        first_ns = 0 if milliseconds % 2 else done_ns - 100_000
        exchange = Exchange(first_ns, 80, 240, 300_000 * (milliseconds % 3), 900_000 * (milliseconds % 2))
        open_seconds.record(Outcome(*key, intended_ns, intended_ns, done_ns, 200, error, exchange))
        made.scheduled += 1
        made.started += 1
        made.transactions_started += 1
        made.dispatch_lag.record_us(lag_us)
        if error is None:
            made.ok += 1
            made.transactions_ok += 1
        else:
            made.failed += 1
            made.transactions_failed += 1
    return made


def report(number: int, *seconds: Second, **state: object) -> Report:
    """A report of some seconds; `state` are other fields of `Report`."""
    fields = {"in_flight": 0, "backlog": 0, "cpu": 0.0, "cpu_wait": 0.0, **state}
    return Report("run", number, [pack_second(s) for s in seconds], **fields)  # type: ignore[arg-type]
