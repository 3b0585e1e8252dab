"""Request heads as text, composed from as few pieces as possible.

The head of a request is its line, the headers that are the same for every request of the session (prepared
once per kind of request), and what the caller adds. `Heads` keeps the prepared middle for each combination
of kind of body and names of added headers, of which a script has a handful; only names matter, since an
added header replaces the prepared one of its name. Values, which may differ each time (an idempotency key),
are only joined in.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from loadtest.drive._core import Template

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_CONTROLS = bytes([*range(9), *range(10, 32), 127])  # all but the tab
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, section 5.5, as Latin-1
_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
_MOST_PREPARED = 1024

ANNOUNCE_EMPTY_BODY = frozenset(["POST", "PUT", "PATCH"])  # RFC 9110, section 8.6

JSON_BODY = (("Content-Type", "application/json"), ("Accept", "application/json"))
TEXT_BODY = (("Content-Type", "text/plain; charset=utf-8"),)
FORM_BODY = (("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),)
OCTETS_BODY = (("Content-Type", "application/octet-stream"),)
NO_BODY: tuple[tuple[str, str], ...] = ()

BodyHeaders = tuple[tuple[str, str], ...]


class Heads:
    """Composes the heads of requests that share `defaults`: headers sent unless the caller brings his own.

    `target_prefix` stands before every target: for a proxy, scheme and authority.
    """

    def __init__(self, defaults: Mapping[str, str], target_prefix: str = "") -> None:
        check_headers(defaults)
        self._target_prefix = target_prefix
        self._defaults = tuple(defaults.items())
        self._prepared: dict[tuple[BodyHeaders, tuple[str, ...]], tuple[str, bool, bool]] = {}
        self._bare: dict[tuple[str, str], bytes] = {}
        """Heads with nothing but a method and a target to themselves: the same bytes each time."""
        self.templates: list[Template] = []
        """What the core composes such heads from."""

    def compose(
        self,
        method: str,
        target: str,
        body_headers: BodyHeaders,
        added: Mapping[str, str] | None,
        length: int | None,
    ) -> bytes:
        """The bytes of a head, empty line included.

        `target` is the request target, quoted; `added` the caller's headers; `length` the Content-Length, if
        one is sent. Raises `ValueError` for a method that is no token, or a header that cannot be sent.
        """
        bare = added is None and length is None and body_headers is NO_BODY
        if bare and (known := self._bare.get((method, target))) is not None:
            return known
        if method not in _METHODS and not _TOKEN.fullmatch(method):
            raise ValueError(f"not an HTTP method: {method!r}")
        names = tuple(added) if added else ()
        prepared = self._prepared.get((body_headers, names))
        if prepared is None:
            prepared = self._prepare(body_headers, names)
        middle, framed_by_caller, distinct = prepared
        if added and not distinct:
            added = _last_of_each(added)
        head = f"{method} {self._target_prefix}{target} HTTP/1.1\r\n{middle}"
        if added:
            head += lines_of(added)
        if length is not None and not framed_by_caller:
            head += f"Content-Length: {length}\r\n"
        composed = (head + "\r\n").encode("latin-1")
        if bare and len(self._bare) < _MOST_PREPARED:
            self._bare[method, target] = composed
        return composed

    def sent(
        self,
        method: str,
        target: str,
        body_headers: BodyHeaders,
        added: Mapping[str, str] | None,
        body: bytes,
    ) -> bytes:
        """The bytes of a whole request; see `compose`."""
        length = len(body) if body or method in ANNOUNCE_EMPTY_BODY else None
        return self.compose(method, target, body_headers, added, length) + body

    def template(
        self, method: str, body_headers: BodyHeaders, added: Mapping[str, str] | None
    ) -> Template | None:
        """For the core: what is the same in all such heads.

        None where a caller says how long the body is, or gives a name twice.
        Raises `ValueError` for the name of an added header that is none.
        """
        names = tuple(added or ())
        middle, framed_by_caller, distinct = self._prepare(body_headers, names)
        if framed_by_caller or not distinct:
            return None
        sized = body_headers is not NO_BODY or method in ANNOUNCE_EMPTY_BODY
        start = f"{method} {self._target_prefix}".encode("latin-1")
        return Template(method, body_headers, names, start, middle.encode("latin-1"), sized)

    def _prepare(self, body_headers: BodyHeaders, names: tuple[str, ...]) -> tuple[str, bool, bool]:
        """The lines that no added header replaces; whether the caller frames the body; whether all names differ."""
        check_names(names)
        taken = {name.lower() for name in names}
        ranked = (
            (*self._defaults, *body_headers)
            if body_headers is JSON_BODY
            else (*body_headers, *self._defaults)
        )
        last_wins = {name.lower(): (name, value) for name, value in ranked}
        middle = lines_of(dict(line for key, line in last_wins.items() if key not in taken))
        framed_by_caller = not taken.isdisjoint({"content-length", "transfer-encoding"})
        prepared = (middle, framed_by_caller, len(taken) == len(names))
        if len(self._prepared) >= _MOST_PREPARED:
            self._prepared.clear()
        self._prepared[(body_headers, names)] = prepared
        return prepared


def lines_of(headers: Mapping[str, Any]) -> str:
    """Header lines, each with its CRLF; a list or tuple has one for each element (RFC 9110, section 5.2).

    Raises `ValueError` for a value that is not one line of Latin-1.
    """
    if not headers:
        return ""
    try:
        lines, count = "\r\n".join(map(": ".join, headers.items())) + "\r\n", len(headers)
        values = "".join(headers.values())
        if values.isascii() and values.isprintable():
            return lines
    except TypeError:  # a value that is no text
        pairs = _as_text(headers)
        lines, count = "".join([f"{name}: {value}\r\n" for name, value in pairs]), len(pairs)
    try:
        sent = lines.encode("latin-1")
    except UnicodeEncodeError:
        sent = b""
    if len(sent) - len(sent.translate(None, _CONTROLS)) != 2 * count:
        _check_values(headers)
    return lines


def _as_text(headers: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, str(one))
        for name, value in headers.items()
        for one in (value if isinstance(value, list | tuple) else (value,))
    ]


def _check_values(headers: Mapping[str, Any]) -> None:
    """Raise `ValueError` for a value with a control character, or beyond Latin-1."""
    for name, value in _as_text(headers):
        if not _FIELD_VALUE.fullmatch(value):
            raise ValueError(
                f"header {name}: a value is one line of Latin-1 without control characters, not {value!r}"
            )


def _last_of_each(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Of names that differ in their case alone, the last."""
    return dict({name.lower(): (name, value) for name, value in headers.items()}.values())


def check_names(names: Iterable[str]) -> None:
    """Raise `ValueError` for a name that is not a token."""
    for name in names:
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"not a header name: {name!r}")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise `ValueError` for a name that is not a token or a value with a line break."""
    check_names(headers)
    lines_of(headers)
