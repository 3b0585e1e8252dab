"""Request bodies: from what a script passes as `data`, `json` or `files` to bytes and the headers that
describe them.
"""

import json as json_format
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import msgspec
from urllib3 import encode_multipart_formdata

from loadtest.drive.heads import FORM_BODY, JSON_BODY, NO_BODY, OCTETS_BODY, TEXT_BODY, BodyHeaders


def encode_body(data: Any, json: Any, files: Any = None) -> tuple[bytes, BodyHeaders]:
    """The bytes to send and the headers they need, as FastHttpUser chooses them.

    `data` wins over `json`. A dict is sent as a form, text as UTF-8, a file or an iterable as what it yields.
    Raises `TypeError` for anything else, and for a `json` that is not JSON.
    """
    if files:
        return _multipart(data, files)
    if not data:
        return (b"", NO_BODY) if json is None else (json_bytes(json), JSON_BODY)
    if isinstance(data, dict):
        return urlencode(data).encode(), FORM_BODY
    if isinstance(data, str):
        return data.encode(), TEXT_BODY
    return _octets(data), OCTETS_BODY


def json_bytes(value: Any) -> bytes:
    """The bytes of a `json`. Raises `TypeError` if it is not JSON."""
    try:
        return msgspec.json.encode(value)
    except TypeError:
        return json_format.dumps(value).encode()  # knows keys msgspec refuses, such as None and True


def _octets(data: Any) -> bytes:
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    if hasattr(data, "read"):
        return _as_bytes(data.read())
    if isinstance(data, Iterable):
        return b"".join(_as_bytes(part) for part in data)
    raise TypeError(f"data must be a dict, str, bytes, file or iterable of bytes, not {type(data).__name__}")


def _as_bytes(part: str | bytes) -> bytes:
    return part.encode() if isinstance(part, str) else bytes(part)


def _multipart(data: Any, files: Any) -> tuple[bytes, BodyHeaders]:
    """Fields and files as multipart/form-data; a file is content, or (file name, content[, type])."""
    fields = list(data.items() if hasattr(data, "items") else data or ())
    parts = files.items() if hasattr(files, "items") else files
    body, content_type = encode_multipart_formdata(
        [*fields, *((name, _file_part(name, part)) for name, part in parts)]
    )
    return body, (("Content-Type", content_type),)


def _file_part(name: str, part: Any) -> Any:
    file_name, content, *content_type = part if isinstance(part, tuple | list) else (name, part)
    return (file_name, content.read() if hasattr(content, "read") else content, *content_type[:1])
