"""FastHttpUser's client, request by request, on this package's connections.

`Session.request` is one straight line for what nearly all requests are: find the target, compose the head,
exchange it on an idle connection, note the outcome. Whatever is rarer (a body to encode, a failure, a
redirect, a cookie, a compressed body, a stream) is one test on that line and code elsewhere.

Each request ends in exactly one `Outcome` handed to the recorder, redirects included in it as Locust counts
them. The exception is a request whose user is killed while it waits: it has no end, and the arrival it
belongs to is counted as cancelled.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Collection, Container, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import lru_cache, partial
from http.cookiejar import CookieJar
from time import monotonic_ns
from typing import Any, NamedTuple, Self

from gevent import sleep
from locust.contrib.fasthttp import LocustBadStatusCode
from locust.user import User

from loadtest.drive.bodies import encode_body
from loadtest.drive.connection import Connection, ConnectionSettings
from loadtest.drive.cookies import store_cookies, with_cookies
from loadtest.drive.default_headers import DefaultHeaders
from loadtest.drive.errors import RedirectError
from loadtest.drive.heads import NO_BODY, Heads
from loadtest.drive.http1 import final_head
from loadtest.drive.pool import Pool
from loadtest.drive.recorder import Recorder
from loadtest.drive.redirects import REDIRECTS, redirected_call, without_description
from loadtest.drive.response import Call, Response, outcome_error
from loadtest.drive.streamed_response import StreamedResponse, response_type
from loadtest.drive.streams import EventParser, ServerSentEvent, iter_lines
from loadtest.drive.tls import ContextFactory, tls_client
from loadtest.drive.urls import Origin, base_url, target_of
from loadtest.records import FIRST_EVENT, NEXT_EVENT, Outcome

# The statuses FastHttpUser takes for success; a redirect that is not followed is among them.
_GOOD_STATUSES = frozenset([200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 301, 302, 303, 304, 307, 308])
_PLAIN_SUCCESSES = frozenset(status for status in _GOOD_STATUSES if status < 300)
USER_AGENT = "singlesday"
_ANNOUNCE_EMPTY_BODY = frozenset(["POST", "PUT", "PATCH"])  # RFC 9110, section 8.6
_SAFE_TO_REPEAT = frozenset(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])  # RFC 9110, section 9.2.2
_SMALL_BYTES = 4096  # up to here, searching head and body costs less than cutting the head off
_careful_header = re.compile(rb"\n(?:set-cookie|content-encoding):", re.IGNORECASE).search
_RARER = frozenset(["files", "max_redirects", "max_retries", "params"])
_MEANT = {
    "timeout": "the user's network_timeout, connection_timeout or total_timeout",
    "verify": "the user's insecure",
    "cert": "the user's ssl_context_factory",
    "proxies": "the user's proxy_host and proxy_port",
    "cookies": "client.cookiejar, or headers=",
}
"""What scripts mean by arguments of `requests`."""
# tuple.__new__ takes half the time of the classes' own __new__, which is Python.
_new_outcome: Callable[[tuple[Any, ...]], Outcome] = partial(tuple.__new__, Outcome)
_new_call: Callable[[tuple[Any, ...]], Call] = partial(tuple.__new__, Call)

Pools = MutableMapping[Origin, Pool]


class SessionSettings(NamedTuple):
    """How a session behaves; the attributes of `FastHttpUser` of the same names."""

    network_timeout: float = 60.0
    connection_timeout: float = 60.0
    total_timeout: float = float("inf")
    max_redirects: int = 30
    max_retries: int = 0
    concurrency: int = 10
    insecure: bool = False
    default_headers: tuple[tuple[str, str], ...] = ()
    ssl_context_factory: ContextFactory | None = None
    proxy: tuple[str, int] | None = None
    """Host and port of an HTTP proxy."""


class Session:
    """An HTTP client with the interface of Locust's `FastHttpSession`: the `client` of a `FastHttpUser`.

    `pools` may be shared by sessions that are to share connections; `now_ns` is the run clock. What scripts
    set of a session or its agent (`client.client`) in Locust counts here too.
    """

    redirect_response_codes: Container[int] = REDIRECTS
    """The statuses that are followed, if a redirect says where to."""
    retry_delay: float = 0.0
    """Seconds to wait before each of `max_retries`."""
    _valid_response_codes: Collection[int] = _GOOD_STATUSES
    _plain_successes: Container[int] = _PLAIN_SUCCESSES
    _owns_pools = False

    def __init__(  # noqa: PLR0917 - all but the first two are nearly always left out
        self,
        base: str | None,
        recorder: Recorder,
        user: User | None = None,
        settings: SessionSettings = SessionSettings(),  # noqa: B008 - immutable
        pools: Pools | None = None,
        now_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        self.user = user
        self.request_name: str | None = None
        """The name of all requests that bring none of their own; see `rename_request`."""
        self.intended_ns: int | None = None
        """When the next request was meant to start, if an arrival is being served; that request takes it."""
        self.let_others_run = False
        """Whether a request has waited since somebody set this to False, so that other greenlets ran."""
        self.auth_header: str | None = None
        self.base_url = base
        self._recorder = recorder
        self._settings = settings
        self._now_ns = now_ns
        self.max_redirects = settings.max_redirects
        self.max_retries = settings.max_retries
        self._owns_pools = pools is None
        self._pools: Pools = {} if pools is None else pools
        self._routes: dict[Origin, tuple[Pool, Heads]] = {}
        self._default_headers: DefaultHeaders | None = None
        self._cookies: CookieJar | None = None

    @property
    def base_url(self) -> str:
        """What relative URLs are relative to, without credentials. Those of a new one take effect."""
        return self._base.url

    @base_url.setter
    def base_url(self, url: str | None) -> None:
        self._base = base_url(url)
        self._remembered = self._base.remembered
        if self._base.username and self._base.password:
            self.auth_header = basic_auth(self._base.username, self._base.password)

    @property
    def cookiejar(self) -> CookieJar:
        """The cookies of this session."""
        if self._cookies is None:
            self._cookies = CookieJar()
        return self._cookies

    @cookiejar.setter
    def cookiejar(self, jar: CookieJar) -> None:
        self._cookies = jar

    @property
    def default_headers(self) -> DefaultHeaders:
        """The headers sent with every request that does not bring its own; a script may change them."""
        if self._default_headers is None:
            given = {"User-Agent": USER_AGENT, **dict(self._settings.default_headers)}
            self._default_headers = DefaultHeaders(given, self._routes.clear)
        return self._default_headers

    @default_headers.setter
    def default_headers(self, headers: Mapping[str, str]) -> None:
        self._default_headers = DefaultHeaders(headers, self._routes.clear)
        self._routes.clear()

    @property
    def valid_response_codes(self) -> Collection[int]:
        """The statuses that are a success."""
        return self._valid_response_codes

    @valid_response_codes.setter
    def valid_response_codes(self, codes: Collection[int]) -> None:
        self._valid_response_codes = codes
        self._plain_successes = _PLAIN_SUCCESSES.intersection(codes)

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
        headers: Mapping[str, str] | None = None,
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
        target = self._remembered.get(url) or self._base.locate(url)
        if data is None and json is None and not rarer:
            body, body_headers = b"", NO_BODY
        else:
            if not _RARER.issuperset(rarer):
                raise TypeError(_not_taken(method, rarer))
            body, body_headers = encode_body(data, json, rarer.get("files"))
            if rarer.get("files"):
                headers = without_description(headers)  # only the form knows its boundary
            if rarer.get("params") is not None:
                target = target_of(target.url, rarer["params"])
        if auth is not None or self.auth_header is not None or self._cookies is not None:
            headers = self._dressed(headers, auth, target.url)
        kind = response_type(catch_response, stream) if catch_response or stream else Response
        call = _new_call((method.upper(), target, headers, body, body_headers, kind))
        response = self._perform(call, rarer.get("max_retries"))
        if response.needs_care:
            response = self._care_for(response, rarer.get("max_redirects") if allow_redirects else 0)
        error = response.error
        outcome = _new_outcome(
            (
                method,
                name or self.request_name or url,
                intended_ns,
                response.sent_ns or intended_ns,
                response.done_ns,
                response.length,
                None if error is None else outcome_error(error),
            )
        )
        recorder = self._recorder
        if self.user is not None and (recorder.listeners or catch_response):
            context = {**self.user.context(), **(context or {})}
        response.report(recorder, outcome, context)
        return response

    def get(self, url: str, **kwargs: Any) -> Any:
        """Send a GET; see `request`."""
        return self.request("GET", url, **kwargs)

    def post(self, url: str, data: Any = None, json: Any = None, **kwargs: Any) -> Any:
        """Send a POST; see `request`."""
        return self.request("POST", url, data=data, json=json, **kwargs)

    def put(self, url: str, data: Any = None, **kwargs: Any) -> Any:
        """Send a PUT; see `request`."""
        return self.request("PUT", url, data=data, **kwargs)

    def patch(self, url: str, data: Any = None, **kwargs: Any) -> Any:
        """Send a PATCH; see `request`."""
        return self.request("PATCH", url, data=data, **kwargs)

    def delete(self, url: str, **kwargs: Any) -> Any:
        """Send a DELETE; see `request`."""
        return self.request("DELETE", url, **kwargs)

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
        name = name or self.request_name or url
        intended_ns = self._now_ns() if self.intended_ns is None else self.intended_ns
        headers = {"Accept": "text/event-stream", **(kwargs.pop("headers", None) or {})}
        response = self.request(method, url, name=name, stream=True, headers=headers, **kwargs)
        response.raise_for_status()
        gap = Outcome(FIRST_EVENT, name, intended_ns, response.sent_ns, 0, 0, None)
        parser = EventParser()
        try:
            for line in iter_lines(response.iter_content(decode_content=False)):
                event = parser.take_line(line)
                if event is not None:
                    now_ns = self._now_ns()
                    self._recorder.record(gap._replace(done_ns=now_ns, response_bytes=len(event.data)))
                    gap = Outcome(NEXT_EVENT, name, now_ns, now_ns, 0, 0, None)
                    yield event._replace(received_ns=now_ns)
        except OSError as error:
            self._recorder.record(gap._replace(done_ns=self._now_ns(), error=outcome_error(error)), error)
            raise

    def close(self) -> None:
        """Close all idle connections."""
        for pool in self._pools.values():
            pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __del__(self) -> None:
        # The event loop holds on to open connections, so a user that is gone has to let go of his own.
        if self._owns_pools:
            self.close()

    @property
    def client(self) -> "Session":
        """The session itself: FastHttpUser's scripts reach its connections as `client.client.clientpool`."""
        return self

    clientpool = client

    def _perform(self, call: Call, most_retries: int | None = None) -> Response:
        """Send `call` and return what came back, or a response that holds the error.

        A kept-alive connection that turns out to be dead is replaced if the request may be sent twice; so is
        any that failed, up to `max_retries` times.
        """
        method, target, headers, body, body_headers, kind = call
        pool, heads = self._routes.get(target.origin) or self._route_to(target.origin)
        length = len(body) if body or method in _ANNOUNCE_EMPTY_BODY else None
        sent = heads.compose(method, target.path, body_headers, headers, length) + body
        failures = 0
        while True:
            connection = None
            try:
                connection = pool.acquire()
                connection.exchange(sent, method == "HEAD", kind.streamed)
            except OSError as error:
                failed = self._failed(call, sent, connection, error)
                if not _may_repeat(failed):
                    return failed
                if connection is None or not connection.found_dead:
                    failures += 1
                    if failures > (self.max_retries if most_retries is None else most_retries):
                        return failed
                    sleep(self.retry_delay)
            else:
                self.let_others_run = True
                reader = connection.reader
                raw = reader.raw
                response = kind(
                    call, sent, reader.status, raw, reader.take_body(), connection.sent_ns, self._now_ns()
                )
                if reader.status not in self._plain_successes or _careful_header(
                    raw if len(raw) < _SMALL_BYTES else reader.head
                ):
                    response.needs_care = True
                if connection.paused and isinstance(response, StreamedResponse):
                    response.attach(connection, pool)
                return response
            finally:
                if connection is not None and not connection.paused:
                    pool.release(connection)

    def _failed(self, call: Call, sent: bytes, connection: Connection | None, error: OSError) -> Response:
        sent_ns = 0 if connection is None else connection.sent_ns
        response = call.response_type(call, sent, 0, b"", None, sent_ns, self._now_ns())
        response.error = error
        return response

    def _care_for(self, response: Response, most_redirects: int | None) -> Response:
        """Store cookies, follow redirects, undo the content coding, and judge the status."""
        first = response
        history: list[Response] = []
        if most_redirects is None:
            most_redirects = self.max_redirects
        while (headers := response.headers) is not None:
            if "set-cookie" in headers:
                store_cookies(self.cookiejar, headers, response.url)
            location = headers.get("location")
            if not most_redirects or response.status_code not in self.redirect_response_codes:
                break
            if not isinstance(location, str):
                break
            history.append(response)
            response = self._follow(response, location, len(history) > most_redirects)
        response.history = history
        response.sent_ns = first.sent_ns
        _judge(response, self._valid_response_codes)
        return response

    def _follow(self, response: Response, location: str, too_many: bool) -> Response:
        """What a redirect leads to."""
        response.release()
        try:
            if too_many:
                raise RedirectError("too many redirects")
            call = redirected_call(response.call, response.status_code, location, self._cookies)
        except (RedirectError, ValueError) as error:
            reason = error if isinstance(error, RedirectError) else RedirectError("redirect leads nowhere")
            return self._failed(response.call, response.sent, None, reason)
        return self._perform(call)

    def _route_to(self, origin: Origin) -> tuple[Pool, Heads]:
        """The pool and the prepared heads for an origin this session has not been to."""
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = self._pool_for(origin)
        own = self._default_headers
        defaults = self._settings.default_headers if own is None else tuple(own.items())
        # A proxy is told the whole URL, unless it only passes TLS through.
        target_prefix = (
            f"http://{origin.authority}" if self._settings.proxy and origin.scheme == "http" else ""
        )
        route = self._routes[origin] = (pool, _heads(origin.authority, defaults, target_prefix, own is None))
        return route

    def _pool_for(self, origin: Origin) -> Pool:
        settings = self._settings
        return Pool(
            origin,
            ConnectionSettings(
                settings.connection_timeout, settings.network_timeout, settings.total_timeout, self._now_ns
            ),
            settings.concurrency,
            tls_client(settings.insecure, settings.ssl_context_factory) if origin.scheme == "https" else None,
            settings.proxy,
        )

    def _dressed(
        self, headers: Mapping[str, str] | None, auth: tuple[str | bytes, str | bytes] | None, url: str
    ) -> Mapping[str, str] | None:
        """The caller's headers, in a copy with Authorization (from `auth`, else the base URL) and Cookie."""
        authorization = self.auth_header if auth is None else basic_auth(*auth)
        if authorization is not None:
            others = {
                name: value for name, value in (headers or {}).items() if name.lower() != "authorization"
            }
            headers = {**others, "Authorization": authorization}
        return headers if self._cookies is None else with_cookies(self._cookies, headers, url)


def basic_auth(user: str | bytes, password: str | bytes) -> str:
    """The value of an Authorization header (RFC 7617); text is encoded as Latin-1, as in FastHttpUser."""
    pair = [part.encode("latin-1") if isinstance(part, str) else part for part in (user, password)]
    return "Basic " + b64encode(b":".join(pair)).decode("ascii")


def _not_taken(method: str, arguments: Mapping[str, Any]) -> str:
    """Why an argument that FastHttpUser would quietly send to the target is refused."""
    name = min(arguments.keys() - _RARER)
    place = "a form field" if method.upper() == "POST" else "a query parameter"
    instead = _MEANT.get(name) or ("data=" if method.upper() == "POST" else "params=")
    return f"request() takes no {name}=, for locust.FastHttpUser sends it as {place}; use {instead}"


def _judge(response: Response, valid: Container[int]) -> None:
    """Undo the content coding, and note what makes the response a failure."""
    if response.error is None and response.content_coding and not response.streamed:
        try:
            response.decode()
        except OSError as error:
            response.error = error
            response.length = 0
    if response.error is None and response.status_code not in valid:
        response.error = LocustBadStatusCode(response.url, code=response.status_code)


def _may_repeat(failed: Response) -> bool:
    """Whether sending the request twice has the effect of sending it once."""
    return failed.call.method in _SAFE_TO_REPEAT or b"\r\nidempotency-key:" in final_head(failed.sent).lower()


@lru_cache(maxsize=256)
def _heads(
    authority: str, default_headers: tuple[tuple[str, str], ...], target_prefix: str, introduced: bool
) -> Heads:
    """The heads shared by all sessions that send the same headers to the same place.

    `introduced` adds a User-Agent where there is none.
    """
    prepared = {"Host": authority, "Accept-Encoding": "gzip, deflate, br"}
    if introduced:
        prepared["User-Agent"] = USER_AGENT
    given = {name.lower() for name, _ in default_headers}
    defaults = {name: value for name, value in prepared.items() if name.lower() not in given}
    return Heads(defaults | dict(default_headers), target_prefix)
