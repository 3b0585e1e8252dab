"""Errors: what kinds there are, how a rule of the shop's or of HTTP's raises one, and how the API tells it.

A rule raises a `ProblemError` of the kind that forbids what was asked, before anything is written. From there on it
is passed on as it is, and told as RFC 9457 has it (`response.problem_response`). The supervisor reads the kinds
before it starts workers, so nothing here imports aiohttp, which takes half of that time.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

MEDIA_TYPE = "application/problem+json"


class FieldError(msgspec.Struct, frozen=True):
    """One field of the request that is wrong."""

    pointer: str
    """JSON pointer into the body."""
    detail: str


class ProblemBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every error."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldError, ...] = ()


class Kind(NamedTuple):
    """One kind of error; `slug` is also the `reason` label in metrics."""

    slug: str
    status: int
    title: str
    retry_after_s: int | None = None


BAD_REQUEST = Kind("bad-request", 400, "The request cannot be understood")
UNAUTHORIZED = Kind("unauthorized", 401, "The operator's token is needed")
BAD_JSON = Kind("bad-json", 400, "The body is not valid JSON")
FORBIDDEN = Kind("forbidden", 403, "This service was started without that feature")
NOT_FOUND = Kind("not-found", 404, "Nothing was found at this address or under this number")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "The method is not allowed here")
BODY_TIMEOUT = Kind("body-timeout", 408, "The body did not arrive in time")
SOLD_OUT = Kind("sold-out", 409, "Not enough units are left")
KEY_IN_FLIGHT = Kind("key-in-flight", 409, "A request with this Idempotency-Key is being worked on", 1)
CONFLICT = Kind("conflict", 409, "The order or parcel is in a state that does not allow this")
TOO_LARGE = Kind("too-large", 413, "The body is too large")
UNSUPPORTED_TYPE = Kind("unsupported-type", 415, "The body's type is not supported")
UNMET_EXPECTATION = Kind("unmet-expectation", 417, "The Expect header asks for what this service does not do")
BAD_FIELD = Kind("bad-field", 422, "A field is missing or wrong")
KEY_REUSED = Kind("key-reused", 422, "The Idempotency-Key belongs to another request")
INTERNAL = Kind("internal", 500, "The service failed")
DRILL = Kind("drill", 500, "A drill is under way")
OVERLOADED = Kind("overloaded", 503, "The service is overloaded", 1)
UNAVAILABLE = Kind("unavailable", 503, "The store does not answer", 1)
FATE_UNKNOWN = Kind(
    "fate-unknown", 503, "The store did not say whether it made the change; it may be made yet", 1
)
"""Of all refusals the only one of a change that may be stored; who needs to know tries again under its key."""
DEADLINE = Kind("deadline", 503, "The caller's deadline passed")
STORE_FULL = Kind("store-full", 507, "The store is full", 5)

KINDS = tuple(value for value in list(globals().values()) if isinstance(value, Kind))
"""All of them, in the order above."""

STOPPING = "the service is stopping"
DEFECT = "this is a bug in the service; its log has the details"
"""Details of `UNAVAILABLE` and `FATE_UNKNOWN`, and of `INTERNAL`."""

LONGEST_DETAIL = 120
LONGEST_FIELD_DETAIL = 80
"""Characters: much of a detail may be what the client sent, and together it hears no more of it than 200."""


def shortened(text: str, most: int = LONGEST_DETAIL) -> str:
    """At most so many characters of a text, each of which JSON can hold."""
    if len(text) > most:
        text = text[: most - 1] + "…"
    return text if text.isascii() else text.encode(errors="replace").decode()


class ProblemError(Exception):
    """A rule forbids what was asked; in a batch, the other changes are made."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *errors: FieldError,
        close: bool = False,
        headers: Mapping[str, str] = {},
    ) -> None:
        super().__init__(shortened(detail))
        self.kind = kind
        self.headers = headers
        self.errors = tuple(
            FieldError(each.pointer, shortened(each.detail, LONGEST_FIELD_DETAIL)) for each in errors
        )
        self.close = close
        """Whether the connection cannot be used any further, since part of the request is unread."""
