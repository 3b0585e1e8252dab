"""Overrides as people type them, on a command line or into a form: text in, numbers out, errors naming the flag."""

from typing import Any

from loadtest.plan.duration import parse_duration
from loadtest.plan.plan_error import PlanError


def number_above_0(text: Any, flag: str, expected: str = "a number above 0") -> float | None:
    """The number in `text`; None for nothing at all. Raises `PlanError` naming `flag` and what was expected."""
    if text in (None, ""):
        return None
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise PlanError(f"{flag}: expected {expected}, got {text!r}")
    return number


def whole_number(text: Any, flag: str) -> int | None:
    """The whole number in `text`; None for nothing at all. Raises `PlanError` naming `flag`."""
    if text in (None, ""):
        return None
    try:
        return int(text)
    except ValueError:
        raise PlanError(f"{flag}: expected a whole number, got {text!r}") from None


def duration_s(text: Any, flag: str = "--duration") -> float | None:
    """The seconds in a duration such as 60s; None for nothing at all. Raises `PlanError` naming `flag`."""
    if text in (None, ""):
        return None
    try:
        return parse_duration(str(text))
    except ValueError as error:
        raise PlanError(f"{flag}: {error}") from None


def above_0_s(text: str, flag: str) -> float:
    """The seconds in a duration that is not nothing. Raises `PlanError` naming `flag`."""
    seconds = duration_s(text, flag)
    if not seconds:
        raise PlanError(f"{flag}: expected more than 0 s, got {text!r}")
    return seconds
