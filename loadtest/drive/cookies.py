"""Cookies: the standard library's jar, spoken to in the requests and responses it expects."""

from collections.abc import Mapping
from http.cookiejar import CookieJar
from typing import Any, cast

from geventhttpclient.header import Headers
from geventhttpclient.useragent import CompatRequest


class _Answer:
    """As much of a response as the jar looks at."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def info(self) -> Headers:
        return self._headers


def store_cookies(jar: CookieJar, headers: Headers, url: str) -> None:
    """Put what the `Set-Cookie` headers of a response from `url` say into the jar."""
    jar.extract_cookies(cast("Any", _Answer(headers)), CompatRequest(url, headers=Headers()))


def with_cookies(jar: CookieJar, headers: Mapping[str, str] | None, url: str) -> Mapping[str, str] | None:
    """`headers` and, in a copy, the Cookie header for `url`, unless the caller has one of his own."""
    request = CompatRequest(url, headers=Headers())
    jar.add_cookie_header(request)
    cookie = request.headers.get("cookie")
    if not cookie or any(name.lower() == "cookie" for name in headers or ()):
        return headers
    return {**(headers or {}), "Cookie": str(cookie)}
