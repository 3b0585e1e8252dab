"""Reading a request's body: its type, its size, its time, and strictly what the type allows."""

import asyncio
import random
import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol, TypeVar

import msgspec
from aiohttp import HttpVersion11, StreamReader, hdrs

from target_service import problem
from target_service.problem import FieldError, ProblemError
from target_service.protocol import CONTINUE, MAX_BODY_BYTES, Head, MalformedBodyError
from target_service.schema import (
    DuplicateKeyError,
    OrderRequest,
    field_of,
    has_plain_keys,
    refuse_duplicate_keys,
)
from target_service.shedding import CUT_OFFS_PER_S, Turns

DEADLINE_SPREAD = 0.1
"""By how much of it a deadline may be shortened at random, so that a crowd that came at one instant is not cut off,
and does not come back, at one instant."""

T = TypeVar("T")


class Caller(Protocol):
    """Whoever made a request."""

    def say(self, said: bytes) -> None:
        """Send bytes before the answer."""

    def abort(self) -> None:
        """End its connection at once."""


class Incoming(NamedTuple):
    """A request whose head has come."""

    head: Head
    body: bytes | StreamReader
    """The whole of it, or as far as it has come."""
    caller: Caller


def length_of(headers: Mapping[str, str]) -> int | None:
    """How many bytes the body is said to have; None if that is not said. The parser has checked the number."""
    text = headers.get(hdrs.CONTENT_LENGTH)
    return None if text is None else int(text)


class BodyReader:
    """Reads bodies, and gives up those that do not come in time."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._cut_offs = Turns(CUT_OFFS_PER_S)

    async def read(self, incoming: Incoming, body: StreamReader) -> bytes:
        """The body, when it is there. Raises ProblemError."""
        if body.is_eof():
            return _checked(body.read_nowait())
        length = length_of(incoming.head.headers)
        if (length or 0) > MAX_BODY_BYTES:
            raise _too_large()
        _go_on(incoming)
        try:
            return await self._read_in_time(body, is_chunked=length is None)
        except TimeoutError:
            raise ProblemError(
                problem.BODY_TIMEOUT, "the rest of the body did not arrive in time", close=True
            ) from None
        except MalformedBodyError as error:
            raise ProblemError(problem.BAD_REQUEST, f"the body is malformed: {error}", close=True) from None

    async def _read_in_time(self, payload: StreamReader, *, is_chunked: bool) -> bytes:
        """The body, once it is there. Raises TimeoutError when it is late and it is its turn to be cut off."""
        reading = asyncio.ensure_future((_read_chunks if is_chunked else _read_whole)(payload))
        patience_s = self._deadline_s * (1 - DEADLINE_SPREAD * random.random())  # noqa: S311 - no secret
        try:
            done, _ = await asyncio.wait([reading], timeout=patience_s)
            if not done:
                done, _ = await asyncio.wait([reading], timeout=self._cut_offs.take())
            if not done:
                raise TimeoutError
            return reading.result()
        finally:
            reading.cancel()


async def _read_whole(payload: StreamReader) -> bytes:
    """A body of a known length; sleeps until all of it is there, whatever the client dribbles."""
    if payload.exception() is None:
        await payload.wait_eof()
    return payload.read_nowait()


def _checked(body: bytes) -> bytes:
    if len(body) > MAX_BODY_BYTES:
        raise _too_large()
    return body


async def _read_chunks(payload: StreamReader) -> bytes:
    body = bytearray()
    while chunk := await payload.readany():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
    return bytes(body)


def _go_on(incoming: Incoming) -> None:
    """Tell a client that asked first (`Expect: 100-continue`) to send the body."""
    if hdrs.EXPECT in incoming.head.headers and incoming.head.version == HttpVersion11:
        incoming.caller.say(CONTINUE)


_JSON = re.compile(
    r"""application/json
    (?: [ \t]*+ ; [ \t]*+
        (?: charset=(?: utf-8 | "utf-8" )
        |   (?!charset=) [!\#$%&'*+.^_`|~0-9A-Z-]++ = (?: [!\#$%&'*+.^_`|~0-9A-Z-]++ | "[^"\\]*+" )
        )?
    )*+ [ \t]*+""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
LONGEST_TYPE = 256


def is_json(content_type: str) -> bool:
    """Whether a `Content-Type` names JSON in UTF-8; the parser of `email` would take the square of its length."""
    if content_type == "application/json":
        return True
    return len(content_type) <= LONGEST_TYPE and _JSON.fullmatch(content_type) is not None


def check_type(headers: Mapping[str, str]) -> None:
    """Refuse a body of another type. Raises ProblemError."""
    if not is_json(headers.get(hdrs.CONTENT_TYPE, "")):
        raise ProblemError(problem.UNSUPPORTED_TYPE, "expected Content-Type: application/json in UTF-8")
    if headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
        raise ProblemError(problem.UNSUPPORTED_TYPE, "expected no Content-Encoding")


def _too_large() -> ProblemError:
    return ProblemError(problem.TOO_LARGE, f"expected at most {MAX_BODY_BYTES} bytes", close=True)


def decode(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    """Read a value from JSON, strictly: no unknown or repeated key, no value out of range.

    Raises ProblemError naming the field.
    """
    try:
        value = decoder.decode(body)
        if not (isinstance(value, OrderRequest) and has_plain_keys(body, value)):
            refuse_duplicate_keys(body)
    except msgspec.ValidationError as error:
        pointer, detail = field_of(error)
        raise ProblemError(problem.BAD_FIELD, str(error), FieldError(pointer, detail)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, DuplicateKeyError) as error:
        raise ProblemError(problem.BAD_JSON, str(error)) from None
    return value
