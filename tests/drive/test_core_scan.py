"""The native scan of a response says of what it calls plain what the reader says of it."""

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.required import native_core

core = native_core()

from benchmarks.client import fuzz_scan  # noqa: E402 - it needs the native core

CORPUS = [
    ast.literal_eval(line)
    for line in (Path(__file__).parent / "scan_corpus.txt").read_text(encoding="ascii").splitlines()
]
HEAD = b"HTTP/1.1 200 OK\r\n"
FIELDS = [
    b"Content-Length: 3\r\n",
    b"content-length:  3 \r\n",
    b"Content-Length: 03\r\n",
    b"Content-Length: +3\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: Keep-Alive\r\n",
    b"Connection: close\r\n",
    b"Set-Cookie: a=b\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Date: Sun, 29 Nov 2026 08:00:00 GMT\r\n",
    b"X: \xff\r\n",
    b"X:\r\n",
    b"X : y\r\n",
    b": y\r\n",
    b"X: \x01\r\n",
]


@pytest.mark.parametrize("data", CORPUS, ids=range(len(CORPUS)))
def test_what_was_once_found_stays_agreed(data: bytes) -> None:
    assert fuzz_scan.disagreement(data) == ""


def test_scan_and_reader_agree_on_two_hundred_thousand_responses() -> None:
    answers = fuzz_scan.fuzz(200_000, seed=11)
    assert answers["plain"] > 20_000
    assert answers["unfinished"] > 2_000


@given(st.lists(st.sampled_from(FIELDS), max_size=6), st.binary(max_size=8), st.integers(0, 40))
@settings(max_examples=500, deadline=None)
def test_scan_and_reader_agree_whatever_the_headers(fields: list[bytes], body: bytes, cut: int) -> None:
    data = HEAD + b"".join(fields) + b"\r\n" + body
    assert fuzz_scan.disagreement(data[: len(data) - cut]) == ""


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (HEAD + b"Content-Length: 2\r\n\r\nok", "plain"),
        (HEAD + b"Content-Length: 2\r\n\r\no", "unfinished"),
        (HEAD + b"Content-Length: 2\r\n\r\nok!", "not plain"),
        (HEAD + b"Content-Length: 2\r\n\r", "not plain"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "plain"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\nx", "not plain"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "plain"),
        (b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n", "not plain"),
        (HEAD + b"\r\nuntil the end", "not plain"),
        (b"", "not plain"),
    ],
)
def test_a_response_is_plain_if_it_says_its_length_and_is_all_there(data: bytes, answer: str) -> None:
    assert core.scan(data)[0] == answer


@pytest.mark.parametrize("field", [b"Set-Cookie: a=b", b"CONTENT-ENCODING: br"])
def test_cookies_and_content_codings_need_care(field: bytes) -> None:
    assert core.scan(HEAD + field + b"\r\nContent-Length: 0\r\n\r\n")[:3] == ("plain", 200, True)


def test_no_prefix_of_a_response_is_taken_for_all_of_it() -> None:
    whole = HEAD + b"Content-Length: 5\r\nX-One: 1\r\n\r\nhello"
    assert [size for size in range(len(whole) + 1) if core.scan(whole[:size])[0] == "plain"] == [len(whole)]
