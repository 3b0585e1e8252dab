"""Reading a request's body: its type, its size, its time, and strictly what the type allows."""

import asyncio
import random
import re
from typing import TypeVar

import msgspec
from aiohttp import hdrs, web

from target_service import problem
from target_service.cut_offs import CutOffs
from target_service.problem import FieldError, ProblemError
from target_service.schema import (
    DuplicateKeyError,
    OrderRequest,
    field_of,
    has_plain_keys,
    refuse_duplicate_keys,
)

MAX_BODY_BYTES = 64 * 1024
BODY_DEADLINE_S = web.AppKey("body_deadline_s", float)
"""How long a body may take to arrive, in seconds."""
CUT_OFFS = web.AppKey("cut_offs", CutOffs)
DEADLINE_SPREAD = 0.1
"""By how much of it a deadline may be shortened at random, so that a crowd that came at one instant is not cut off,
and does not come back, at one instant."""

T = TypeVar("T")


async def read_json(request: web.Request) -> bytes:
    """The body, checked for type, size and deadline. Raises ProblemError."""
    _check_head(request)
    try:
        if request.content.is_eof():
            return await request.read()
        return await _read_in_time(request)
    except TimeoutError:
        raise ProblemError(problem.BODY_TIMEOUT, "the rest of the body did not come", close=True) from None
    except web.HTTPRequestEntityTooLarge:
        raise _too_large() from None
    except web.PayloadAccessError as error:
        raise ProblemError(problem.BAD_REQUEST, f"the body is malformed: {error}", close=True) from None


async def _read_in_time(request: web.Request) -> bytes:
    """The body, once it is there. Raises TimeoutError when it is late and it is its turn to be cut off."""
    try:
        async with asyncio.timeout(_deadline_s(request)):
            return await _read_whole(request)
    except TimeoutError:
        turn_s = request.app[CUT_OFFS].take_turn()
        if request.content_length is None:  # a part of it has been taken out of the stream, and is lost
            await asyncio.sleep(turn_s)
            raise
        async with asyncio.timeout(turn_s):
            return await _read_whole(request)


async def _read_whole(request: web.Request) -> bytes:
    if request.content_length is not None:
        # Sleep until all of it is there: `read` alone would wake for every byte of a client that dribbles.
        await request.content.wait_eof()
    return await request.read()


def _deadline_s(request: web.Request) -> float:
    return request.app[BODY_DEADLINE_S] * (1 - DEADLINE_SPREAD * random.random())  # noqa: S311 - no secret


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
    """Whether a `Content-Type` names JSON in UTF-8.

    Read here since aiohttp gives it to the parser of `email`, whose time grows with the square of its length.
    """
    if content_type == "application/json":
        return True
    return len(content_type) <= LONGEST_TYPE and _JSON.fullmatch(content_type) is not None


def _check_head(request: web.Request) -> None:
    if not is_json(request.headers.get(hdrs.CONTENT_TYPE, "")):
        raise ProblemError(problem.UNSUPPORTED_TYPE, "expected Content-Type: application/json in UTF-8")
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
        raise ProblemError(problem.UNSUPPORTED_TYPE, "expected no Content-Encoding")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large()


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
