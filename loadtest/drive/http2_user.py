"""`Http2User`: requests over HTTP/2, by httpx and h2. Far slower than `FastHttpUser`; its times are as true.

Over TLS the protocol is agreed on by ALPN; without, it is spoken by prior knowledge (RFC 9113, section 3.3). A server
that answers by HTTP/1.1 is a failure, not a figure of HTTP/2. Each user has one connection, whose streams its own
requests and those of greenlets that it spawns share. Redirects are not followed: they would leave the allowed hosts.
"""

from typing import Any

from locust.env import Environment
from locust.exception import StopTest
from locust.user.users import User

from loadtest.drive.targets import allowed_targets
from loadtest.plan.target_address import target_address
from loadtest.release import installs

try:
    import httpx
except ImportError as error:
    raise ImportError(f"Http2User: needs the package httpx: {installs('http2')}") from error

HTTP2 = "HTTP/2"


def _check_host(request: httpx.Request) -> None:
    # A path goes to the base URL, which was checked; a whole URL may lead anywhere.
    allowed_targets().check(request.url.host, target_address(str(request.url)).port)


class Http2Client:
    """Requests of one user. Made for an `environment`, whose `request` event is told of each."""

    def __init__(self, environment: Environment, base_url: str, timeout_s: float, verify: Any) -> None:
        _, host, port = target_address(base_url)
        allowed_targets().check(host, port)
        self._measure = environment.events.request.measure
        self._client = httpx.Client(
            base_url=base_url,
            http1=False,
            http2=True,
            timeout=timeout_s,
            verify=verify,
            trust_env=False,
            event_hooks={"request": [_check_host]},
        )

    def request(self, method: str, url: str, *, name: str | None = None, **options: Any) -> httpx.Response:
        """Send one request and read all of its response; `options` are those of httpx.

        What fails is counted and not raised, as by Locust's clients: a status of 400 or above, another protocol than
        HTTP/2, and no response at all, which comes back as one of status 0.
        """
        response = httpx.Response(0)
        with self._measure(method, name or url) as told:
            response = self._client.request(method, url, **options)
            told |= {"response_length": len(response.content), "response": response, "url": str(response.url)}
            if response.http_version != HTTP2:
                raise httpx.RemoteProtocolError(f"expected {HTTP2}, got {response.http_version}")
            response.raise_for_status()
        return response

    def get(self, url: str, **options: Any) -> httpx.Response:
        """`request` with GET."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        """`request` with POST."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> httpx.Response:
        """`request` with PUT."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Any) -> httpx.Response:
        """`request` with PATCH."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Any) -> httpx.Response:
        """`request` with DELETE."""
        return self.request("DELETE", url, **options)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class Http2User(User):
    """A user whose `client` is an `Http2Client`."""

    timeout_s: float = 60.0
    """Seconds to wait for a connection, and for each next byte."""
    verify: Any = True
    """Whose certificates are good: as httpx has it, True or an `ssl.SSLContext`."""
    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if self.host is None:
            raise StopTest("Http2User: expected a host, in the class or by --host")
        self.client = Http2Client(environment, self.host, self.timeout_s, self.verify)
