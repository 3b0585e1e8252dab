"""Where every request's outcome goes: to the run's measurement, to Locust's statistics, to whoever listens.

There is one `Recorder` for each Locust `Environment`. Locust's way, firing `events.request` with its
default listener for each request, costs a quarter of a request at this client's speed. So Locust's
statistics are filled in batches (`locust_stats`), and the event is fired only where somebody besides that
listener is on it, which is looked up once a second; those listeners are then called as `EventHook.fire`
would call them, without Locust's own, which would count twice.
"""

import logging
import time
import traceback
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from locust import log
from locust.env import Environment
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser

from loadtest.drive._core import Counts
from loadtest.drive.locust_stats import LocustBatch, prune
from loadtest.drive.sampling import sample_of
from loadtest.measure.evidence import Samples
from loadtest.measure.histogram import Histogram
from loadtest.measure.second import EndpointSecond, OpenSeconds, shown
from loadtest.records import UNANSWERED, Outcome

_FLOW_CONTROL = (StopUser, StopTest, RescheduleTask, RescheduleTaskImmediately, InterruptTaskSet)
_NOTED = ("requests", "response_bytes", "sent_bytes", "received_bytes")
"""What the core's tallies count, in their order."""
_logger = logging.getLogger(__name__)


class Recorder(Counts):
    """Takes the outcomes of one Environment. Get it with `recorder_for`."""

    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self.sink: Callable[[Outcome], Outcome | None] | None = None
        """Called with every outcome, at once: the run's own measurement. What it returns, if anything, is what
        Locust and the listeners are told in its place."""
        self.open_seconds: OpenSeconds | None = None
        self.samples: Samples | None = None
        """Where a failure of each class is kept as a sample; None keeps none."""
        self.on_listener_error: Callable[[Exception], None] | None = None
        """Called with what a listener of the script raised, in the greenlet of the request it was told of."""
        self._environment = environment
        self._batch = LocustBatch()
        self._add = self._batch.add
        self.listeners: list[Callable[..., None]] = []
        """Who listens to `events.request` besides Locust's own statistics."""
        self._attach()
        self.find_listeners()
        self._clockwork = gevent.spawn(self._flush_every_second)

    def record(
        self,
        outcome: Outcome,
        error: Exception | None = None,
        response: Any = None,
        context: Any = None,
        meta: dict[str, Any] | None = None,
    ) -> None:
        """Take one outcome. `error` is the exception behind `outcome.error`; the rest is for listeners.

        `meta` is the event as a script has amended it, in place of the one made from the other arguments.
        """
        # `count`, without the call: the hot path.
        if self.sink is not None:
            outcome = self.sink(outcome) or outcome
        self._add(outcome)
        if error is not None:
            self._batch.add_error(outcome, error)
            self._sample(outcome, error, response)
        if self.listeners:
            meta = meta or request_event(outcome, error, response, context)
            for listener in self.listeners:
                self.call(listener, meta)
        if outcome.error is not None:
            _end_if_unanswered(outcome)

    def count(
        self, outcome: Outcome, error: Exception | None = None, response: Any = None, url: str | None = None
    ) -> None:
        """Take one outcome that listeners know of already, or need not know of."""
        if self.sink is not None:
            outcome = self.sink(outcome) or outcome
        self._add(outcome)
        if error is not None:
            self._batch.add_error(outcome, error)
            self._sample(outcome, error, response, url)
        _end_if_unanswered(outcome)

    def count_figure(self, outcome: Outcome, figure: Outcome, error: Exception | None = None) -> None:
        """Take a script's own figure: `outcome` as Locust's table shows it, `figure` as the run counts it."""
        if self.sink is not None:
            self.sink(figure)
        self._add(outcome)
        if error is not None:
            self._batch.add_error(outcome, error)

    def count_in(
        self, open_seconds: OpenSeconds | None, sink: Callable[[Outcome], Outcome | None] | None
    ) -> None:
        """Tell `sink` of outcomes from now on, which counts them in `open_seconds`; the core counts there in bulk."""
        self.empty_tallies()
        self.open_seconds = open_seconds
        self.sink = sink
        self.direct = open_seconds is not None and sink == open_seconds.record
        if open_seconds is not None:
            open_seconds.sources.append(self.empty_tallies)

    def flush(self) -> None:
        """Bring Locust's statistics up to date."""
        self.empty_tallies()
        self.forget_tallies()
        self._batch.flush(self._environment.stats)

    def empty_tallies(self) -> None:
        """Take over what the core has noted."""
        for of_method in self.tallies.values():
            for tally in of_method.values():
                self.empty(tally)

    def empty(self, tally: Any) -> None:
        """Take over what one of the core's tallies has noted."""
        if len(tally):
            open_seconds = self.open_seconds
            if open_seconds is not None:
                for index, counts, response, service, first_byte in tally.seconds(open_seconds.zero_ns):
                    noted = EndpointSecond(**dict(zip(_NOTED, counts, strict=True)))
                    noted.response = Histogram.from_parts(*response)
                    noted.service = Histogram.from_parts(*service)
                    if first_byte is not None:
                        noted.first_byte = Histogram.from_parts(*first_byte)
                    open_seconds.add(index, (tally.method, tally.name), noted)
            self._batch.add_successes(tally.method, tally.name, *tally.sums())
            tally.clear()

    def find_listeners(self) -> None:
        """Look who listens to `events.request` besides Locust's own statistics."""
        handlers = self._environment.events.request._handlers
        self.listeners = [handler for handler in handlers if _is_third_party(handler)]

    def close(self) -> None:
        """Flush, and stop flushing every second."""
        self.flush()
        self._clockwork.kill()

    def call(self, listener: Callable[..., None], arguments: dict[str, Any]) -> None:
        """Call a listener as `EventHook.fire` does: its errors are logged, unless they steer the user's loop."""
        try:
            listener(**arguments)
        except _FLOW_CONTROL:
            raise
        except Exception as error:
            logging.error("Uncaught exception in event handler: \n%s", traceback.format_exc())
            log.unhandled_greenlet_exception = True
            if self.on_listener_error is not None:
                self.on_listener_error(error)

    def _sample(self, outcome: Outcome, error: Exception, response: Any, url: str | None = None) -> None:
        """Keep a failure as a sample if it is the first of its class."""
        samples = self.samples
        if samples is not None and outcome.error is not None:
            key = (shown(outcome.method), shown(outcome.name), shown(outcome.error))
            if samples.wants(*key):
                samples.add(sample_of(key, error, response, url))

    def _attach(self) -> None:
        events = self._environment.events
        # First, not last: Locust's own listener, added before us, reads the statistics and zeroes them.
        events.report_to_master._handlers.insert(0, self._on_event)
        for event in (events.test_stop, events.quitting):
            event._handlers.insert(0, self._on_event)
        for event in (events.test_start, events.reset_stats):
            event.add_listener(self._on_reset)  # Locust's

    def _on_event(self, **_kwargs: Any) -> None:
        self.flush()

    def _on_reset(self, **_kwargs: Any) -> None:
        self.empty_tallies()
        self._batch.clear()
        self.find_listeners()

    def _flush_every_second(self) -> None:
        while True:
            gevent.sleep(1 - time.time() % 1)  # on the second, since Locust counts by whole seconds
            try:
                self.flush()
                self.find_listeners()
                prune(self._environment.stats)
            except Exception:
                _logger.exception("could not update Locust's statistics")


def _end_if_unanswered(outcome: Outcome) -> None:
    """End the calling greenlet if the run has ended while it waited: whatever the script does next is too late."""
    if outcome.error is UNANSWERED:
        raise gevent.GreenletExit


def request_event(outcome: Outcome, error: Exception | None, response: Any, context: Any) -> dict[str, Any]:
    """The arguments of Locust's `request` event; `response_time` is in milliseconds from the intent."""
    response_s = outcome.response_ns / 1e9
    return {
        "request_type": outcome.method,
        "name": outcome.name,
        "context": {} if context is None else context,
        "response": response,
        "exception": error,
        "start_time": time.time() - response_s,
        "url": None if response is None else response.requested_url,
        "response_length": outcome.response_bytes,
        "response_time": response_s * 1000,
    }


def is_locusts_own(handler: Callable[..., Any]) -> bool:
    """Whether `handler` is the listener with which Locust's runner fills its statistics."""
    where = (getattr(handler, "__module__", None), getattr(handler, "__qualname__", None))
    return where == ("locust.runners", "Runner.__init__.<locals>.on_request")


def _is_third_party(handler: Callable[..., Any]) -> bool:
    """Whether `handler` wants to hear of each request: not Locust's own, nor ours for other clients' events."""
    return not is_locusts_own(handler) and not getattr(handler, "counts_for_recorder", False)


_recorders: "WeakKeyDictionary[Environment, Recorder]" = WeakKeyDictionary()


def recorder_for(environment: Environment) -> Recorder:
    """The recorder of `environment`, made at the first call."""
    recorder = _recorders.get(environment)
    if recorder is None:
        recorder = _recorders[environment] = Recorder(environment)
    return recorder
