"""Tokens: which events carry one, and the times to the first and between the others, of a server of OpenAI's API."""

import json
from collections.abc import Callable

import gevent
import pytest

from loadtest.drive.errors import AnswerError, ConnectionClosedError
from loadtest.drive.session import Session
from loadtest.drive.streams import ServerSentEvent
from loadtest.drive.tokens import token_of
from loadtest.judge.slo_syntax import parse
from loadtest.records import Outcome, is_request
from loadtest.testing import ScriptedServer, ServedConnection

MakeSession = Callable[..., Session]
PATH = "/v1/chat/completions"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PAUSE_S = 0.02


def chunk(data: str) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data.encode()), data.encode())


def piece(**delta: str) -> str:
    """One event of a chat completion, as OpenAI's API has it."""
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return f"data: {json.dumps({'id': 'chatcmpl-1', 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"


def chat(*events: str, end: bytes = b"0\r\n\r\n") -> Callable[[ServedConnection], None]:
    """A small server of OpenAI's API that answers with these events, a pause before each."""

    def serve(connection: ServedConnection) -> None:
        connection.read_request()
        connection.send(HEAD)
        for event in events:
            gevent.sleep(PAUSE_S)
            connection.send(chunk(event))
        connection.send(end)
        if end:
            connection.read_request()

    return serve


ROLE, USAGE, DONE = (
    piece(role="assistant", content=""),
    'data: {"choices":[],"usage":{}}\n\n',
    "data: [DONE]\n\n",
)


def test_a_chat_completion_has_its_times_to_the_first_token_and_per_token(
    session_to: MakeSession, outcomes: list[Outcome]
) -> None:
    answer = chat(ROLE, piece(content="the"), piece(content=" parcel"), piece(content=" left"), USAGE, DONE)
    with ScriptedServer(answer) as server:
        session = session_to(server.url)
        session.intended_ns = 1
        assert list(session.tokens(PATH, json={"stream": True})) == ["the", " parcel", " left"]
        assert server.requests[0].startswith(b"POST /v1/chat/completions ")
    assert [(o.method, o.name, o.error) for o in outcomes] == [
        ("POST", PATH, None),
        ("first token", PATH, None),
        ("next token", PATH, None),
        ("next token", PATH, None),
    ]
    assert outcomes[1].intended_ns == 1, "the time to the first token counts from the planned instant"
    assert outcomes[1].service_ns >= 2 * PAUSE_S * 1e9, "the role that comes before is no token"
    assert all(o.response_ns == o.service_ns > 0 for o in outcomes[2:])
    assert [is_request(f"{o.method} {o.name}") for o in outcomes] == [True, False, False, False]


@pytest.mark.parametrize(
    ("events", "recorded"),
    [
        ([ROLE, DONE], [("first token", "answer")]),
        ([], [("first token", "answer")]),
        (
            [piece(content="the"), 'data: {"error": {"message": "out of memory"}}\n\n'],
            [("next token", "answer")],
        ),
        (["event: error\ndata: {}\n\n"], [("first token", "answer")]),
        (["data: <html>\n\n"], [("first token", "answer")]),
    ],
    ids=["only a role", "nothing", "an error amid tokens", "an error event", "no JSON"],
)
def test_an_answer_that_is_none_has_failed(
    session_to: MakeSession, outcomes: list[Outcome], events: list[str], recorded: list[tuple[str, str]]
) -> None:
    with ScriptedServer(chat(*events)) as server, pytest.raises(AnswerError):
        list(session_to(server.url).tokens(PATH, json={}))
    assert [(o.method, o.error) for o in outcomes if o.error] == recorded


def test_an_answer_that_breaks_off_has_failed_at_its_next_token(
    session_to: MakeSession, outcomes: list[Outcome]
) -> None:
    with ScriptedServer(chat(piece(content="the"), end=b"")) as server, pytest.raises(ConnectionClosedError):
        list(session_to(server.url).tokens(PATH, json={}))
    assert [(o.method, o.error) for o in outcomes] == [
        ("POST", None),
        ("first token", None),
        ("next token", "closed"),
    ]


@pytest.mark.parametrize(
    ("data", "token"),
    [
        ('{"choices": [{"delta": {"content": "the"}}]}', "the"),
        ('{"choices": [{"delta": {"reasoning_content": "hm"}}]}', "hm"),
        ('{"choices": [{"text": "older"}]}', "older"),
        ('{"index": 0, "text": "ours"}', "ours"),
        ('{"choices": [{"delta": {"content": null}, "finish_reason": "stop"}]}', None),
        ('{"choices": [{"delta": {}}]}', None),
        ('{"choices": []}', None),
        ("{}", None),
        ("[DONE]", None),
    ],
)
def test_an_event_with_text_is_a_token(data: str, token: str | None) -> None:
    assert token_of(ServerSentEvent(data)) == token


def test_the_times_have_objectives() -> None:
    slo = parse(f"p99(first token {PATH}) < 500ms")
    assert (slo.endpoint, slo.bound, slo.unit) == (f"first token {PATH}", 500, "ms")
    assert parse(f"mean(next token {PATH}) < 50ms").endpoint == f"next token {PATH}"
