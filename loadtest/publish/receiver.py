"""Where a run's metrics are pushed to: an address, and what it takes to be let in there.

Credentials come from the environment, since a command line is for everybody to read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from loadtest.address import check_clear
from loadtest.place import is_loopback
from loadtest.publish.remote_write import HEADERS
from loadtest.secret import SecretError, secret_in

if TYPE_CHECKING:
    import requests

TOKEN, USER, PASSWORD = (f"LOADTEST_REMOTE_WRITE_{name}" for name in ("TOKEN", "USER", "PASSWORD"))


class BadReceiverError(ValueError):
    """A URL that nothing can be pushed to, or not safely; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where to push to, and with which authorization."""

    url: str
    authorization: tuple[str, str] | str = ""
    """(user, password), or a bearer token; empty for none."""

    @classmethod
    def of(cls, url: str, environ: Mapping[str, str]) -> "Receiver":
        """The receiver at `url` with the environment's credentials. Raises `BadReceiverError`."""
        try:
            check_clear(url)
            parts = urlsplit(url)
        except ValueError as error:
            raise BadReceiverError(str(error)) from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BadReceiverError("expected an address such as http://127.0.0.1:9090/api/v1/write")
        if parts.username or parts.password:
            raise BadReceiverError(f"credentials belong in the environment: {USER}, {PASSWORD} or {TOKEN}")
        try:
            user, password, token = (secret_in(environ, name) for name in (USER, PASSWORD, TOKEN))
        except SecretError as error:
            raise BadReceiverError(str(error)) from error
        if token and user:
            raise BadReceiverError(f"{TOKEN} and {USER} are both set: expected one of them")
        if (token or user) and parts.scheme == "http" and not is_loopback(parts.hostname):
            raise BadReceiverError("credentials beyond this machine need https")
        return cls(url, (user, password) if user else token)

    @property
    def session(self) -> "requests.Session":
        """Connections that carry the authorization; a proxy of the environment is for other machines."""
        import requests  # noqa: PLC0415 - every command checks a receiver, only a master pushes

        session = requests.Session()
        session.trust_env = not is_loopback(urlsplit(self.url).hostname or "")
        session.headers.update(HEADERS | {"User-Agent": "singlesday"})
        session.auth = self.authorization if isinstance(self.authorization, tuple) else self._bear
        return session

    def _bear(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        if self.authorization:
            request.headers["Authorization"] = f"Bearer {self.authorization}"
        return request  # and none of ~/.netrc
