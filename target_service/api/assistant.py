"""The shop's assistant: a stream of tokens as server-sent events, at a steady pace.

No model is behind it. It exists so that a client's time to the first byte and between chunks can be measured
against a target whose pace is known: the first token after `FIRST_TOKEN_S`, then one every `TOKEN_S` (A).
"""

import asyncio

import msgspec
from aiohttp import web

from target_service.api.body import decode, read_json
from target_service.api.operation import Operation, Service
from target_service.schema import AssistantRequest, Token

FIRST_TOKEN_S = 0.05
TOKEN_S = 0.02
WORDS = [
    "the",
    "parcel",
    "you",
    "ask",
    "about",
    "left",
    "the",
    "warehouse",
    "and",
    "will",
    "be",
    "with",
    "you",
    "before",
    "the",
    "lanterns",
    "are",
    "lit",
]

_requests = msgspec.json.Decoder(AssistantRequest)
_encode = msgspec.json.Encoder().encode


def operations(_service: Service) -> list[Operation]:
    """What can be asked of the assistant."""
    ask = Operation(
        "POST",
        "/assistant/messages",
        "askAssistant",
        "assistant",
        "Ask the shop's assistant; the answer is a stream of events",
        answer,
        Token,
        body=AssistantRequest,
        media_type="text/event-stream",
    )
    return [ask]


async def answer(request: web.Request, _run_id: str) -> web.StreamResponse:
    """`POST /assistant/messages`: `data: {"index": 0, "text": "the"}` …, then `event: done`."""
    wanted = decode(_requests, await read_json(request))
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    loop = asyncio.get_running_loop()
    due = loop.time() + FIRST_TOKEN_S
    for index in range(wanted.max_tokens):
        await asyncio.sleep(max(0.0, due - loop.time()))
        token = Token(index, WORDS[index % len(WORDS)])
        await response.write(b"data: " + _encode(token) + b"\n\n")
        due += TOKEN_S
    await response.write(b"event: done\ndata: {}\n\n")
    return response
