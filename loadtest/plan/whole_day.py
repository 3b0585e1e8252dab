"""The whole day: what each kind of traffic does from ten minutes before midnight to the end of November 11.

The curves of the shop begin `LEAD_IN_S` before midnight, last as long, and are in units of their own peak; where that
is, in multiples of the order peak, is what the plan `day` writes as `per_transaction`. The labels are those of
`singles_day`, whose curves these are made of; docs/traffic.md has the sources.

The funnel differs by time. On a normal day 44.5 pages and 2.74 carts stand before each order; at midnight carts have
been filled before, and it is 6 pages and 1.3 submits. From `SETTLED_S` after midnight on, one passes into the other
in a straight line, until an hour after midnight (A).
"""

from collections.abc import Callable
from functools import reduce

from loadtest.plan.profile import Piecewise, constant, knots, ramp, sampled
from loadtest.plan.singles_day import (
    DAY_LEVELS,
    DAY_MEAN,
    LONGEST_LEAD_IN_S,
    OPENED,
    PAYMENTS_PER_ORDER_AT_PEAK,
    midnight_orders,
    midnight_payments,
    orders_tail_rate,
)

LEAD_IN_S = LONGEST_LEAD_IN_S
HOUR_S = 3600.0
SETTLED_S = 96.0
"""D: from here after midnight on, orders decay."""
TAIL_S = HOUR_S - SETTLED_S

PAGES_PER_ORDER = 44.5
"""S: Taobao's data set UserBehavior, a normal day: page views to purchases."""
PAGES_PER_ORDER_AT_PEAK = 6.0
"""A: at midnight the carts are filled and the products known."""
BROWSING = (0.25, 0.8)
"""A: page views of their own peak, ten minutes before midnight and at midnight."""
PAID = 0.92
"""A: the share of the orders that are paid in the end."""


def orders() -> Piecewise:
    """Orders created: `midnight_orders`, then hour by hour."""
    return _through_the_day(midnight_orders(LEAD_IN_S), lambda level: level)


def pages() -> Piecewise:
    """Page views, and additions to carts; their peak is `PAGES_PER_ORDER_AT_PEAK` times that of orders."""
    minutes_before = ramp(*BROWSING, LEAD_IN_S).named("before")  # A
    opening = ramp(BROWSING[1], OPENED, 5)  # A
    spike = ramp(OPENED, 1.0, 21).then(ramp(1.0, 0.9, 70))  # A: as orders, see above
    tail = sampled(lambda t_s: _more_pages(t_s / TAIL_S) * orders_tail_rate(t_s), TAIL_S)
    hour = opening.then(spike).then(tail).named("midnight")
    return _through_the_day(minutes_before.then(hour), lambda level: level * _more_pages(1.0))


def _more_pages(progress: float) -> float:
    """Page views an order over those of midnight; `progress` is from 0, as at midnight, to 1, a normal hour."""
    return 1 + progress * (PAGES_PER_ORDER / PAGES_PER_ORDER_AT_PEAK - 1)


def resubmits() -> Piecewise:
    """Checkouts submitted again; their peak is 0.3 times that of orders (A)."""
    until_settled = midnight_orders(0).cut(SETTLED_S)
    # A. Not to 0: near it an instant is less certain than a nanosecond (`loadtest.plan.segment`).
    fading = sampled(lambda t_s: (1 - 0.98 * t_s / TAIL_S) * orders_tail_rate(t_s), TAIL_S)
    hour = until_settled.then(fading).named("midnight")
    return _through_the_day(constant(0, LEAD_IN_S).named("before").then(hour), lambda _level: 0.0)


def payments() -> Piecewise:
    """Payments; their peak is `PAYMENTS_PER_ORDER_AT_PEAK` times that of orders."""
    of_an_order = PAID / PAYMENTS_PER_ORDER_AT_PEAK
    return _through_the_day(midnight_payments(LEAD_IN_S), lambda level: level * of_an_order)


def _through_the_day(midnight: Piecewise, of_orders: Callable[[float], float]) -> Piecewise:
    """Hours 1 to 23 after `midnight`, each at what `of_orders` makes of the hour's mean of orders."""
    hours = [
        constant(of_orders(percent / 100 * 24 * DAY_MEAN), length * HOUR_S) for length, percent in DAY_LEVELS
    ]
    night, daytime = hours[:3], hours[3:]
    return midnight.then(reduce(Piecewise.then, night).named("night")).then(
        reduce(Piecewise.then, daytime).named("daytime")
    )


def parcels() -> Piecewise:
    """Parcels accepted in the 24 hours from midnight, in units of the peak; a third of it on average (A).

    They lag the orders by hours (docs/traffic.md): a quiet night, then two hours at the peak around noon.
    """
    hours = [(0, 0.08), (4, 0.08), (8, 0.3), (10, 1.0), (12, 1.0), (16, 0.25), (20, 0.15), (24, 0.01)]  # A
    curve = knots([(hour * HOUR_S, level) for hour, level in hours])
    names = [(0, 4, "night"), (4, 10, "morning"), (10, 12, "peak"), (12, 24, "afternoon")]
    parts = [
        curve.cut((end - begin) * HOUR_S, from_s=begin * HOUR_S).named(name) for begin, end, name in names
    ]
    return reduce(Piecewise.then, parts)
