"""Singles' Day: the traffic curves of Alibaba's shopping festival, as fractions of the peak second.

Every curve is in units of its own peak: 1.0 is the peak second (`records.RECORD_TPS` in 2020), so a plan scales a
curve by the peak it wants. Each figure carries its label: S is sourced (the source follows), D is derived by
arithmetic from sourced figures, A is an assumption. Time of day is China Standard Time; 0 is midnight at the
start of November 11.
"""

from math import exp

from loadtest.plan.profile import Phase, Piecewise, constant, decay, knots, ramp, sampled, steps

PAYMENTS_PER_ORDER_AT_PEAK = 0.79
"""D: 256,000 payments/s (S: telecomasia.net) over 325,000 orders/s (S: pi1688.com), 2017."""

BEFORE = 1 / 122
"""S: database transactions jump 122-fold at the opening, 2018. doi.acm.org/10.1145/3299869.3314041."""

OPENED = 0.85
"""A: the level reached within five seconds of midnight."""

FIRST_HOUR_MEAN = 0.206
"""D: mean of the first hour over the peak second, from the value of goods sold by the minute, 2019."""

DAY_MEAN = 0.0275
"""D: mean of the day over the peak second, 2019 (36.4 : 1)."""

LONGEST_LEAD_IN_S = 600.0
"""S: ten minutes at `BEFORE` are known; nothing is said of earlier."""

DEFAULT_LEAD_IN_S = 10.0
"""A: what a run shows of the time before midnight."""

OVERLOAD = 1.2
"""A: what the rehearsal asks of the service for a minute, to see it shed load."""

DAY_LEVELS: tuple[tuple[float, float], ...] = (
    (1.0, 13.7),  # D: hour 1
    (4.0, 1.4),  # D in sum, A how it is split: hours 2 to 5
    (3.0, 2.8),  # D in sum, A how it is split: hours 6 to 8
    (3.0, 3.27),  # D: hours 9 to 11
    (4.5, 2.38),  # D: 12:00 to 16:30
    (4.5, 2.16),  # D in sum, A how it is split: 16:30 to 21:00
    (3.0, 3.57),  # D in sum, A how it is split: hours 21 to 23
)
"""(hours, percent of the day's orders in each of them) after the first hour, which has 31.3 %; 2019."""


def midnight_orders(lead_in_s: float = DEFAULT_LEAD_IN_S) -> Piecewise:
    """Orders created from `lead_in_s` before midnight to one hour after it.

    Raises ValueError for a lead-in below 0 s or over 600 s.
    """
    if not 0 <= lead_in_s <= LONGEST_LEAD_IN_S:
        raise ValueError(f"expected a lead-in of 0 to {LONGEST_LEAD_IN_S:g} s, got {lead_in_s:g}")
    hour = _opening().then(_climb()).then(_settling()).then(_orders_tail())
    return constant(BEFORE, lead_in_s).named("before").then(hour) if lead_in_s else hour


def _opening() -> Piecewise:
    return ramp(BEFORE, OPENED, 5).named("opening")  # A


def _climb() -> Piecewise:
    return ramp(OPENED, 1.0, 21).named("spike")  # S: the peak second ends 26 s after midnight, 2020


def _settling() -> Piecewise:
    return ramp(1.0, 0.9, 70).named("after")  # D: the first 68 s average 0.91 of the peak (33.1 : 36.4), 2019


def _orders_tail() -> Piecewise:
    """From 96 s to one hour: 0.05 + 0.85 exp(-(t / 550 s)^0.9), D, fitted to the milestones of 2019."""

    return sampled(orders_tail_rate, 3600 - 96).named("tail")


def orders_tail_rate(t_s: float) -> float:
    """The orders `t_s` after the 96th second, as a fraction of the peak, up to an hour after midnight."""
    return 0.05 + 0.85 * exp(-((t_s / 550) ** 0.9))


def midnight_payments(lead_in_s: float = DEFAULT_LEAD_IN_S) -> Piecewise:
    """Payments from `lead_in_s` before midnight to one hour after it, in units of the payment peak.

    Multiply by `PAYMENTS_PER_ORDER_AT_PEAK` for units of the order peak. Raises ValueError for a lead-in
    below 0 s.
    """
    plateau = knots(
        [
            (0, BEFORE),  # A: as orders
            (10, 0.85),  # A
            (322, 1.0),  # S: the maximum comes at 00:05:22, 2017 (telecomasia.net)
            (443, 0.6025),  # A: what brings the mean up to here to the 0.88 that is known (D)
        ]
    )
    # A: with tau 2330 s the mean from here to one hour is 0.33.
    payments = plateau.named("payments").then(decay(0.6025, 2330, 3600 - 443).named("tail"))
    # D: balances of pre-sales fall due half an hour after midnight: 0.59 more for 240 s.
    hour = payments.add(constant(0.59, 240).named("balances"), at_s=1800)
    return constant(BEFORE, lead_in_s).named("before").then(hour) if lead_in_s else hour


def day() -> Piecewise:
    """The 24 hours from midnight: the first hour as `midnight_orders`, the others at their means."""
    curve = midnight_orders(lead_in_s=0)
    for hours, percent in DAY_LEVELS:
        curve = curve.then(constant(percent / 100 * 24 * DAY_MEAN, hours * 3600))
    names = [Phase(0, 3600, "midnight"), Phase(3600, 9 * 3600, "night"), Phase(9 * 3600, 86400, "daytime")]
    return Piecewise(curve.segments, names)


def rehearsal() -> Piecewise:
    """A rehearsal of 30 minutes that passes through everything the night may bring. A, but for what is noted.

    The plateau holds a minute at `OVERLOAD` times the peak.
    """
    parts = [
        ramp(0.02, 0.10, 240).named("pre-heat"),
        steps([0.1, 0.2, 0.3], each_s=60).then(constant(0.4, 30)).named("water-level"),
        constant(BEFORE, 30).named("quiet"),  # S
        _opening(),
        _climb(),
        _plateau(),
        sampled(lambda t_s: 0.07 + 0.85 * exp(-t_s / 100), 360).named("decay"),
        constant(0.8, 60).then(decay(0.8, 120, 180)).named("second-wave"),
        constant(FIRST_HOUR_MEAN, 480).named("soak"),  # D
    ]
    curve = parts[0]
    for part in parts[1:]:
        curve = curve.then(part)
    return curve


def _plateau() -> Piecewise:
    """214 s from 1.0 down to 0.92, with a minute of overload from its 94th second on."""
    level = ramp(1.0, 0.92, 214)
    overload = constant(OVERLOAD, 60).named("overload")
    return level.cut(94).named("plateau").then(overload).then(level.cut(60, from_s=154).named("plateau"))
