"""From what a script calls a URL to where a connection goes and what the request line says.

A script passes mostly paths, the same few dozen or one with an id in it. `BaseUrl` is shared by all
sessions with the same base (ten thousand users are one `BaseUrl`) and remembers the targets it has worked
out, up to a bound.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from geventhttpclient.url import URL

_MOST_REMEMBERED = 4096
_ABSOLUTE = re.compile(r"https?://", re.IGNORECASE)
# A path with nothing to quote, split or normalise: what `Target` makes of it is known without parsing.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,/:=@]*(?:\?[A-Za-z0-9\-._~!$&'()*+,/:;=?@]+)?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Where connections go: scheme (`http` or `https`), host name and port."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class Target(NamedTuple):
    """One URL, worked out."""

    origin: Origin
    path: str
    """The request target: path and query, quoted."""
    url: str
    """The whole URL, as the script meant it."""


def target_of(url: str, params: Any = None) -> Target:
    """Work out an absolute `url`, its query extended by `params` as FastHttpUser does it.

    Raises `ValueError` if the scheme is not http or https, the host is missing or the port is not a number.
    """
    parsed = URL(url, params=params)
    if parsed.scheme not in _DEFAULT_PORTS or not parsed.host:
        raise ValueError(f"not an http or https URL: {url!r}")
    path = parsed.quoted_uri
    origin = Origin(parsed.scheme, parsed.host, parsed.port or _DEFAULT_PORTS[parsed.scheme])
    return Target(origin, path if path.startswith("/") else f"/{path}", url)


def redirected(url: str, location: str) -> Target:
    """Work out where a redirect from `url` to `location` leads. Raises `ValueError` as `target_of` does."""
    return target_of(str(URL(url).redirect(location)))


class BaseUrl:
    """What relative URLs are relative to. Get it with `base_url`."""

    def __init__(self, url: str | None) -> None:
        self.url, self.username, self.password = _without_credentials(url or "")
        self.remembered: dict[str, Target] = {}
        """What `locate` has worked out; for reading."""
        self._base = target_of(self.url) if self.url else None

    @property
    def origin(self) -> Origin | None:
        """Where relative URLs lead, None without a base."""
        return self._base.origin if self._base else None

    @property
    def is_bare(self) -> bool:
        """Whether a plain path is a request target as it stands."""
        return self._base is not None and self._base.path == "/"

    def locate(self, url: str) -> Target:
        """Work out `url`: a path is appended to the base, as in FastHttpUser. Raises `ValueError`."""
        target = self.remembered.get(url)
        if target is not None:
            return target
        if len(self.remembered) >= _MOST_REMEMBERED:
            self.remembered.clear()
        target = self.remembered[url] = self._work_out(url)
        return target

    def absolute(self, url: str) -> str:
        """The whole URL that `url` stands for."""
        return url if _ABSOLUTE.match(url) else f"{self.url}{url}"

    def _work_out(self, url: str) -> Target:
        if self._base is not None and self.is_bare and _PLAIN_PATH.fullmatch(url):
            return Target(self._base.origin, url, f"{self.url}{url}")
        return target_of(self.absolute(url))


def _without_credentials(url: str) -> tuple[str, str | None, str | None]:
    """The URL without user and password, and these, percent-decoded."""
    parts = urlsplit(url)
    if not (parts.username and parts.password):
        return url, None, None
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, unquote(parts.username), unquote(parts.password)


@lru_cache(maxsize=1024)
def base_url(url: str | None) -> BaseUrl:
    """The shared `BaseUrl` of `url`."""
    return BaseUrl(url)
