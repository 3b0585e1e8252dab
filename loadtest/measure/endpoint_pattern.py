"""Patterns that objectives name endpoints by: `GET /item/*`, in one region or in any."""

import re

from loadtest.measure.printable import printable
from loadtest.records import endpoint_and_region


def matches(pattern: str, name: str) -> bool:
    """Whether an endpoint's name fits a pattern; `*` is the only wildcard: names hold `[`, `{` and `?`.

    A pattern without a region fits the endpoint in every region, and outside any. Either may be as a script has it or
    as it is shown (`printable`).
    """
    wanted_endpoint, wanted_region = endpoint_and_region(printable(pattern))
    endpoint, region = endpoint_and_region(printable(name))
    if wanted_region is not None and not _fits(wanted_region, region or ""):
        return False
    return _fits(wanted_endpoint, endpoint) and (wanted_region is None or region is not None)


def _fits(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
