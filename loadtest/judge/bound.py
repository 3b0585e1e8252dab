"""An objective's bound: whether a value meets it, and how values are written beside it."""

import math

from loadtest.judge.slo_syntax import Slo


def holds(slo: Slo, observed: float) -> bool:
    """Whether a value, in the objective's own unit, meets its comparison."""
    return {
        "<": observed < slo.bound,
        "<=": observed <= slo.bound,
        ">": observed > slo.bound,
        ">=": observed >= slo.bound,
        "==": observed == slo.bound,
    }[slo.operator]


def with_unit(slo: Slo, value: float | None) -> str:
    """A value as the objective would write it: `12.5ms`, `0.04%`; `no data` for None.

    Four digits, or as many more as tell it from the objective's bound and from 100 %.
    """
    if value is None:
        return "no data"
    misleading = {slo.bound, 100.0} - {value}
    texts = (_fixed(value, decimals) for decimals in _decimals(value))
    return next(text for text in texts if float(text.replace(",", "")) not in misleading) + slo.unit


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimals(value: float) -> range:
    """The numbers of decimals to try, from four significant digits up to what evaluation keeps."""
    whole_digits = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    leading_zeros = -math.floor(math.log10(abs(value))) - 1 if 0 < abs(value) < 1 else 0
    return range(max(0, 4 - whole_digits + leading_zeros), 13)
