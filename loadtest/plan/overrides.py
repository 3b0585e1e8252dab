"""Overrides as people type them, on a command line or into a form: text in, numbers out, errors naming the flag."""

from math import isfinite
from typing import Any

from loadtest.plan.duration import parse_duration
from loadtest.plan.plan_error import PlanError


def number_above_0(text: Any, flag: str) -> float | None:
    """The number in `text`; None for nothing at all. Raises `PlanError` naming `flag` and what was expected."""
    number = _number(text)
    if number is not None and not 0 < number < float("inf"):
        raise PlanError(f"{flag}: expected a number above 0, got {text!r}")
    return number


def share(text: Any, flag: str) -> float | None:
    """The share in `text`; None for nothing at all. Raises `PlanError` naming `flag` and what was expected."""
    number = _number(text)
    if number is not None and not 0 < number <= 1:
        raise PlanError(f"{flag}: expected a share above 0, at most 1, got {text!r}")
    return number


def whole_number(text: Any, flag: str) -> int | None:
    """The whole number in `text`, not below 0; None for nothing at all. Raises `PlanError` naming `flag`."""
    if text in (None, ""):
        return None
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise PlanError(f"{flag}: expected a whole number >= 0, got {text!r}")
    return number


def duration_s(text: Any, flag: str = "--duration") -> float | None:
    """The seconds in a duration such as 60s; None for nothing at all. Raises `PlanError` naming `flag`."""
    return None if text in (None, "") else above_0_s(str(text), flag)


def above_0_s(text: str, flag: str) -> float:
    """The seconds in a duration that is neither nothing nor without end. Raises `PlanError` naming `flag`."""
    try:
        seconds = parse_duration(text) if text else 0.0
    except ValueError as error:
        raise PlanError(f"{flag}: {error}") from None
    if not seconds:
        raise PlanError(f"{flag}: expected more than 0 s, got {text!r}")
    if not isfinite(seconds):  # of more digits than a float can hold
        raise PlanError(f"{flag}: expected a finite number of seconds, got {text[:20]}...")
    return seconds


def _number(text: Any) -> float | None:
    """The number in `text`; None for nothing at all, and what is no number for text that is none."""
    if text in (None, ""):
        return None
    try:
        return float(text)
    except ValueError:
        return float("nan")
