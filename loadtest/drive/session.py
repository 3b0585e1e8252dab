"""FastHttpUser's client, request by request, on this package's connections.

`Session.request` is one straight line for what nearly all requests are: find the target, compose the head,
exchange it on an idle connection, note the outcome. Whatever is rarer (a body to encode, a failure, a
redirect, a cookie, a compressed body) is one test on that line and a method elsewhere.

Each request ends in exactly one `Outcome` handed to the recorder, redirects included in it as Locust counts
them. The exception is a request whose user is killed while it waits: it has no end, and the arrival it
belongs to is counted as cancelled.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from time import monotonic_ns
from typing import Any, NamedTuple

from locust.contrib.fasthttp import LocustBadStatusCode
from locust.user import User

from loadtest.drive.bodies import encode_body
from loadtest.drive.heads import NO_BODY, Heads
from loadtest.drive.pool import Pool, PoolSettings
from loadtest.drive.recorder import Recorder
from loadtest.drive.response import CaughtResponse, Response, outcome_error
from loadtest.drive.urls import Origin, base_url, target_of
from loadtest.records import Outcome

# The statuses FastHttpUser takes for success; a redirect that is not followed is among them.
_GOOD_STATUSES = frozenset([200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 301, 302, 303, 304, 307, 308])
_ANNOUNCE_EMPTY_BODY = frozenset(["POST", "PUT", "PATCH"])  # RFC 9110, section 8.6
_SAFE_TO_REPEAT = frozenset(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])  # RFC 9110, section 9.2.2


class SessionSettings(NamedTuple):
    """How a session behaves; the attributes of `FastHttpUser` of the same names."""

    network_timeout: float = 60.0
    connection_timeout: float = 60.0
    concurrency: int = 10
    default_headers: tuple[tuple[str, str], ...] = ()


class Session:
    """An HTTP client with the interface of Locust's `FastHttpSession`: the `client` of a `FastHttpUser`."""

    def __init__(
        self,
        base: str | None,
        recorder: Recorder,
        user: User | None = None,
        settings: SessionSettings = SessionSettings(),  # noqa: B008 - immutable
        now_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        self.user = user
        self.request_name: str | None = None
        """The name of all requests that bring none of their own; see `rename_request`."""
        self.intended_ns: int | None = None
        """When the next request was meant to start, if an arrival is being served; that request takes it."""
        self.auth_header: str | None = None
        self._base = base_url(base)
        self._recorder = recorder
        self._settings = settings
        self._now_ns = now_ns
        self._routes: dict[Origin, tuple[Pool, Heads]] = {}
        if self._base.username and self._base.password:
            self.auth_header = basic_auth(self._base.username, self._base.password)

    @property
    def base_url(self) -> str:
        """What relative URLs are relative to, without credentials."""
        return self._base.url

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
        headers: Mapping[str, str] | None = None,
        auth: tuple[str | bytes, str | bytes] | None = None,
        json: Any = None,
        context: Mapping[str, Any] | None = None,
        params: Any = None,
        files: Any = None,
    ) -> Any:
        """Send a request and return its `Response`; with `catch_response`, a `CaughtResponse`.

        Whatever goes wrong is in the response (`error`, `raise_for_status()`) and the statistics, not raised.
        Raises `ValueError` for a URL or header that cannot be sent, `TypeError` for such a body.
        """
        begun_ns = self._now_ns()
        intended_ns, self.intended_ns = self.intended_ns, None
        target = self._base.locate(url) if params is None else target_of(self._base.absolute(url), params)
        body, body_headers = (
            (b"", NO_BODY) if data is json is files is None else encode_body(data, json, files)
        )
        if auth is not None or self.auth_header is not None:
            headers = self._authorized(headers, auth)
        pool, heads = self._routes.get(target.origin) or self._route_to(target.origin)
        length = len(body) if body or method in _ANNOUNCE_EMPTY_BODY else None
        head = heads.compose(method, target.path, body_headers, headers, length)
        kind = CaughtResponse if catch_response else Response
        response = self._exchange(pool, kind(method, target.url, head, body))
        if intended_ns is None:
            intended_ns = begun_ns
        error = response.error
        outcome = Outcome(
            method,
            name or self.request_name or url,
            intended_ns,
            response.sent_ns or intended_ns,
            response.done_ns,
            len(response.content) if response.content else 0,
            None if error is None else outcome_error(error),
        )
        recorder = self._recorder
        if self.user is not None and (recorder.listeners or catch_response):
            context = {**self.user.context(), **(context or {})}
        if isinstance(response, CaughtResponse):
            response.hold(recorder, outcome, context)
        else:
            recorder.record(outcome, error, response, context)
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

    def close(self) -> None:
        """Close all idle connections."""
        for pool, _ in self._routes.values():
            pool.close()

    def _exchange(self, pool: Pool, response: Response) -> Response:
        """Send what `response` is to answer, and fill it in: with what came back, or with an error.

        A kept-alive connection that turns out to be dead is replaced, if the request may be sent twice.
        """
        head, body = response.sent_head, response.sent_body
        while True:
            connection = None
            try:
                connection = pool.acquire()
                connection.exchange(head + body if body else head, response.method == "HEAD")
                response.done_ns = self._now_ns()
            except OSError as error:
                if connection is not None and connection.found_dead and _may_repeat(response.method, head):
                    continue
                response.done_ns = self._now_ns()
                response.error = error
            finally:
                if connection is not None:
                    response.sent_ns = connection.sent_ns
                    pool.release(connection)
            break
        if response.error is None and connection is not None:
            reader = connection.reader
            response.fill(reader.status, reader.head, reader.take_body())
            if reader.status not in _GOOD_STATUSES:
                response.error = LocustBadStatusCode(response.url, code=reader.status)
        return response

    def _route_to(self, origin: Origin) -> tuple[Pool, Heads]:
        """The pool and the prepared heads for an origin this session has not been to."""
        settings = self._settings
        pool = Pool(
            origin.host,
            origin.port,
            PoolSettings(
                settings.connection_timeout, settings.network_timeout, self._now_ns, settings.concurrency
            ),
        )
        route = self._routes[origin] = (pool, _heads(origin.authority, settings.default_headers))
        return route

    def _authorized(
        self, headers: Mapping[str, str] | None, auth: tuple[str | bytes, str | bytes] | None
    ) -> Mapping[str, str]:
        """A copy of the caller's headers with Authorization: from `auth`, else from the base URL."""
        authorization = self.auth_header if auth is None else basic_auth(*auth)
        return {**(headers or {}), "Authorization": authorization or ""}


def basic_auth(user: str | bytes, password: str | bytes) -> str:
    """The value of an Authorization header (RFC 7617); text is encoded as Latin-1, as in FastHttpUser."""
    pair = [part.encode("latin-1") if isinstance(part, str) else part for part in (user, password)]
    return "Basic " + b64encode(b":".join(pair)).decode("ascii")


def _may_repeat(method: str, head: bytes) -> bool:
    """Whether sending a request twice has the effect of sending it once."""
    return method in _SAFE_TO_REPEAT or b"\r\nidempotency-key:" in head.lower()


@lru_cache(maxsize=256)
def _heads(authority: str, default_headers: tuple[tuple[str, str], ...]) -> Heads:
    """The heads shared by all sessions that send the same headers to the same place."""
    prepared = {"Host": authority, "User-Agent": "singlesday", "Accept-Encoding": "gzip, deflate, br"}
    given = {name.lower() for name, _ in default_headers}
    return Heads(
        {name: value for name, value in prepared.items() if name.lower() not in given} | dict(default_headers)
    )
