"""The protocol's own answers: one line of reason, and defects outside the API told and logged as such."""

import asyncio
import json
import logging

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from target_service.problem import Kind
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


def answer_to_a_handler_that_raises(error: Exception, refused: list[Kind]) -> tuple[bytes, bytes]:
    """Head and body of what the protocol answers before it closes the connection."""
    muted = logging.getLogger("muted")
    muted.setLevel(logging.CRITICAL)

    async def fail(_request: web.BaseRequest) -> web.Response:
        raise error

    async def scene() -> bytes:
        server = web.Server(fail)
        listening = await asyncio.get_running_loop().create_server(
            lambda: ProblemProtocol(server, refused.append, logger=muted), "127.0.0.1", 0
        )
        async with listening, asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await reader.read()
            writer.close()
        await server.shutdown()
        return answer

    head, _, body = asyncio.run(scene()).partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return head, body


@pytest.mark.parametrize(
    ("error", "slug"),
    [(web.HTTPNotFound(), "not-found"), (web.HTTPExpectationFailed(text="magic"), "unmet-expectation")],
)
def test_an_answer_of_aiohttps_own_becomes_a_problem_and_is_counted(
    error: web.HTTPException, slug: str
) -> None:
    refused: list[Kind] = []
    head, body = answer_to_a_handler_that_raises(error, refused)
    assert head.startswith(b"HTTP/1.1 %d" % error.status)
    assert json.loads(body)["type"] == f"/problems/{slug}"
    assert [kind.slug for kind in refused] == [slug]


def test_a_defect_outside_the_api_is_a_problem_that_is_logged_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused: list[Kind] = []
    head, body = answer_to_a_handler_that_raises(RuntimeError("a defect"), refused)
    assert head.startswith(b"HTTP/1.1 500")
    assert json.loads(body)["type"] == "/problems/internal"
    assert [kind.slug for kind in refused] == ["internal"]
    assert "a defect" in caplog.text
