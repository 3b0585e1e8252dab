"""What is refused before it reaches an operation: hosts, and one line of reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_service.protocol import LONGEST_REASON, is_host, reason_of


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
