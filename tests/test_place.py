"""Hosts and ports as people type them."""

import pytest

from loadtest.place import Place, is_loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("LocalHost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("x", False),
        ("", False),
    ],
)
def test_loopback_is_what_nobody_else_reaches(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_an_address_of_many_colons_is_written_in_brackets() -> None:
    assert str(Place("::1", 5557)) == "[::1]:5557"
    assert str(Place("10.0.0.1", 5557)) == "10.0.0.1:5557"
