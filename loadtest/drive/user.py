"""`FastHttpUser`: Locust's user of that name on this package's client.

Change `from locust import FastHttpUser` to `from loadtest import FastHttpUser` and a locustfile runs as
before, several times faster. What differs on purpose: TLS certificates are verified unless `insecure =
True`, and only loopback and listed hosts can be loaded (see `targets`).
"""

from locust.env import Environment
from locust.exception import StopTest
from locust.user.users import RestMixin, User

from loadtest.drive.recorder import recorder_for
from loadtest.drive.response import CaughtResponse
from loadtest.drive.session import Session, SessionSettings


class FastHttpUser(User, RestMixin[CaughtResponse]):
    """A user whose `client` is a `Session`. Set the class attributes in a subclass, before users are made."""

    network_timeout: float = 60.0
    """Seconds to wait for the next byte of a response."""
    connection_timeout: float = 60.0
    """Seconds to wait for a connection."""
    default_headers: dict[str, str] | None = None
    """Headers added to every request that does not bring its own of the same name."""
    concurrency: int = 10
    """Requests of one user at a time; more wait."""
    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if self.host is None:
            raise StopTest(
                "You must specify the base host. Either in the host attribute in the User class, "
                "or on the command line using the --host option."
            )
        self.client: Session = Session(self.host, recorder_for(environment), self, self._session_settings())

    def _session_settings(self) -> SessionSettings:
        return SessionSettings(
            network_timeout=self.network_timeout,
            connection_timeout=self.connection_timeout,
            concurrency=self.concurrency,
            default_headers=tuple((self.default_headers or {}).items()),
        )
