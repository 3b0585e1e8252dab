"""What may be read without the parser: only what the parser reads as one whole request, and in the same words."""

import asyncio

import pytest
from aiohttp.base_protocol import BaseProtocol
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from target_service.protocol import Head, new_parser, plain_request

PLAIN = b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        PLAIN.replace(b"Content-Length: 2", b"content-length:2"),
        PLAIN.replace(b"Host: x", b"Host: x\r\nConnection: keep-alive"),
        b"GET /products/sku-000001 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_clients_send_in_one_piece_is_plain(data: bytes) -> None:
    assert plain_request(data) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n" + PLAIN,
        PLAIN[:-1],
        PLAIN + b" ",
        PLAIN + PLAIN,
        PLAIN.replace(b"/orders", b"/orders?x"),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN.replace(b"Host: x", b"Host : x"),
        PLAIN.replace(b"Host: x", b"Host: x\r\n y"),
        PLAIN.replace(b"Host: x", b"Host: x\ny: z"),
        PLAIN.replace(b"Host: x", b"Expect: 100-continue"),
        PLAIN.replace(b"Host: x", b"Connection: close"),
        PLAIN.replace(b"Host: x", b"Transfer-Encoding: chunked"),
        PLAIN.replace(b"Host: x", b"tRANSFER-eNCODING:chunked"),
        PLAIN.replace(b"Host: x", b"Content-Length: 2"),
        PLAIN.replace(b"Length: 2", b"Length: +2"),
        PLAIN.replace(b"Length: 2", b"Length: 2, 2"),
        PLAIN.replace(b"POST", b"CONNECT"),
        PLAIN.replace(b"Length: 2", b"Length: 65537") + b" " * 65535,
    ],
)
def test_whatever_could_end_elsewhere_is_left_to_the_parser(data: bytes) -> None:
    assert plain_request(data) is None


FIELDS = st.sampled_from(
    [
        b"A: b\r\n",
        b"A:\xff\t\r\n",
        b"X-Load-Test: r\r\n",
        b"Connection: keep-alive\r\n",
        b"Connection: close\r\n",
        b"connection:keep-alive \r\n",
        b"Connection: upgrade\r\nUpgrade: websocket\r\n",
        b"Content-Length : 2\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"transfer-encoding:\tchunked\r\n",
        b" folded\r\n",
        b"A: b\n",
        b"\r\n",
    ]
)
FEW = st.lists(FIELDS, max_size=2).map(b"".join)
STARTS = st.sampled_from([b"POST /orders HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"])
LENGTHS = st.sampled_from(
    ["", "Content-Length: {}", "content-length:{}", "Content-Length: {}\t", "Content-Length: 0{}"]
)
BODIES = st.one_of(st.binary(max_size=12), st.sampled_from([b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]))


@settings(max_examples=300)
@given(
    start=STARTS, before=FEW, length=LENGTHS, after=FEW, body=BODIES, error=st.sampled_from([0, 0, 0, -1, 1])
)
def test_what_is_plain_the_parser_reads_as_one_request(
    *, start: bytes, before: bytes, length: str, after: bytes, body: bytes, error: int
) -> None:
    named = f"{length}\r\n".format(len(body) + error).encode() if length else b""
    data = start + before + named + after + b"\r\n" + body
    found = plain_request(data)
    if found is not None:
        asyncio.run(_is_one_to_the_parser(data, *found))


async def _is_one_to_the_parser(data: bytes, head: Head, body: bytes) -> None:
    messages, upgraded, tail = new_parser(BaseProtocol(asyncio.get_running_loop())).feed_data(data)
    ((message, payload),) = messages
    assert (upgraded, tail, message.should_close) == (False, b"", False)
    assert (head.method, head.path) == (message.method, message.url.path)
    assert payload.is_eof()
    assert payload.read_nowait() == body
    assert head.headers == CIMultiDict(message.headers)
