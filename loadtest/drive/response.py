"""What a script gets back from a request: the interface of Locust's `FastResponse`, computed when asked
for.

On the hot path a response is a dozen assignments. Headers are parsed from the kept bytes of the head, text
is decoded and the request is described only if the script looks at them.
"""

import json as json_format
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from types import TracebackType
from typing import Any, ClassVar, Literal, NamedTuple, Self

from charset_normalizer import detect
from geventhttpclient.header import Headers
from locust.contrib.fasthttp import LocustBadStatusCode
from locust.exception import CatchResponseError, LocustError, ResponseError
from requests.utils import get_encoding_from_headers

from loadtest.drive._core import Received
from loadtest.drive.contents import decoded_content
from loadtest.drive.errors import error_class
from loadtest.drive.heads import BodyHeaders
from loadtest.drive.http1 import final_head, parse_head, reason_phrase
from loadtest.drive.recorder import Recorder, request_event
from loadtest.drive.urls import Target
from loadtest.records import Outcome

_NEEDS_CATCH_RESPONSE = (
    "If you want to change the state of the request, you must pass catch_response=True. "
    "See http://docs.locust.io/en/stable/writing-a-locustfile.html#validating-responses"
)
_NEEDS_WITH_BLOCK = (
    "Tried to set status on a request that has not yet been made. "
    "Make sure you use a with-block, like this:\n\n"
    "with self.client.request(..., catch_response=True) as response:\n    response.{verb}"
)


class Call(NamedTuple):
    """One request to send."""

    method: str
    target: Target
    headers: Mapping[str, str] | None
    """The caller's, and what the session adds for this request."""
    body: bytes
    body_headers: BodyHeaders
    response_type: "type[Response]"


class SentRequest(NamedTuple):
    """The request behind a response, described for scripts."""

    method: str
    url: str
    payload: bytes | None
    """The body as sent."""
    headers: Headers
    """The headers as sent."""

    @property
    def body(self) -> bytes | None:
        """The body as sent, under the name `requests` has for it."""
        return self.payload


class Response(Received):
    """A response; or the lack of one: `status_code` 0, `content` and `headers` None, and `error` says why."""

    call: Call
    streamed: ClassVar[bool] = False
    encoding: str | None = None
    """The encoding of `text`. Set it before asking for `text` where the server does not tell."""
    js: Any = None
    """The parsed body, inside `rest`."""
    error: Exception | None = None
    found_dead = False
    """Whether it failed because the server had closed the kept-alive connection before."""
    was_repeated = False
    """Whether the request had been sent before, without an answer: what is refused now may have been done then."""
    needs_care = False
    """Whether it is more than a plain success: see `Session`."""

    @cached_property
    def history(self) -> "list[Response]":
        """The redirects that led here, oldest first."""
        return []

    @property
    def url(self) -> str:
        """The URL that was requested; after redirects, the last one."""
        return self.call.target.url

    @property
    def request(self) -> SentRequest:
        """The request this answers; after redirects, the last one."""
        headers = Headers(parse_head(final_head(self.sent)))
        return SentRequest(self.call.method, self.url, self.call.body or None, headers)

    @property
    def _request(self) -> SentRequest:
        """`request`, under the name by which Locust's `run_single_user` prints the payload."""
        return self.request

    @property
    def requested_url(self) -> str:
        """The URL the script asked for, before redirects."""
        return self.history[0].url if self.history else self.url

    @property
    def ok(self) -> bool:
        """True if the status is below 400, as FastHttpUser has it: also when there was no response."""
        return self.status_code < 400

    @cached_property
    def headers(self) -> Headers | None:
        """The response's headers, by name in any case; a list where a header came more than once."""
        return Headers(parse_head(final_head(self.raw))) if self.raw else None

    @property
    def content_coding(self) -> str:
        """How the content is coded for the transfer, such as `gzip`; "" if it is not."""
        return "" if self.headers is None else str(self.headers.get("content-encoding", ""))

    def decode(self) -> None:
        """Undo the content coding. Raises `ProtocolError` if the content is not so coded."""
        self.content = decoded_content(self.content or b"", self.content_coding)
        self.length = len(self.content)

    @property
    def elapsed(self) -> timedelta | None:
        """Time from sending the request to having the response, None without one."""
        return timedelta(microseconds=(self.done_ns - self.sent_ns) // 1000) if self.status_code else None

    @property
    def data(self) -> bytes | None:
        """The content, under urllib3's name for it."""
        return self.content

    def info(self) -> Headers | None:
        """The headers, under the standard library's name for them."""
        return self.headers

    @property
    def reason(self) -> str:
        """The words after the status code."""
        return reason_phrase(final_head(self.raw))

    @property
    def text(self) -> str | None:
        """The content as text, in `encoding`, else in the charset the headers tell, else as detected."""
        if self.content is None:
            return None
        if self.encoding is None:
            told = get_encoding_from_headers(self.headers or Headers())  # type: ignore[arg-type] # any mapping does
            self.encoding = told or _guessed_encoding(self.content)
        if self.encoding is None:
            return None
        return str(self.content, self.encoding, errors="replace")

    def json(self) -> Any:
        """The content parsed as JSON. Raises `json.JSONDecodeError`, or `TypeError` where there is no content."""
        return json_format.loads(self.text)  # type: ignore[arg-type] # None is what raises the TypeError

    def raise_for_status(self) -> None:
        """Raise what made the request fail, if anything did: an `OSError`, or `LocustBadStatusCode`."""
        if self.error is not None:
            raise self.error

    def iter_content(self, chunk_size: int = 1024, decode_content: bool = True) -> Iterator[str | bytes]:
        """The content in pieces of `chunk_size` bytes; with `decode_content`, as text where it is UTF-8.

        Raises `LocustError` where there was no response.
        """
        self._require_response()
        content = self.content or b""
        for start in range(0, len(content), chunk_size):
            yield decoded_if_utf8(content[start : start + chunk_size], decode_content)

    def _require_response(self) -> None:
        if not self.status_code:
            raise LocustError(f"no content can be read, for there was no response: {self.error}")

    @property
    def status(self) -> str:
        """`status_code` as text, as FastHttpUser has it."""
        return str(self.status_code)

    @property
    def stream(self) -> Self:
        """What `read` and `readline` are called on elsewhere: the response itself."""
        return self

    def isclosed(self) -> bool:
        """Whether the whole body has been received."""
        return True

    def read(self, length: int | None = None) -> bytes:  # noqa: ARG002 - what a stream has
        """What has not been read yet: nothing, except of a stream."""
        return b""

    def readline(self) -> bytes:
        """The next line of a stream; b"" of any other response, which has been read."""
        return b""

    def release(self) -> None:
        """Let go of the connection, if the response still holds one."""

    def success(self) -> None:
        """Only with `catch_response=True`; raises `LocustError` here."""
        raise LocustError(_NEEDS_CATCH_RESPONSE)

    def failure(self, exc: object) -> None:  # noqa: ARG002 - the signature it has where it does something
        """Only with `catch_response=True`; raises `LocustError` here."""
        raise LocustError(_NEEDS_CATCH_RESPONSE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Release the connection; only with `catch_response=True` does the block decide anything."""
        self.release()
        return None


_LEFT_A_SUCCESS = (None, True)


class CaughtResponse(Response):
    """A response in a with-block, where the script decides whether the request succeeded."""

    _entered = False
    _verdict: Literal[True] | Exception | None = None

    def keep(self, recorder: Recorder, outcome: Outcome, context: Any) -> None:
        """Keep what is to be reported until the with-block ends."""
        self._recorder = recorder
        self._outcome = outcome
        self._context = context

    @cached_property
    def request_meta(self) -> dict[str, Any]:
        """What will be reported, as Locust lays it out. A script may change it, and the changes count."""
        self._take_back()
        return request_event(self._outcome, self.error, self, self._context)

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Report the request. A verdict of the script stands; else what was raised or the status decides."""
        if (
            raised is None
            and self._verdict in _LEFT_A_SUCCESS
            and "request_meta" not in vars(self)
            and self.settle()
        ):
            return True
        if self._verdict is not None:
            self._report(None if self._verdict is True else self._verdict)
            return raised is None
        if raised is not None and not isinstance(raised, ResponseError):
            return False
        self._report(raised or self.error or self._said_in_meta())
        return True

    def success(self) -> None:
        """Report the request as a success, whatever its status. Raises `LocustError` outside a with-block."""
        self._require_block("success()")
        self._verdict = True

    def failure(self, exc: object) -> None:
        """Report the request as a failure, for the reason `exc`, an exception or a text."""
        self._require_block("failure(...)")
        self._verdict = exc if isinstance(exc, Exception) else CatchResponseError(exc)

    def raise_for_status(self) -> None:
        """Raise the script's own verdict if it was a failure, else what made the request fail."""
        if isinstance(self._verdict, Exception):
            raise self._verdict
        if self._verdict is None:
            super().raise_for_status()

    def _said_in_meta(self) -> Exception | None:
        """The failure that a script put into `request_meta`."""
        said = vars(self).get("request_meta", {}).get("exception")
        return said if said is None or isinstance(said, Exception) else CatchResponseError(said)

    def _require_block(self, verb: str) -> None:
        if not self._entered:
            raise LocustError(_NEEDS_WITH_BLOCK.format(verb=verb))

    def _take_back(self) -> None:
        """Have what `report` would have been told of a response that the core has made."""
        kept = self.take_back()
        if kept is not None:
            session, name, intended_ns = kept
            session.finish(self, self.call.method, name, intended_ns, True)

    def _report(self, error: Exception | None) -> None:
        self._take_back()
        outcome = self._outcome._replace(error=None if error is None else outcome_error(error))
        meta = self.__dict__.get("request_meta")
        if meta is not None:
            meta["exception"] = error
            outcome = _amended(outcome, meta)
        self._recorder.record(outcome, error, self, self._context, meta)


def outcome_error(error: Exception) -> str:
    """The class of a request's failure for `Outcome.error`."""
    if isinstance(error, LocustBadStatusCode):
        return f"status-{vars(error)['code']}"
    return error_class(error)


def _guessed_encoding(content: bytes) -> Any:
    """What the bytes look like. Guessing takes a millisecond and more, and is not needed for plain ASCII."""
    if content.isascii() and b"\0" not in content and b"\x1b" not in content:  # UTF-16, ISO-2022
        return "ascii" if content else "utf-8"
    return detect(content)["encoding"]


def _amended(outcome: Outcome, meta: dict[str, Any]) -> Outcome:
    """The outcome with what a script changed in `request_meta`."""
    return outcome._replace(
        method=meta["request_type"],
        name=meta["name"],
        done_ns=outcome.intended_ns + round(meta["response_time"] * 1e6),
        response_bytes=meta["response_length"],
    )


def decoded_if_utf8(chunk: bytes, wanted: bool) -> str | bytes:
    """The text of `chunk` if that is wanted and it is UTF-8, else `chunk`."""
    if not wanted:
        return chunk
    try:
        return chunk.decode("utf-8")
    except UnicodeDecodeError:
        return chunk
