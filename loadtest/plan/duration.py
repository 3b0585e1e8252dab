"""Durations as people write them: 250ms, 60s, 30m, 24h, 1h30m; a number alone is seconds."""

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"\d+(?:\.\d+)?"
_PART = rf"({_NUMBER})(ms|s|m|h|d)"


def parse_duration(text: str) -> float:
    """Seconds in a duration such as "60s", "1h30m" or "60". Raises ValueError with what was expected."""
    if re.fullmatch(_NUMBER, text, re.ASCII):
        return float(text)
    if not re.fullmatch(f"(?:{_PART})+", text, re.ASCII):
        raise ValueError(f'expected a duration such as "500ms", "60s", "30m" or "1h30m", got "{text[:80]}"')
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, text))


def format_duration(seconds: float) -> str:
    """The shortest duration `parse_duration` reads back, to the millisecond: 90 is "1m30s"."""
    left_ms = round(seconds * 1000)
    parts = []
    for unit, unit_ms in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        whole, left_ms = divmod(left_ms, unit_ms)
        if whole:
            parts.append(f"{whole}{unit}")
    return "".join(parts) or "0s"
