"""Requests that the native core composes are, byte for byte, those that Python composes."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.drive.bodies import json_bytes
from loadtest.drive.heads import FORM_BODY, JSON_BODY, NO_BODY, OCTETS_BODY, TEXT_BODY, Heads
from loadtest.drive.urls import BaseUrl
from tests.required import native_core

core = native_core()

HEADS = Heads({"Host": "shop.test", "User-Agent": "test", "Accept-Encoding": "gzip"})
TOKEN = st.from_regex(re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}"), fullmatch=True)
VALUE = st.text(max_size=20)
PATH = st.from_regex(re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,/:=@]{0,20}"), fullmatch=True)


@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    PATH,
    st.sampled_from([NO_BODY, JSON_BODY, FORM_BODY, TEXT_BODY, OCTETS_BODY]),
    st.dictionaries(TOKEN, VALUE, max_size=4),
    st.binary(min_size=1, max_size=200),
)
def test_a_composed_request_is_what_python_composes_or_left_to_it(
    method: str,
    target: str,
    body_headers: tuple[tuple[str, str], ...],
    added: dict[str, str],
    body: bytes,
) -> None:
    template = HEADS.template(method, body_headers, added)
    if template is None:
        names = {name.lower() for name in added}
        assert names & {"content-length", "transfer-encoding"} or len(names) < len(added)
        return
    sent = b"" if body_headers is NO_BODY else body
    composed = core.composed(template, target, added or None, sent)
    try:
        expected = HEADS.sent(method, target, body_headers, added or None, sent)
    except ValueError:
        assert composed is None
        return
    assert composed == expected or (composed is None and not "".join(added.values()).isascii())


def test_a_request_that_does_not_fit_is_left_to_python() -> None:
    template = HEADS.template("POST", OCTETS_BODY, None)
    assert core.composed(template, "/", None, b"x" * 65_000) is not None
    assert core.composed(template, "/", None, b"x" * 65_536) is None
    assert core.composed(template, "/" + "x" * 70_000, None, b"") is None
    long_header = HEADS.template("GET", NO_BODY, {"X": ""})
    assert core.composed(long_header, "/", {"X": "y" * 70_000}, b"") is None


@given(st.text(alphabet="/ab0-._~!$&'()*+,:;=?@%#\"<>\\^`{|} é", max_size=12) | st.text(max_size=6))
def test_a_plain_path_is_the_target_that_python_works_out(url: str) -> None:
    if core.is_plain_path(url):
        assert BaseUrl("http://shop.test").locate(url).path == url


@pytest.mark.parametrize("url", ["/", "/orders/1", "/a?b=c;d", "/a?b?c"])
def test_paths_as_scripts_have_them_are_plain(url: str) -> None:
    assert core.is_plain_path(url)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=2) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_json_that_is_plain_is_encoded_as_python_would(value: object) -> None:
    if core.is_plain_json(value):
        try:
            encoded = msgspec.json.encode(value)
        except (TypeError, ValueError):
            return  # a lone surrogate: the session leaves it to Python then
        assert encoded == json_bytes(value)


def test_json_as_scripts_have_it_is_plain() -> None:
    assert core.is_plain_json({"buyer_id": 1, "lines": [{"sku": "a", "quantity": 1.5, "gift": None}]})
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    assert not core.is_plain_json(deep)
