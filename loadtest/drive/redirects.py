"""What a redirect makes of a request (RFC 9110, section 15.4), as FastHttpUser does it."""

from collections.abc import Mapping
from http.cookiejar import CookieJar

from loadtest.drive.cookies import with_cookies
from loadtest.drive.heads import NO_BODY, BodyHeaders
from loadtest.drive.response import Call
from loadtest.drive.urls import redirected

REDIRECTS = frozenset([301, 302, 303, 307, 308])
_KEEPING_THE_BODY = frozenset([307, 308])
_DESCRIBING_THE_BODY = frozenset(["content-length", "content-type", "content-encoding", "transfer-encoding"])


def without_description(headers: Mapping[str, str] | None) -> dict[str, str]:
    """The headers that say nothing about a body."""
    return {
        name: value for name, value in (headers or {}).items() if name.lower() not in _DESCRIBING_THE_BODY
    }


def _with_defaults(headers: Mapping[str, str] | None, defaults: BodyHeaders) -> dict[str, str]:
    given = {name.lower() for name in headers or ()}
    return {name: value for name, value in defaults if name.lower() not in given} | dict(headers or {})


def redirected_call(call: Call, status: int, location: str, cookies: CookieJar | None) -> Call:
    """The call that a redirect asks for. Raises `ValueError` if `location` is no http or https URL.

    301, 302 and 303 become a GET (a HEAD stays one) without a body. Credentials do not leave the origin they are
    for, and cookies are chosen anew.
    """
    target = redirected(call.target.url, location)
    dropped = {"cookie"}
    if target.origin != call.target.origin:
        dropped.add("authorization")
    if status not in _KEEPING_THE_BODY:
        dropped |= _DESCRIBING_THE_BODY
        # What came with a JSON body without describing it: Accept.
        call = call._replace(
            method="HEAD" if call.method == "HEAD" else "GET",
            headers=_with_defaults(call.headers, call.body_headers),
            body=b"",
            body_headers=NO_BODY,
        )
    headers = {name: value for name, value in (call.headers or {}).items() if name.lower() not in dropped}
    if cookies is None:
        return call._replace(target=target, headers=headers)
    return call._replace(target=target, headers=with_cookies(cookies, headers, target.url))
