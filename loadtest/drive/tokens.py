"""Answers that are streamed token by token: which event carries one, and which says that the answer failed.

Two forms are read: that of OpenAI's API, which many servers of language models speak (`POST /v1/chat/completions`
with `"stream": true`: `data: {"choices": [{"delta": {"content": "the"}}]}` …, at last `data: [DONE]`; also the older
`choices[].text`), and the sample service's (`data: {"index": 0, "text": "the"}`). An event without text (the role
that a chat begins with, its usage at the end) is no token. One with text counts as one, as servers send them; where
a server puts several into an event, the times are those of events.
"""

from typing import Any

import msgspec

from loadtest.drive.errors import AnswerError
from loadtest.drive.streams import ServerSentEvent, Timed
from loadtest.records import FIRST_TOKEN, NEXT_TOKEN


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    """What a model that reasons first sends before its answer."""


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    text: str | None = None


class _Piece(msgspec.Struct):
    choices: tuple[_Choice, ...] = ()
    text: str | None = None
    error: Any = None


_pieces = msgspec.json.Decoder(_Piece)
END = "[DONE]"


def token_of(event: ServerSentEvent) -> str | None:
    """The text that an event carries; None if it carries none. Raises `AnswerError` where it tells of an error."""
    if event.data.strip() == END:
        return None
    try:
        piece = _pieces.decode(event.data)
    except msgspec.DecodeError as error:
        raise AnswerError("an event of the answer is not the JSON of a token") from error
    if piece.error is not None or event.event == "error":
        raise AnswerError("the answer broke off with an error")
    return "".join(_text_of(choice) for choice in piece.choices) or piece.text or None


def _text_of(choice: _Choice) -> str:
    delta = choice.delta
    told = (delta.content or delta.reasoning_content) if delta is not None else None
    return told or choice.text or ""


TOKENS = Timed(FIRST_TOKEN, NEXT_TOKEN, token_of, needed=True)
