"""FastHttpUser's client, request by request, on this package's connections.

`Session.request` makes a call of what a script asks for, has it sent (`Sender`), and notes the outcome.

Each request ends in exactly one `Outcome` handed to the recorder, redirects included in it as Locust counts
them; one that the script cuts off by a `gevent.Timeout` as timed out. The exception is a request whose user is
killed while it waits: it has no end, and the arrival it belongs to is counted as cancelled.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic_ns
from typing import Any

from gevent import Timeout
from locust.user import User

from loadtest.drive._core import CORE
from loadtest.drive.agent import Pools, SessionSettings
from loadtest.drive.bodies import encode_body
from loadtest.drive.connection import Connection
from loadtest.drive.errors import AnswerError, ReadTimeoutError
from loadtest.drive.heads import NO_BODY, Heads
from loadtest.drive.pool import Pool
from loadtest.drive.recorder import Recorder
from loadtest.drive.redirects import without_description
from loadtest.drive.response import Call, CaughtResponse, Response, outcome_error
from loadtest.drive.routes import core_route
from loadtest.drive.sender import Begun, Sender, new_call
from loadtest.drive.streamed_response import response_type
from loadtest.drive.streams import EVENTS, EventParser, ServerSentEvent, T, Timed, iter_lines
from loadtest.drive.tokens import TOKENS
from loadtest.drive.urls import Origin, Target, target_of
from loadtest.records import Outcome, new_outcome

_RARER = frozenset(["files", "max_redirects", "max_retries", "params"])
_MEANT = {
    "timeout": "the user's network_timeout, connection_timeout or total_timeout",
    "verify": "the user's insecure",
    "cert": "the user's ssl_context_factory",
    "proxies": "the user's proxy_host and proxy_port",
    "cookies": "client.cookiejar, or headers=",
}
"""What scripts mean by arguments of `requests`."""


class Session(Sender):
    """An HTTP client with the interface of Locust's `FastHttpSession`: the `client` of a `FastHttpUser`.

    `pools` may be shared by sessions that are to share connections; `now_ns` is the run clock.
    """

    def __init__(  # noqa: PLR0917 - all but the first two are nearly always left out
        self,
        base: str | None,
        recorder: Recorder,
        user: User | None = None,
        settings: SessionSettings = SessionSettings(),  # noqa: B008 - immutable
        pools: Pools | None = None,
        now_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        super().__init__(base, settings, pools, now_ns)
        self.user = user
        self.request_name: str | None = None
        """The name of all requests that bring none of their own; see `rename_request`."""
        self._recorder = recorder
        origin = self._base.origin
        if CORE == "native" and origin is not None and origin.scheme == "http":
            self._route_to(origin)

    @contextmanager
    def rename_request(self, name: str) -> Iterator[None]:
        """Group the requests made inside the with-block under `name`."""
        self.request_name = name
        try:
            yield
        finally:
            self.request_name = None

    def request(  # noqa: PLR0917 - the order of Locust's parameters
        self,
        method: str,
        url: str,
        name: str | None = None,
        data: Any = None,
        catch_response: bool = False,
        stream: bool = False,
        headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        auth: tuple[str | bytes, str | bytes] | None = None,
        json: Any = None,
        allow_redirects: bool = True,
        context: Mapping[str, Any] | None = None,
        **rarer: Any,
    ) -> Any:
        """Send a request and return its `Response`; with `catch_response`, a `CaughtResponse`.

        `rarer` takes `params`, `files`, `max_redirects`, `max_retries`. With `stream` the request ends, for
        the statistics, with the response's head, and the script reads the rest with `iter_content`.

        Whatever goes wrong is in the response (`error`, `raise_for_status()`) and the statistics, not raised.
        Raises `ValueError` for a URL or header that cannot be sent, `TypeError` for such a body.
        """
        begun_ns = self._now_ns()
        intended_ns = begun_ns
        if self.intended_ns is not None:
            intended_ns, self.intended_ns = self.intended_ns, None
        if headers is not None:
            headers = headers.copy() if type(headers) is dict else _copied(headers)
        target = self._remembered.get(url) or self._base.locate(url)
        if rarer:
            target, headers = _heed(rarer, method, target, headers)
        if data is None and json is None and not rarer:
            body, body_headers = b"", NO_BODY
        else:
            body, body_headers = encode_body(data, json, rarer.get("files"))
        if auth is not None or self.auth_header is not None or self._cookies is not None:
            headers = self._dressed(headers, auth, target.url)
        kind = response_type(catch_response, stream) if catch_response or stream else Response
        call = new_call((method.upper(), target, headers, body, body_headers, kind))
        shown_as = name or self.request_name or url
        shown_as = shown_as if type(shown_as) is str else str(shown_as)  # also what else can be a key
        try:
            response = self._attempt(call)
            if response.error is not None or response.needs_care:
                most_redirects = rarer.get("max_redirects") if allow_redirects else 0
                response = self._seen_to(response, rarer.get("max_retries"), most_redirects)
        except Timeout as error:
            self._cut_off(call, error, shown_as, intended_ns, context)
            raise
        return self.finish(response, method, shown_as, intended_ns, catch_response, context)

    def _cut_off(
        self,
        call: Call,
        patience: Timeout,
        name: str,
        intended_ns: int,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        """Record a request that the script itself has given up, by a `gevent.Timeout`: it took at least so long."""
        reason = ReadTimeoutError(f"the script gave it up: {patience}")
        response = self._failed(call._replace(response_type=Response), b"", None, reason)
        self.finish(response, call.method, name, intended_ns, False, context)

    def finish(  # noqa: PLR0917 - on the hot path
        self,
        response: Response,
        method: str,
        name: str,
        intended_ns: int,
        catch_response: bool,
        context: Mapping[str, Any] | None = None,
    ) -> Response:
        """Hand over the outcome of a request, and return its response."""
        recorder, error = self._recorder, response.error
        if error is None and not catch_response and self.note(recorder, response, method, name, intended_ns):
            return response
        outcome = new_outcome(
            (
                method,
                name,
                intended_ns,
                response.sent_ns or intended_ns,
                response.done_ns,
                response.length,
                None if error is None else outcome_error(error),
                response.exchange,
            )
        )
        if self.user is not None and (recorder.listeners or catch_response):
            context = {**self.user.context(), **(context or {})}
        if isinstance(response, CaughtResponse):
            response.keep(recorder, outcome, context)
        else:
            recorder.record(outcome, error, response, context)
        return response

    def head(self, url: str, **kwargs: Any) -> Any:
        """Send a HEAD; see `request`."""
        return self.request("HEAD", url, **kwargs)

    def options(self, url: str, **kwargs: Any) -> Any:
        """Send an OPTIONS; see `request`."""
        return self.request("OPTIONS", url, **kwargs)

    def iter_lines(self, url: str, method: str = "GET", **kwargs: Any) -> Iterator[str]:
        """Send a request and yield the lines of the response as they arrive. Raises what made it fail."""
        response = self.request(method, url, stream=True, **kwargs)
        response.raise_for_status()
        yield from iter_lines(response.iter_content(decode_content=False))

    def events(
        self, url: str, method: str = "GET", name: str | None = None, **kwargs: Any
    ) -> Iterator[ServerSentEvent]:
        """Send a request and yield the server-sent events of its answer as they arrive.

        The request is recorded with the head of the response, as every streamed one. Two endpoints more are
        recorded under its name: `first event`, timed from the intent (its service time from the write), and
        `next event`, each timed from the event before it. Raises what made the request fail; a stream that
        breaks off is recorded as a failed `next event` and raised.
        """
        for event, _ in self._timed_events(url, method, name, EVENTS, kwargs):
            yield event

    def tokens(self, url: str, name: str | None = None, **kwargs: Any) -> Iterator[str]:
        """Send a POST and yield the tokens of its streamed answer as they arrive (`loadtest.drive.tokens`).

        As `events` does, but two other endpoints are recorded under the request's name: `first token`, the time to
        the first token, from the intent, and `next token`, the time per token after it. Raises what made the request
        fail; an answer that tells of an error, breaks off or has no token is recorded as failed there, and raised.
        """
        for _, token in self._timed_events(url, "POST", name, TOKENS, kwargs):
            yield token

    def _timed_events(
        self, url: str, method: str, name: str | None, timed: Timed[T], arguments: dict[str, Any]
    ) -> Iterator[tuple[ServerSentEvent, T]]:
        """The events of an answer that `timed` finds something in, each recorded when it arrives."""
        name = name or self.request_name or url
        intended_ns = self._now_ns() if self.intended_ns is None else self.intended_ns
        headers = {"Accept": "text/event-stream", **dict(arguments.pop("headers", None) or ())}
        response = self.request(method, url, name=name, stream=True, headers=headers, **arguments)
        response.raise_for_status()
        gap = Outcome(timed.first, name, intended_ns, response.sent_ns, 0, 0, None)
        parser = EventParser()
        try:
            for line in iter_lines(response.iter_content(decode_content=False)):
                event = parser.take_line(line)
                found = None if event is None else timed.find(event)
                if event is not None and found is not None:
                    now_ns = self._now_ns()
                    self._recorder.record(gap._replace(done_ns=now_ns, response_bytes=len(event.data)))
                    gap = Outcome(timed.following, name, now_ns, now_ns, 0, 0, None)
                    yield event._replace(received_ns=now_ns), found
            if timed.needed and gap.method == timed.first:
                raise AnswerError("the answer has none of what it was asked for")
        except OSError as error:
            self._recorder.record(gap._replace(done_ns=self._now_ns(), error=outcome_error(error)), error)
            raise

    def _route_to(self, origin: Origin) -> tuple[Pool, Heads]:
        """As the agent; what is plain to the base's origin, the core then sends on its own."""
        pool, heads = super()._route_to(origin)
        if (
            CORE == "native"
            and origin == self._base.origin
            and self._now_ns is monotonic_ns
            and type(self).request is Session.request
        ):
            self.route = core_route(pool, heads, self._base, self._recorder, self._routes)
        return pool, heads

    # What follows is called by the core.

    def _located(self, url: str, params: Any) -> Target:
        """The target of a request; see `request`."""
        target = self._remembered.get(url) or self._base.locate(url)
        return target if params is None else target_of(target.url, params)

    def _go_on(
        self,
        begun: Response,
        connection: Connection | None,
        raised: BaseException | None,
        intended_ns: int,
        name: str,
    ) -> Response:
        """Finish a request that the core has begun: its exchange was not plain."""
        call = begun.call
        try:
            response = self._seen_to(self._attempt(call, Begun(connection, raised, begun.sent)), None, None)
        except Timeout as error:
            self._cut_off(call, error, name, intended_ns)
            raise
        return self.finish(response, call.method, name, intended_ns, isinstance(response, CaughtResponse))

    def _take_care(self, response: Response, intended_ns: int, name: str) -> Response:
        """Finish a request to which the core has received an answer that is more than a plain success."""
        method = response.call.method
        cared = self._care_for(response, None)
        return self.finish(cared, method, name, intended_ns, isinstance(cared, CaughtResponse))


def _copied(headers: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Mapping[str, Any]:
    """Headers that stay as they are now: a script may change its own while the request waits."""
    if isinstance(headers, Mapping) and hasattr(headers, "copy"):
        copied: Mapping[str, Any] = headers.copy()  # of its own kind, which may have a name more than once
        return copied
    return dict(headers)


def _heed(
    rarer: Mapping[str, Any], method: str, target: Target, headers: Mapping[str, Any] | None
) -> tuple[Target, Mapping[str, Any] | None]:
    """The target and the headers of a request with arguments that few have. Raises `TypeError` for unknown ones."""
    if not _RARER.issuperset(rarer):
        raise TypeError(_not_taken(method, rarer))
    if rarer.get("files"):
        headers = without_description(headers)  # only the form knows its boundary
    if rarer.get("params") is not None:
        target = target_of(target.url, rarer["params"])
    return target, headers


def _not_taken(method: str, arguments: Mapping[str, Any]) -> str:
    """Why an argument that FastHttpUser would quietly send to the target is refused."""
    name = min(arguments.keys() - _RARER)
    place = "a form field" if method.upper() == "POST" else "a query parameter"
    instead = _MEANT.get(name) or ("data=" if method.upper() == "POST" else "params=")
    return f"request() takes no {name}=, for locust.FastHttpUser sends it as {place}; use {instead}"
