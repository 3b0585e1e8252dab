"""Patterns that objectives name endpoints by: `GET /item/*`, in one region or in any."""

import re

from loadtest.records import endpoint_and_region


def matches(pattern: str, name: str) -> bool:
    """Whether an endpoint's name fits a pattern; `*` is the only wildcard: names hold `[`, `{` and `?`.

    A pattern without a region fits the endpoint in every region, and outside any.
    """
    wanted_endpoint, wanted_region = endpoint_and_region(pattern)
    endpoint, region = endpoint_and_region(name)
    if wanted_region is not None and not _fits(wanted_region, region or ""):
        return False
    return _fits(wanted_endpoint, endpoint) and (wanted_region is None or region is not None)


def _fits(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
