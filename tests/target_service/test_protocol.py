"""What is refused before it reaches an operation: hosts, one line of reason, and the admin port's own failures."""

import asyncio
import json

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from target_service.admin import well_formed
from target_service.protocol import LONGEST_REASON, ProblemProtocol, is_host, reason_of


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Invalid header token:\n\n  b'Bad Name: x'\n       ^", "Invalid header token"),
        (
            "Bad status line:\n  Invalid HTTP version:\n\n  b'GET'\n  ^",
            "Bad status line: Invalid HTTP version",
        ),
        ("Too many headers received", "Too many headers received"),
    ],
)
def test_a_parsers_words_become_one_line(message: str, reason: str) -> None:
    assert reason_of(message) == reason


@pytest.mark.parametrize(
    "text", ["x", "shop:8080", "a.b-c_d~e:", "127.0.0.1:1", "[::1]:8080", "a%20b", "x:65535"]
)
def test_a_host_is_a_name_or_an_address_and_maybe_a_port(text: str) -> None:
    assert is_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b",
        "a/b",
        "u@h",
        "a:b",
        "x:65536",
        "x:1:2",
        "[::1",
        "::1",
        "a%2",
        "h\u00f6st",
        "x" * 256,
        "a\n",
    ],
)
def test_whatever_else_is_no_host(text: str) -> None:
    assert not is_host(text)


@given(st.text())
def test_a_reason_is_always_one_short_line(message: str) -> None:
    reason = reason_of(message)
    assert len(reason) <= LONGEST_REASON
    assert len(reason.splitlines()) <= 1


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (web.HTTPNotFound(), 404, "not-found"),
        (web.HTTPForbidden(text="faults are off"), 403, "forbidden"),
        (RuntimeError("a defect"), 500, "internal"),
    ],
)
def test_what_goes_wrong_at_the_admin_port_is_a_problem(
    caplog: pytest.LogCaptureFixture, error: Exception, status: int, slug: str
) -> None:
    async def fail(_request: web.Request) -> web.StreamResponse:
        raise error

    async def scene() -> bytes:
        app = web.Application(middlewares=[well_formed])
        app.router.add_get("/", fail)
        runner = web.AppRunner(app)
        await runner.setup()
        server, loop = runner.server, asyncio.get_running_loop()
        assert server is not None
        listening = await loop.create_server(lambda: ProblemProtocol(server, loop=loop), "127.0.0.1", 0)
        async with listening, asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
        await runner.cleanup()
        return answer

    head, _, body = asyncio.run(scene()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status)
    assert b"application/problem+json" in head
    assert json.loads(body)["type"] == f"/problems/{slug}"
    assert ("a defect" in caplog.text) == (status == 500)
