"""`FastHttpUser`: Locust's user of that name on this package's client.

Change `from locust import FastHttpUser` to `from loadtest import FastHttpUser` and a locustfile runs as
before, several times faster. What differs on purpose, and why: docs/fast-client.md.
"""

from typing import Any
from weakref import WeakKeyDictionary

from locust.env import Environment
from locust.exception import StopTest
from locust.user.users import RestMixin, User

from loadtest.drive.agent import Pools, SessionSettings
from loadtest.drive.recorder import recorder_for
from loadtest.drive.response import CaughtResponse
from loadtest.drive.run_context import run_context
from loadtest.drive.session import Session
from loadtest.drive.tls import ContextFactory
from loadtest.drive.tracing import TracedSession


class FastHttpUser(User, RestMixin[CaughtResponse]):
    """A user whose `client` is a `Session`. Set the class attributes in a subclass, before users are made."""

    network_timeout: float = 60.0
    """Seconds to wait for the next byte of a response."""
    connection_timeout: float = 60.0
    """Seconds to wait for a connection."""
    total_timeout: float = float("inf")
    """Seconds from sending a request to the last byte of its response; FastHttpUser has no such limit."""
    max_redirects: int = 30
    """Redirects to follow for one request; with more it fails."""
    max_retries: int = 0
    """How often to repeat a request that failed without a response and may be sent twice."""
    insecure: bool = False
    """Whether to accept any TLS certificate. FastHttpUser's default is True."""
    default_headers: dict[str, str] | None = None
    """Headers added to every request that does not bring its own of the same name."""
    concurrency: int = 10
    """Requests of one user at a time; more wait."""
    proxy_host: str | None = None
    """A proxy to send everything through; it has to be an allowed target, and so does what is behind it."""
    proxy_port: int | None = None
    client_pool: Any = None
    """Users with the same object here share their connections. FastHttpUser takes a geventhttpclient
    `HTTPClientPool`, of which this one uses the `concurrency`; any other object does as well."""
    ssl_context_factory: ContextFactory | None = None
    """Returns the SSLContext to use; it decides what is verified, and `insecure` only leaves out the name."""
    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if self.host is None:
            raise StopTest(
                "You must specify the base host. Either in the host attribute in the User class, "
                "or on the command line using the --host option."
            )
        tracer = run_context(environment).tracer
        make = Session if tracer is None else TracedSession
        self.client: Session = make(
            self.host,
            recorder_for(environment),
            self,
            self._session_settings(),
            _shared_pools(self.client_pool),
        )
        if tracer is not None and isinstance(self.client, TracedSession):
            self.client.tracer = tracer

    def _session_settings(self) -> SessionSettings:
        pool_arguments = getattr(self.client_pool, "client_args", {})
        return SessionSettings(
            network_timeout=self.network_timeout,
            connection_timeout=self.connection_timeout,
            total_timeout=self.total_timeout,
            max_redirects=self.max_redirects,
            max_retries=self.max_retries,
            concurrency=pool_arguments.get("concurrency", self.concurrency),
            insecure=self.insecure,
            default_headers=tuple((self.default_headers or {}).items()),
            ssl_context_factory=self.ssl_context_factory,
            proxy=None if self.proxy_host is None else (self.proxy_host, self.proxy_port or 80),
        )


_pools_by_owner: "WeakKeyDictionary[Any, Pools]" = WeakKeyDictionary()


def _shared_pools(client_pool: Any) -> Pools | None:
    """The connections that all sessions with this `client_pool` share; None for a session of its own."""
    return None if client_pool is None else _pools_by_owner.setdefault(client_pool, {})
