"""HAR files, as browsers' developer tools save them (HTTP Archive 1.2), as recorded requests."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from loadtest.importing.import_error import ImportingError
from loadtest.importing.recorded import (
    MULTIPART,
    Recorded,
    address_parts,
    body_of,
    counted,
    json_of,
    multipart,
    with_content_type,
)
from loadtest.plan.plan_error import explained


class _Pair(Struct, frozen=True):
    name: str
    value: str = ""


class _Param(Struct, frozen=True, rename="camel"):
    name: str = ""
    value: str = ""
    file_name: str = ""


class _PostData(Struct, frozen=True, rename="camel"):
    mime_type: str = ""
    text: str = ""
    params: list[_Param] = []


class _Request(Struct, frozen=True, rename="camel"):
    method: str
    url: str
    headers: list[_Pair] = []
    post_data: _PostData | None = None


class _Content(Struct, frozen=True, rename="camel"):
    mime_type: str = ""
    text: str = ""
    encoding: str = ""


class _Response(Struct, frozen=True):
    status: int = 0
    content: _Content = _Content()


class _Entry(Struct, frozen=True, rename="camel"):
    request: _Request
    response: _Response = _Response()
    started_date_time: str = ""


class _Log(Struct, frozen=True):
    entries: list[_Entry]


class _Har(Struct, frozen=True):
    log: _Log


def read_har(data: bytes, source: str) -> tuple[list[Recorded], list[str]]:
    """The requests of a HAR file in their order, and notes on what was left out. Raises `ImportingError`."""
    try:
        document = _without_nulls(msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf")))
        entries = msgspec.convert(document, _Har).log.entries
    except msgspec.DecodeError as error:
        raise ImportingError(
            f"{source}: expected a HAR file: {explained(error).replace('a table', 'an object')}"
        ) from error
    except RecursionError as error:
        raise ImportingError(f"{source}: expected a HAR file: it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ImportingError(f"{source}: expected a HAR file in UTF-8") from error
    for number, each in enumerate(entries):
        if each.request.url.startswith(("http://", "https://")):
            address_parts(each.request.url, f"{source}: log.entries[{number}].request.url")
    sockets = [each for each in entries if _is_socket(each)]
    over_http = [
        each
        for each in entries
        if each.request.url.startswith(("http://", "https://")) and not _is_socket(each)
    ]
    http = [each for each in over_http if not _is_preflight(each.request)]
    found = list(map(_recorded, http, _instants_s(http)))
    notes = [f"{counted(len(sockets), 'WebSocket', 'WebSockets')} left out"] if sockets else []
    if asked := len(over_http) - len(http):
        notes.append(
            f"{counted(asked, 'request', 'requests')} left out by which the browser asked whether it may send "
            "another (OPTIONS)"
        )
    notes += [
        f"the files of {one.request.method} {urlsplit(one.request.url).path} are made up"
        for one in http
        if _has_files(one.request)
    ]
    return sorted(found, key=lambda one: one.at_s), notes


def _without_nulls(value: Any) -> Any:
    """What is null is not there: some browsers write so what others leave out."""
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value if inner is not None]
    return value


def _is_socket(entry: _Entry) -> bool:
    return entry.request.url.startswith(("ws://", "wss://")) or entry.response.status == 101


def _is_preflight(request: _Request) -> bool:
    """Whether a browser sent it of its own accord before a request to another origin (CORS)."""
    return request.method.upper() == "OPTIONS" and any(
        header.name.lower() == "access-control-request-method" for header in request.headers
    )


def _instants_s(entries: Sequence[_Entry]) -> list[float]:
    """When each began, since the first; what does not say so came together with the one before it."""
    known = [_instant_s(each.started_date_time) for each in entries]
    first = min((at_s for at_s in known if at_s is not None), default=0.0)
    found: list[float] = []
    for at_s in known:
        found.append(at_s - first if at_s is not None else found[-1] if found else 0.0)
    return found


def _recorded(entry: _Entry, at_s: float) -> Recorded:
    request = entry.request
    body, content_type = _body(request.post_data or _PostData())
    headers = [(one.name, one.value) for one in request.headers if not one.name.startswith(":")]
    if content_type:
        headers = with_content_type(headers, content_type)
    return Recorded(
        method=request.method.upper(),
        url=request.url,
        headers=tuple(headers),
        at_s=at_s,
        status=entry.response.status,
        answer=_answer(entry.response.content),
        **body,
    )


def _body(sent: _PostData) -> tuple[dict[str, Any], str]:
    """A body as fields of `Recorded`, and the `Content-Type` that it needs where it is put together anew."""
    if sent.text:
        return body_of(sent.text, sent.mime_type), ""
    if not sent.params:
        return {}, ""
    if "multipart" in sent.mime_type or any(one.file_name for one in sent.params):
        text = multipart(
            (one.name, "made up" if one.file_name else one.value, one.file_name) for one in sent.params
        )
        return {"text": text}, MULTIPART
    return {"form": tuple((one.name, one.value) for one in sent.params)}, ""


def _has_files(request: _Request) -> bool:
    sent = request.post_data
    return sent is not None and not sent.text and any(one.file_name for one in sent.params)


def _answer(content: _Content) -> Any:
    if "json" not in content.mime_type or not content.text:
        return None
    try:
        return json_of(base64.b64decode(content.text) if content.encoding == "base64" else content.text)
    except ValueError:
        return None


def _instant_s(written: str) -> float | None:
    try:
        return datetime.fromisoformat(written).timestamp()
    except (ValueError, OverflowError):
        return None
