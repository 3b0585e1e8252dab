"""The response reader: fed whole, byte by byte and at random cuts, it has to say the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.drive.errors import ConnectionClosedError, ProtocolError
from loadtest.drive.http1 import Limits, ResponseReader, final_head, parse_head, reason_phrase

Cut = Callable[[bytes], list[bytes]]

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: 1\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-Sum: 9\r\n\r\n"
)
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall that follows"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 400\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + PLAIN
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
OLD_KEPT = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
EMPTY_LINES_FIRST = b"\r\n\r\n" + PLAIN

# (bytes, status, body, connection can be used again)
COMPLETE = [
    (PLAIN, 200, b"hello", True),
    (CHUNKED, 201, b"hello world", True),
    (NO_CONTENT, 204, b"", True),
    (NOT_MODIFIED, 304, b"", True),
    (INTERIM, 200, b"hello", True),
    (CLOSING, 200, b"ok", False),
    (OLD, 200, b"ok", False),
    (OLD_KEPT, 200, b"ok", True),
    (EMPTY_LINES_FIRST, 200, b"hello", True),
]
MALFORMED = [
    b"nonsense\r\n\r\n",
    b"HTTP/1.1 OK\r\n\r\n",
    b"HTTP/3.7 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"\x16\x03\x01\x02\x00",
    b"HTTP/1.1 104 Odd\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
]


def read(
    pieces: list[bytes], reader: ResponseReader | None = None, head_only: bool = False
) -> ResponseReader:
    """Feed pieces until the response is complete."""
    reader = reader or ResponseReader()
    reader.begin(head_only)
    for piece in pieces:
        if reader.feed(piece):
            break
    return reader


def single_bytes(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize(("data", "status", "body", "keep_alive"), COMPLETE)
@pytest.mark.parametrize("cut", [lambda data: [data], single_bytes], ids=["whole", "byte by byte"])
def test_a_response_is_read_however_it_arrives(
    cut: Cut, data: bytes, status: int, body: bytes, keep_alive: bool
) -> None:
    reader = read(cut(data))
    assert reader.complete
    assert (reader.status, reader.take_body(), reader.keep_alive) == (status, body, keep_alive)
    assert reader.head.startswith(b"HTTP/1.")
    assert f" {status} ".encode() in reader.head


@given(
    st.lists(st.sampled_from([case for case in COMPLETE if case[3]]), min_size=1, max_size=5),
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
)
def test_one_reader_reads_the_responses_of_a_connection_at_any_cuts(
    cases: list[tuple[bytes, int, bytes, bool]], sizes: list[int]
) -> None:
    reader = ResponseReader()
    for data, status, body, _ in cases:
        pieces, at = [], 0
        for size in sizes * len(data):
            if at >= len(data):
                break
            pieces.append(data[at : at + size])
            at += size
        read(pieces, reader)
        assert (reader.complete, reader.status, reader.take_body()) == (True, status, body)
        assert final_head(data) == reader.head


@pytest.mark.parametrize("data", MALFORMED)
@pytest.mark.parametrize("cut", [lambda data: [data], single_bytes], ids=["whole", "byte by byte"])
def test_malformed_input_is_a_protocol_error(cut: Cut, data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(cut(data))


@given(st.binary(max_size=300), st.integers(1, 64))
def test_no_bytes_whatever_do_more_than_raise_the_named_errors(data: bytes, size: int) -> None:
    reader = ResponseReader(Limits(200, 200))
    try:
        read([data[i : i + size] for i in range(0, len(data), size)], reader)
        reader.feed_eof()
    except (ProtocolError, ConnectionClosedError):
        assert not reader.complete
    else:
        assert 200 <= reader.status <= 999


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    reader = read([UNTIL_CLOSE[:30], UNTIL_CLOSE[30:]])
    assert not reader.complete
    reader.feed_eof()
    assert (reader.complete, reader.status, reader.keep_alive) == (True, 200, False)
    assert reader.take_body() == b"all that follows"


@pytest.mark.parametrize("data", [b"", PLAIN[:10], PLAIN[:-1], CHUNKED[:-1], INTERIM[:60]])
def test_the_end_of_the_connection_inside_a_response_is_an_error(data: bytes) -> None:
    reader = read([data] if data else [])
    with pytest.raises(ConnectionClosedError):
        reader.feed_eof()


@pytest.mark.parametrize("data", [PLAIN, CHUNKED, UNTIL_CLOSE, NOT_MODIFIED])
def test_the_response_to_a_head_ends_with_its_head(data: bytes) -> None:
    head = final_head(data) + b"\r\n\r\n"
    for pieces in ([head], single_bytes(head)):
        reader = read(pieces, head_only=True)
        assert (reader.complete, reader.take_body()) == (True, b"")


def test_a_malformed_head_is_no_response_to_a_head_either() -> None:
    with pytest.raises(ProtocolError):
        read([b"HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n"], head_only=True)


def test_after_a_head_the_same_reader_reads_on() -> None:
    reader = read([final_head(PLAIN) + b"\r\n\r\n"], head_only=True)
    assert reader.keep_alive
    read([CHUNKED], reader)
    assert (reader.status, reader.take_body()) == (201, b"hello world")


def test_a_body_after_the_answer_to_a_head_costs_the_connection() -> None:
    reader = read([PLAIN], head_only=True)
    assert (reader.complete, reader.keep_alive, reader.take_body()) == (True, False, b"")


@pytest.mark.parametrize("surplus", [PLAIN, b"HTTP/1.1 2", b"garbage", b"\x00"])
def test_bytes_after_the_response_cost_the_connection_but_not_the_response(surplus: bytes) -> None:
    for cut in (0, 20, len(PLAIN) - 2):
        reader = read([PLAIN[:cut], PLAIN[cut:] + surplus] if cut else [PLAIN + surplus])
        assert (reader.complete, reader.status, reader.take_body()) == (True, 200, b"hello")
        assert reader.head == final_head(PLAIN)
        assert not reader.keep_alive


def test_an_endless_head_is_cut_off() -> None:
    reader = ResponseReader(Limits(head_bytes=1000, body_bytes=1000))
    with pytest.raises(ProtocolError, match="head over the limit"):
        read([b"HTTP/1.1 200 OK\r\n", *([b"X-Pad: " + b"x" * 90 + b"\r\n"] * 20)], reader)


def test_endless_interim_responses_are_cut_off() -> None:
    reader = ResponseReader(Limits(head_bytes=1000, body_bytes=1000))
    with pytest.raises(ProtocolError, match="head over the limit"):
        read([b"HTTP/1.1 100 Continue\r\n\r\n"] * 100, reader)


def test_an_endless_body_is_cut_off() -> None:
    reader = ResponseReader(Limits(head_bytes=1000, body_bytes=1000))
    with pytest.raises(ProtocolError, match="body over the limit"):
        read([b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", *([b"x" * 500] * 10)], reader)


def test_the_head_is_known_before_the_body_is_complete() -> None:
    reader = read([b"HTTP/1.1 200 OK\r\nContent-", b"Length: 9\r\n\r\nabc"])
    assert (reader.head_complete, reader.complete, reader.status) == (True, False, 200)
    assert reader.take_body() == b"abc"


def test_headers_are_parsed_in_order_with_folded_lines_joined() -> None:
    head = b"HTTP/1.1 404 Not Found\r\nSet-Cookie: a=1\r\nset-cookie:b=2\r\nX-Long: one\r\n\t two\r\nEmpty:"
    assert parse_head(head) == [
        ("Set-Cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("X-Long", "one two"),
        ("Empty", ""),
    ]
    assert reason_phrase(head) == "Not Found"


def test_the_reader_imports_no_io() -> None:
    text = (Path(__file__).parents[2] / "loadtest" / "drive" / "http1.py").read_text()
    assert not any(word in text for word in ("import socket", "gevent", "locust"))


def test_a_body_that_is_taken_as_it_comes_may_be_longer_than_the_limit() -> None:
    reader = ResponseReader(Limits(head_bytes=100, body_bytes=1000))
    reader.begin()
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    taken = 0
    for _ in range(200):
        reader.feed(b"x" * 500)
        taken += len(reader.take_body())
    assert (taken, reader.complete) == (100_000, True)


def test_a_body_that_is_not_taken_is_held_up_to_the_limit() -> None:
    reader = ResponseReader(Limits(head_bytes=100, body_bytes=1000))
    reader.begin()
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    reader.feed(b"x" * 1000)
    with pytest.raises(ProtocolError, match="body over the limit"):
        reader.feed(b"x" * 100)
