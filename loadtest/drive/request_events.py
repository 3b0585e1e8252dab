"""Clients that are not ours: what they fire as Locust's `request` event becomes an outcome of the run.

Locust's FastHttpUser and HttpUser, a gRPC or database user, anything that fires `events.request`, knows
nothing of arrivals: it tells how long a request took, when it has ended. The greenlet that fires the event
tells which arrival it served, hence when the request was meant to start: an arrival's first request at the
arrival's intent, each further one when it began.

For the length of a run this listener stands in the place of Locust's own, which would count the same event by
its service time: Locust's table, charts and CSV then show the time from intent too, and every request once.
Our own client never fires the event through Locust, so nothing of it arrives here. Where a script's own listener
raises, Locust logs that and goes on; for the length of a run it also fails the arrival in which the event was fired.

A script also fires the event for figures of its own, which are no durations of a request: things in a basket, a
total of several steps, a latency that began before the arrival. The event does not say which it is, so:

* an event that began before the arrival it was fired in cannot be a request of that arrival;
* in a user that has an HTTP client, whose requests come with a response, an event without `response`, `url` and
  `start_time` is not one of that client's.

Both are *figures*: counted under `figure TYPE name`, with the value as given, in no rate and no sum over requests.
Everything else is a request. Whoever fires a request of a client of his own in a user that also has an HTTP client
passes `start_time`, as Locust's own clients do.

What an event cannot tell: a script that does something between the end of its request and the event, as in a
`catch_response` block that sleeps, has that time counted into the response time.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import gevent
from locust.contrib.fasthttp import LocustBadStatusCode
from locust.env import Environment

from loadtest.clock import Clock
from loadtest.drive.errors import error_class
from loadtest.drive.recorder import Recorder, is_locusts_own
from loadtest.drive.response import outcome_error
from loadtest.drive.serving import Serving
from loadtest.records import FIGURE, Outcome

_NS_PER_MS: Final = 1e6
_VAGUE: Final = ("network", "failure")
"""Classes that what an error was raised from may say more exactly."""
_MOST_CAUSES: Final = 8
_TOLERANCE_NS: Final = 1_000_000
"""By how much a duration told in milliseconds may be rounded up."""
_LONGEST_MS: Final = 1e12


class RequestEvents:
    """Listens to an environment's `request` event from `open` to `close`."""

    def __init__(self, environment: Environment, recorder: Recorder, serving: Serving, clock: Clock) -> None:
        self._hook = environment.events.request
        self._handlers = self._hook._handlers
        self._recorder = recorder
        self._serving = serving
        self._now_ns = clock.now_ns
        self._replaced: list[Any] = []

    def open(self) -> None:
        """Take the place of Locust's own listener."""
        self._replaced = [handler for handler in self._handlers if is_locusts_own(handler)]
        for handler in self._replaced:
            self._handlers.remove(handler)
        self._handlers.insert(0, self.on_request)
        self._hook.fire = self._fire  # type: ignore[method-assign]  # to know which arrival's request a listener broke at

    def close(self) -> None:
        """Give it back. Harmless when closed already."""
        if self.on_request in self._handlers:
            self._handlers.remove(self.on_request)
            self._handlers[:0] = self._replaced
            vars(self._hook).pop("fire", None)

    def _fire(self, *, reverse: bool = False, **told: Any) -> None:
        """`EventHook.fire`; what a listener of the script raises also fails the arrival that fired the event."""
        for handler in self._handlers[::-1] if reverse else list(self._handlers):
            self._recorder.call(handler, told)

    def on_request(
        self,
        request_type: str,
        name: str,
        response_time: float | None,
        response_length: int | None,
        exception: Exception | str | None = None,
        **told: Any,
    ) -> None:
        """Count one request of the calling greenlet; `response_time` is its service time in milliseconds."""
        done_ns = self._now_ns()
        request_type, name = str(request_type), str(name)
        took_ns = _span_ns(response_time, request_type, name)
        began_ns = done_ns - took_ns
        error = _as_exception(exception)
        label = None if error is None else _error_class(error)
        if self._is_figure(began_ns, told):
            # In the second in which it was told, whatever the value.
            shown = Outcome(
                request_type, name, done_ns, done_ns, done_ns + took_ns, response_length or 0, label
            )
            figure = shown._replace(method=FIGURE, name=f"{request_type} {name}")
            self._recorder.count_figure(shown, figure, error)
            return
        intended_ns = self._serving.intended_ns(began_ns)
        outcome = Outcome(request_type, name, intended_ns, began_ns, done_ns, response_length or 0, label)
        self._recorder.count(outcome, error, told.get("response"), told.get("url"))

    def _is_figure(self, began_ns: int, told: Mapping[str, Any]) -> bool:
        if self._serving.began_before_its_arrival(began_ns, _TOLERANCE_NS):
            return True
        bare = told.get("response") is None and told.get("url") is None and told.get("start_time") is None
        return bare and self._serving.has_http_client()

    on_request.counts_for_recorder = True  # type: ignore[attr-defined]  # see `recorder._is_third_party`


def _span_ns(response_time: float | None, request_type: str, name: str) -> int:
    """A time in milliseconds as nanoseconds, within what can be a duration. Raises `ValueError` for what is none."""
    try:
        return round(min(max(response_time or 0.0, 0.0), _LONGEST_MS) * _NS_PER_MS)
    except (TypeError, ValueError):  # a text; not a number
        raise ValueError(
            f"response_time of {request_type} {name}: expected milliseconds, got {response_time!r}"
        ) from None


def _as_exception(exception: Exception | str | None) -> Exception | None:
    """What scripts pass as `exception`: one, a text, or nothing; Locust takes any true value for a failure."""
    if not exception:
        return None
    return exception if isinstance(exception, Exception) else Exception(str(exception))


def _error_class(error: Exception) -> str:
    """The class of a failure, by the names that failures of our own client have."""
    status = getattr(getattr(error, "response", None), "status_code", None)  # of requests' HTTPError
    if isinstance(status, int):
        return f"status-{status}"
    if isinstance(error, LocustBadStatusCode):
        return outcome_error(error)
    named = (
        "timeout-read" if isinstance(cause, gevent.Timeout) else error_class(cause)
        for cause in _causes(error)
    )
    return next((name for name in named if name not in _VAGUE), error_class(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, what it was raised from, and so on: libraries wrap the error that says what happened.

    geventhttpclient, behind Locust's FastHttpUser, keeps it as `original`.
    """
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            return
        yield cause
        original = getattr(cause, "original", None)
        cause = original if isinstance(original, BaseException) else cause.__cause__ or cause.__context__
