"""The shop's assistant: a stream of tokens as server-sent events, at a steady pace.

No model is behind it. It exists so that a client's time to the first byte and between chunks can be measured
against a target whose pace is known: the first token after `FIRST_TOKEN_S`, then one every `TOKEN_S` (A).
"""

import asyncio
from collections.abc import AsyncGenerator

import msgspec

from target_service.api.operation import ApiRequest, Operation
from target_service.response import ApiResponse
from target_service.schema import AssistantRequest, Token

FIRST_TOKEN_S = 0.05
TOKEN_S = 0.02
TEXT = "the parcel you ask about left the warehouse and will be with you before the lanterns are lit"
WORDS = TEXT.split()
EVENTS = "text/event-stream"

_encode = msgspec.json.Encoder().encode


def operations() -> list[Operation]:
    """What can be asked of the assistant."""
    ask = Operation("POST", "/assistant/messages", ask_assistant, Token, AssistantRequest, "assistant")
    return [ask._replace(media_type=EVENTS)]


async def ask_assistant(request: ApiRequest) -> ApiResponse:
    """Ask the shop's assistant; the answer is a stream of events."""
    events = _events(request.wanted.max_tokens)
    return ApiResponse(200, b"", {"Cache-Control": "no-store"}, EVENTS, parts=events)


async def _events(tokens: int) -> AsyncGenerator[bytes, None]:
    """`data: {"index": 0, "text": "the"}` …, then `event: done`."""
    loop = asyncio.get_running_loop()
    due = loop.time() + FIRST_TOKEN_S
    for index in range(tokens):
        await asyncio.sleep(max(0.0, due - loop.time()))
        yield b"data: " + _encode(Token(index, WORDS[index % len(WORDS)])) + b"\n\n"
        due += TOKEN_S
    yield b"event: done\ndata: {}\n\n"
