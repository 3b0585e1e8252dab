"""Content codings: from the body as transferred to the content a script sees."""

import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped] # has no annotations

from loadtest.drive.errors import ProtocolError
from loadtest.drive.http1 import DEFAULT_LIMITS

_GZIP = 16 + zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS


def decoded_content(body: bytes, coding: str, limit_bytes: int = DEFAULT_LIMITS.body_bytes) -> bytes:
    """`body` without its content coding: gzip, deflate or br; any other is left as it is.

    Raises `ProtocolError` if the body is not in that coding, ends early or unpacks to over `limit_bytes`.
    """
    decode = _DECODERS.get(coding.strip().lower())
    if decode is None or not body:
        return body
    try:
        content = decode(body, limit_bytes + 1)
    except (zlib.error, brotli.error, EOFError):
        raise ProtocolError(f"the content is not valid {coding.strip().lower()}") from None
    if len(content) > limit_bytes:
        raise ProtocolError("decoded content over the limit")
    return content


def _inflate(body: bytes, most_bytes: int, window_bits: int) -> bytes:
    inflator = zlib.decompressobj(window_bits)
    content = inflator.decompress(body, most_bytes)
    if not inflator.eof and len(content) < most_bytes:
        raise EOFError("compressed data ends early")
    return content


def _gunzip(body: bytes, most_bytes: int) -> bytes:
    return _inflate(body, most_bytes, _GZIP)


def _undeflate(body: bytes, most_bytes: int) -> bytes:
    """Raw deflate, which many servers send, or zlib's format, which is meant (RFC 9110, section 8.4.1.2)."""
    try:
        return _inflate(body, most_bytes, _RAW_DEFLATE)
    except zlib.error:
        return _inflate(body, most_bytes, zlib.MAX_WBITS)


def _unbrotli(body: bytes, most_bytes: int) -> bytes:
    unpacker = brotli.Decompressor()
    content: bytes = unpacker.process(body, output_buffer_limit=most_bytes)
    while len(content) < most_bytes and not unpacker.is_finished():
        more = unpacker.process(b"", output_buffer_limit=most_bytes - len(content))
        if not more:
            raise EOFError("compressed data ends early")
        content += more
    return content


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
}
