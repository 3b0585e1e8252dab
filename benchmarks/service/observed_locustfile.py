"""The shop's generator, whose master also writes down every second of the run as it was counted.

A run's result has percentiles of each second, from which no others can be made; a paired benchmark adds seconds up.
`seconds.jsonl` in the run folder begins with the plan's time zero on the wall clock and has a line for each second,
once every worker has surely reported it.
"""

import time
from typing import IO, Any

import gevent
import msgspec

from benchmarks.service.seconds import FILE, SecondLine, ZeroLine
from loadtest.fleet.coordinator import Phase
from loadtest.measure import codec
from loadtest.measure.histogram import Histogram
from loadtest.measure.second import Second
from loadtest.plugin import leader, use_plan
from loadtest.plugin.led_run import LedRun
from loadtest.records import is_request
from loadtest.scenarios.shop import OrderOnly

__all__ = ["OrderOnly"]

LATE_S = 5
"""Seconds after which no worker has anything more to say of one, in a run that is well."""


class ObservedRun(LedRun):
    """A run that is written down."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        """As `LedRun`."""
        super().__init__(*arguments, **settings)
        gevent.spawn(self._write_down)

    def _write_down(self) -> None:
        with (self.folder / FILE).open("wb", buffering=0) as file:
            while self.coordinator.phase is Phase.WAITING:
                gevent.sleep(0.01)
            put(file, ZeroLine(time.time() - self.coordinator.offset_ns / 1e9))
            written = -1
            while not self.over:
                gevent.sleep(1)
                for second in self.coordinator.merge.timeline.recent(2 * LATE_S):
                    if written < second.index <= self.coordinator.offset_ns / 1e9 - LATE_S:
                        put(file, line_of(second))
                        written = second.index


def line_of(second: Second) -> SecondLine:
    """What a paired benchmark wants to know of a second."""
    response, service = Histogram(), Histogram()
    for (method, name), endpoint in second.endpoints.items():
        if is_request(f"{method} {name}"):
            response.merge(endpoint.response)
            service.merge(endpoint.service)
    found = {"response": response, "service": service, "dispatch lag": second.dispatch_lag}
    return SecondLine(second.index, {name: codec.encode(one) for name, one in found.items()})


def put(file: IO[bytes], line: msgspec.Struct) -> None:
    """Write one line, at once."""
    file.write(msgspec.json.encode(line) + b"\n")


use_plan("steady")
setattr(leader, LedRun.__name__, ObservedRun)  # the class that the plugin makes runs of
