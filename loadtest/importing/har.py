"""HAR files, as browsers' developer tools save them (HTTP Archive 1.2), as recorded requests."""

import base64
import json
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from loadtest.importing.import_error import ImportingError
from loadtest.importing.recorded import Recorded, body_of


class _Pair(Struct, frozen=True):
    name: str
    value: str = ""


class _PostData(Struct, frozen=True, rename="camel"):
    mime_type: str = ""
    text: str = ""
    params: list[_Pair] = []


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


def read_har(data: bytes, source: str) -> list[Recorded]:
    """The requests of a HAR file in their order. Raises `ImportingError` naming the key."""
    try:
        entries = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=_Har).log.entries
    except msgspec.MsgspecError as error:
        raise ImportingError(f"{source}: expected a HAR file: {error}") from error
    except UnicodeDecodeError as error:
        raise ImportingError(f"{source}: expected a HAR file in UTF-8") from error
    found = [_recorded(entry) for entry in entries if entry.request.url.startswith(("http://", "https://"))]
    first = min((one.at_s for one in found), default=0.0)
    return sorted((one._replace(at_s=one.at_s - first) for one in found), key=lambda one: one.at_s)


def _recorded(entry: _Entry) -> Recorded:
    request = entry.request
    body: dict[str, Any] = {}
    if request.post_data is not None:
        if request.post_data.params and not request.post_data.text:
            body = {"form": tuple((one.name, one.value) for one in request.post_data.params)}
        elif request.post_data.text:
            body = body_of(request.post_data.text, request.post_data.mime_type)
    return Recorded(
        method=request.method.upper(),
        url=request.url,
        headers=tuple((one.name, one.value) for one in request.headers if not one.name.startswith(":")),
        at_s=_instant_s(entry.started_date_time),
        status=entry.response.status,
        answer=_answer(entry.response.content),
        **body,
    )


def _answer(content: _Content) -> Any:
    if "json" not in content.mime_type or not content.text:
        return None
    try:
        return json.loads(base64.b64decode(content.text) if content.encoding == "base64" else content.text)
    except ValueError:
        return None


def _instant_s(written: str) -> float:
    try:
        return datetime.fromisoformat(written).timestamp()
    except ValueError:
        return 0.0
