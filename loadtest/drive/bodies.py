"""Request bodies: from what a script passes as `data`, `json` or `files` to bytes and the headers that
describe them.
"""

import json as json_format
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import msgspec
from geventhttpclient.header import Headers
from geventhttpclient.useragent import UserAgent

from loadtest.drive.heads import FORM_BODY, JSON_BODY, NO_BODY, OCTETS_BODY, TEXT_BODY, BodyHeaders

_encoded = msgspec.json.Encoder().encode
_decoded = msgspec.json.Decoder().decode
_agent = UserAgent()
"""Encodes `files`, as it does for Locust's class; it never sends anything."""


def encode_body(data: Any, json: Any, files: Any = None) -> tuple[bytes, BodyHeaders]:
    """The bytes to send and the headers they need, as FastHttpUser chooses them.

    `data` wins over `json`. A dict is sent as a form, text as UTF-8, a file or an iterable as what it yields.
    Raises `TypeError` for anything else, and `TypeError` or `ValueError` for a `json` that is not JSON and for
    `files` or `data` that make no form.
    """
    if files:
        return _multipart(data if data or json is None else json_format.dumps(json), files)
    if not data:
        return (b"", NO_BODY) if json is None else (json_bytes(json), JSON_BODY)
    if type(data) is bytes:
        return data, OCTETS_BODY
    if isinstance(data, dict):
        return urlencode(data).encode(), FORM_BODY
    if isinstance(data, str):
        return data.encode(), TEXT_BODY
    return _octets(data), OCTETS_BODY


def json_bytes(value: Any) -> bytes:
    """Compact JSON; whatever msgspec would write in a way of its own is left to the standard library.

    msgspec writes dates, sets, bytes, dataclasses and more, where `json.dumps` raises, and null for NaN: a
    script must not seem right here that fails with Locust's class. What is plain reads back as what it was.
    Raises `TypeError` or `ValueError`, as `json.dumps` does.
    """
    try:
        encoded = _encoded(value)
        if _decoded(encoded) == value:
            return encoded
    except (TypeError, ValueError, ArithmeticError, RecursionError):
        pass  # keys such as None, integers beyond 64 bits, lone surrogates: the standard library decides
    return json_format.dumps(value, separators=(",", ":")).encode()


def _octets(data: Any) -> bytes:
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    if hasattr(data, "read"):
        return _as_bytes(data.read())
    if isinstance(data, Iterable):
        return b"".join(_as_bytes(part) for part in data)
    raise TypeError(f"data must be a dict, str, bytes, file or iterable of bytes, not {type(data).__name__}")


def _as_bytes(part: str | bytes | bytearray | memoryview) -> bytes:
    if isinstance(part, str):
        return part.encode()
    if isinstance(part, bytes | bytearray | memoryview):
        return bytes(part)
    raise TypeError(f"a body's parts must be bytes or str, not {type(part).__name__}")


def _multipart(data: Any, files: Any) -> tuple[bytes, BodyHeaders]:
    """Fields and files as multipart/form-data (RFC 7578), encoded by Locust's own client."""
    request = _agent._make_request("http://-/", "POST", headers=Headers(), payload=data, files=files)
    body: Any = request.payload
    return bytes(body), (("Content-Type", str(request.headers["content-type"])),)
