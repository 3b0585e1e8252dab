"""Requests as somebody's browser, `curl` or collection sent them: what a script of a session is made of."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote_plus, urlsplit

from loadtest.importing.import_error import ImportingError

ASSETS = tuple(
    f".{end}"
    for end in "css js mjs map png jpg jpeg gif svg ico webp avif woff woff2 ttf mp4 webm".split()  # noqa: SIM905
)
"""What a browser fetches once and keeps; a load test mostly leaves it to the cache before the service."""


_FIRST_PART = re.compile(r"(?:[\w-]+:[^\r\n]*\r?\n|\r?\n)*(--[^\r\n]+?)[ \t]*\r?\n[\w-]+:")
"""How a `multipart/form-data` body begins, in some recordings with its headers: its first line parts it."""
_PART_NAME = re.compile(r"""(?i)(?<![\w*])name=(?:"([^"]*)"|([^\s";]+))""")
_FORM_PAIR = re.compile(r"(?:^|(?<=&))([^&=]*)=([^&]*)")
_FORM_TEXT = re.compile(r"[^\s=&<>{}\"':]+=[^\s&<>{}\"']*(?:&+[^\s=&<>{}\"':]+=[^\s&<>{}\"']*)*&*\s*")
"""A form that is sent as plain text."""
_NAMED = re.compile(
    r"""<([\w:.-]+)(?:\s[^<>]*)?>([^<]+)</"""
    r"""|(?<![\w.-])(?:([\w.-]+)\\?["']?\s*[=:]\s*\\?"([^"\\]+)"""
    r"""|([\w.-]+)["']?\s*[=:]\s*'([^']+)'"""
    r"""|([\w.-]+)["']?\s*[=:]\s*([^\s"'&,;<>{}()\[\]\\]+))"""
)
"""A name and its value in XML, in what is nearly JSON, and in `name=value` and `name: value`.

A name is looked for where it begins, so that a long text is looked through once.
"""
_MOST_PARTED = 5
"""Levels of forms within parts of forms; browsers send one, mail programs two (A)."""
_MOST_NESTED = 100
"""Levels of JSON, of which a script can write 200 within each other; what goes deeper is text (A)."""


class Named(NamedTuple):
    """A value that has a name, in a body that is text."""

    name: str
    value: str
    begin: int
    end: int
    """Where it is written in the body."""
    is_field: bool = False
    """Whether it is a field of a form, and not any text with a name before it."""


class Recorded(NamedTuple):
    """One request, and what is known of its answer."""

    method: str
    url: str
    """Whole, with scheme and host."""
    headers: tuple[tuple[str, str], ...] = ()
    json_body: Any = None
    form: tuple[tuple[str, str], ...] = ()
    """Names and values; a name may come twice."""
    text: str | None = None
    """A body that is neither JSON nor a form."""
    at_s: float = 0.0
    """Since the first."""
    status: int = 0
    """0 is not known."""
    logins: tuple[str, ...] = ()
    """Names of headers, and of what is in the query, whose values are secrets whatever they are called."""
    answer: Any = None
    """The answer's JSON, if it had one."""


def address_parts(url: str, where: str) -> SplitResult:
    """The parts of an address of HTTP. Raises `ImportingError` beginning with `where` for anything else."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # brackets that hold no address, a port beyond 65535
        known = False
    if not known:
        raise ImportingError(f'{where}: expected an address with http:// or https://, got "{url[:80]}"')
    return parts


def of_one_host(
    recorded: Sequence[Recorded], source: str, *, assets: bool
) -> tuple[list[Recorded], str, list[str]]:
    """The requests to the host that got most of them, that host's address, and notes on what was left out.

    Raises `ImportingError` if none is left.
    """
    notes = []
    plain = [one for one in recorded if assets or not urlsplit(one.url).path.lower().endswith(ASSETS)]
    if len(plain) < len(recorded):
        notes.append(
            f"{counted(len(recorded) - len(plain), 'picture, style or script', 'pictures, styles and scripts')} "
            "left out; --assets keeps them"
        )
    hosts = Counter(_host(one.url) for one in plain)
    if not hosts:
        raise ImportingError(f"{source}: expected at least one request over HTTP, got none")
    host = hosts.most_common(1)[0][0]
    others = {name: requests for name, requests in hosts.items() if name != host}
    if others:
        notes.append(
            f"{counted(sum(others.values()), 'request', 'requests')} to other hosts left out: "
            f"{', '.join(sorted(others)[:5])}"
        )
    return [one for one in plain if _host(one.url) == host], host, notes


def counted(number: int, one: str, many: str) -> str:
    """A number with what it counts."""
    return f"{number:,} {one if number == 1 else many}"


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
_BOUNDARY = "made-up-boundary"
MULTIPART = f"multipart/form-data; boundary={_BOUNDARY}"
"""The `Content-Type` of what `multipart` makes."""


def multipart(parts: Iterable[tuple[str, str, str]]) -> str:
    """A body of (name, value, file name or nothing) as a browser's form sends files."""
    text = ""
    for name, value, file in parts:
        named = f'; filename="{file}"\r\nContent-Type: application/octet-stream' if file else ""
        text += f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n{value}\r\n'
    return f"{text}--{_BOUNDARY}--\r\n"


def with_content_type(headers: Iterable[tuple[str, str]], content_type: str) -> list[tuple[str, str]]:
    """Headers with this `Content-Type` in the place of any other."""
    kept = [header for header in headers if header[0].lower() != "content-type"]
    return [*kept, ("Content-Type", content_type)]


def is_multipart(text: str) -> bool:
    """Whether a body is that of a form with parts."""
    return _FIRST_PART.match(text) is not None


def named_values(text: str, levels: int = _MOST_PARTED) -> Iterator[Named]:
    """What has a name in a body that is text, in its order; a part of a form, then what is named in that part.

    A part may be a form itself, on so many levels.
    """
    if levels and (parted := _FIRST_PART.match(text)):
        yield from _parts(text, parted[1], levels)
    elif _FORM_TEXT.fullmatch(text):
        for pair in _FORM_PAIR.finditer(text):
            yield Named(unquote_plus(pair[1]), unquote_plus(pair[2]), *pair.span(2), is_field=True)
    else:
        for found in _NAMED.finditer(text):
            number = next(number for number in range(2, _NAMED.groups + 1, 2) if found[number] is not None)
            yield Named(found[number - 1], found[number], *found.span(number))


def _parts(text: str, boundary: str, levels: int) -> Iterator[Named]:
    """Each part of a form; in one that is JSON, its fields are the form's."""
    between = re.escape(boundary)
    part = rf"{between}[ \t]*\r?\n((?:[^\r\n]+\r?\n)*)\r?\n(.*?)(?=\r?\n{between}|\Z)"
    for found in re.finditer(part, text, re.DOTALL):
        name = _PART_NAME.search(found[1])
        is_file = "filename" in found[1].lower()
        is_json = found[2].lstrip()[:1] in {"{", "["}
        called = (name[1] or name[2] or "") if name else ""
        yield Named(called, found[2], *found.span(2), is_field=not is_file and not is_json)
        for one in named_values(found[2], levels - 1):
            begin, end = found.start(2) + one.begin, found.start(2) + one.end
            yield Named(one.name, one.value, begin, end, is_field=is_json)


def body_of(text: str, media_type: str) -> dict[str, Any]:
    """A body as the fields of `Recorded` that hold it."""
    if "json" in media_type or (not media_type and text.lstrip()[:1] in {"{", "["}):
        try:
            return {"json_body": json_of(text, _finite)}
        except ValueError:
            return {"text": text}
    if FORM in media_type:
        return form_of(text)
    return {"text": text}


def json_of(text: str | bytes, number: Callable[[str], float] = float) -> Any:
    """A JSON value, its fractions, `NaN` and infinities read by `number`.

    Raises `ValueError` for what is none, or is nested too deeply, and whatever `number` does.
    """
    try:
        value = json.loads(text, parse_float=number, parse_constant=number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    level = [value]
    for _ in range(_MOST_NESTED + 1):
        level = [inner for one in level for inner in _within(one)]
    if level:
        raise ValueError("nested too deeply")
    return value


def _within(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _finite(written: str) -> float:
    """A number that Python has a literal for; `NaN` and `1e999` are read as others, which are names in a script."""
    number = float(written)
    if not isfinite(number):
        raise ValueError(f"expected a finite number, got {written}")
    return number


def form_of(text: str) -> dict[str, Any]:
    """A form as the field of `Recorded` that holds it, its names and values decoded; as text where it is none."""
    is_form = "=" in text and text[:1] not in {"{", "[", "<"}
    return {"form": tuple(parse_qsl(text, keep_blank_values=True))} if is_form else {"text": text}
