"""What a session is set to, and where its requests go: base URL, cookies, headers and connections.

Locust's session keeps this in an agent of its own, which scripts reach as `client.client`. Here the session is its
own agent.
"""

from base64 import b64encode
from collections.abc import Callable, Collection, Container, Mapping, MutableMapping
from functools import lru_cache
from http.cookiejar import CookieJar
from typing import NamedTuple, Self

from loadtest.drive._core import Messenger
from loadtest.drive.connection import ConnectionSettings
from loadtest.drive.cookies import with_cookies
from loadtest.drive.default_headers import DefaultHeaders
from loadtest.drive.heads import Heads
from loadtest.drive.pool import Pool
from loadtest.drive.redirects import REDIRECTS
from loadtest.drive.tls import ContextFactory, tls_client
from loadtest.drive.urls import Origin, base_url

# The statuses FastHttpUser takes for success; a redirect that is not followed is among them.
_GOOD_STATUSES = frozenset([200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 301, 302, 303, 304, 307, 308])
_PLAIN_SUCCESSES = frozenset(status for status in _GOOD_STATUSES if status < 300)
USER_AGENT = "singlesday"

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


class Agent(Messenger):
    """The settings and connections of one session. What scripts set of Locust's agent counts here too."""

    redirect_response_codes: Container[int] = REDIRECTS
    """The statuses that are followed, if a redirect says where to."""
    retry_delay: float = 0.0
    """Seconds to wait before each of `max_retries`."""
    _valid_response_codes: Collection[int] = _GOOD_STATUSES
    _plain_successes: Container[int] = _PLAIN_SUCCESSES
    _owns_pools = False

    def __init__(
        self, base: str | None, settings: SessionSettings, pools: Pools | None, now_ns: Callable[[], int]
    ) -> None:
        super().__init__()
        self._routes: dict[Origin, tuple[Pool, Heads]] = {}
        self.auth_header: str | None = None
        """The value of Authorization in requests that bring none; scripts set it to a token of their own."""
        self.base_url = base
        self.max_redirects = settings.max_redirects
        self.max_retries = settings.max_retries
        self._settings = settings
        self._now_ns = now_ns
        self._owns_pools = pools is None
        self._pools: Pools = {} if pools is None else pools
        self._default_headers: DefaultHeaders | None = None
        self._cookies: CookieJar | None = None

    @property
    def base_url(self) -> str:
        """What relative URLs are relative to, without credentials. Those of a new one take effect."""
        return self._base.url

    @base_url.setter
    def base_url(self, url: str | None) -> None:
        self._routes.clear()
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
        self.judges_all = True

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
    def client(self) -> Self:
        """The session itself: FastHttpUser's scripts reach its connections as `client.client.clientpool`."""
        return self

    clientpool = client

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
        authorization = basic_auth(auth[0], auth[1]) if auth else self.auth_header
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
