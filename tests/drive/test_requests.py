"""What requests are made of: heads, URLs and bodies, without a connection."""

import dataclasses
import datetime
import decimal
import gzip
import io
import json
import re
import uuid
import zlib
from collections.abc import Callable
from typing import Any

import brotli  # type: ignore[import-untyped] # has no annotations
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.drive.bodies import encode_body
from loadtest.drive.contents import decoded_content
from loadtest.drive.errors import ProtocolError
from loadtest.drive.heads import FORM_BODY, JSON_BODY, NO_BODY, OCTETS_BODY, TEXT_BODY, Heads
from loadtest.drive.http1 import parse_head
from loadtest.drive.urls import Origin, base_url, redirected, target_of

DEFAULTS = {"Host": "shop", "User-Agent": "singlesday", "Accept": "text/html"}


def composed(
    heads: Heads, body_headers: tuple[tuple[str, str], ...], added: dict[str, str] | None
) -> dict[str, str]:
    head = heads.compose("POST", "/orders", body_headers, added, 7)
    assert head.startswith(b"POST /orders HTTP/1.1\r\n")
    assert head.endswith(b"\r\n\r\n")
    return {name.lower(): value for name, value in parse_head(head.removesuffix(b"\r\n\r\n"))}


def test_added_headers_replace_prepared_ones_of_their_name_in_any_case() -> None:
    sent = composed(Heads(DEFAULTS), JSON_BODY, {"user-agent": "own", "CONTENT-TYPE": "text/x"})
    assert sent == {
        "host": "shop",
        "user-agent": "own",
        "accept": "application/json",
        "content-type": "text/x",
        "content-length": "7",
    }


def test_a_caller_who_frames_the_body_himself_gets_no_second_length() -> None:
    sent = composed(Heads(DEFAULTS), NO_BODY, {"Content-Length": "3"})
    assert sent["content-length"] == "3"
    assert "content-length" not in composed(Heads(DEFAULTS), NO_BODY, {"transfer-encoding": "chunked"})


@given(st.dictionaries(st.sampled_from(["X-A", "x-a", "X-B"]), st.text(max_size=20), max_size=3))
def test_no_value_of_a_header_breaks_out_of_its_line(added: dict[str, str]) -> None:
    heads = Heads(DEFAULTS)
    try:
        head = heads.compose("GET", "/", NO_BODY, added, None)
    except ValueError:
        assert any(not re.fullmatch(r"[\t -~\x80-\xff]*", value) for value in added.values())
    else:
        assert (
            head.count(b"\n")
            == head.count(b"\r\n")
            == 2 + len(DEFAULTS) + len({name.lower() for name in added})
        )


@pytest.mark.parametrize("value", ["日本", "a\r\nX-B: 1", "a\nb", "a\rb", "a\0b", "\x7f", "\x1f"])
def test_a_value_that_cannot_be_sent_is_refused_by_name(value: str) -> None:
    with pytest.raises(ValueError, match="header X-Name: a value is one line of Latin-1"):
        Heads(DEFAULTS).compose("GET", "/", NO_BODY, {"X-Other": "ü", "X-Name": value}, None)


@pytest.mark.parametrize("method", ["", "GE T", "GET / HTTP/1.1\r\nX-A: 1\r\n\r\nGET", "GÉT"])
def test_a_method_that_is_no_token_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="not an HTTP method"):
        Heads(DEFAULTS).compose(method, "/", NO_BODY, None, None)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä"])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a header name"):
        Heads(DEFAULTS).compose("GET", "/", NO_BODY, {name: "1"}, None)


def test_a_thousand_sets_of_header_names_are_forgotten_again() -> None:
    heads = Heads(DEFAULTS)
    for n in range(3000):
        heads.compose("GET", "/", NO_BODY, {f"X-{n}": "1"}, None)
    assert len(heads._prepared) <= 1024


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("http://shop", Origin("http", "shop", 80), "/"),
        ("https://shop/a?b=1#part", Origin("https", "shop", 443), "/a?b=1"),
        ("http://[::1]:81/a b", Origin("http", "::1", 81), "/a%20b"),
        ("http://SHOP:8080/ü?q=%41%2F", Origin("http", "shop", 8080), "/%C3%BC?q=A%2F"),
        ("http://shop?x=1", Origin("http", "shop", 80), "/?x=1"),
    ],
)
def test_a_url_is_an_origin_and_a_quoted_target(url: str, origin: Origin, path: str) -> None:
    assert target_of(url)[:2] == (origin, path)


@pytest.mark.parametrize(
    "url", ["", "/path", "ftp://shop/", "http:///path", "shop/path", "http://shop:port/"]
)
def test_what_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library's texts are among them
        target_of(url)


@given(st.text(alphabet="abz/?=&%20 ü#;:@[]", max_size=12))
def test_the_short_cut_for_plain_paths_changes_nothing(path: str) -> None:
    base = base_url("http://shop")
    if "/" + path != "//":
        assert base.locate(f"/x{path}") == target_of(f"http://shop/x{path}")


def test_a_path_is_appended_to_the_base_and_an_absolute_url_is_not() -> None:
    base = base_url("http://shop/api")
    assert base.locate("/orders").path == "/api/orders"
    assert base.locate("https://other/x").origin == Origin("https", "other", 443)


def test_targets_are_remembered_up_to_a_bound() -> None:
    base = base_url("http://bounded")
    for n in range(10_000):
        base.locate(f"/orders/{n}")
    assert len(base.remembered) <= 4096


def test_a_default_port_is_left_out_of_the_host_header() -> None:
    assert Origin("http", "shop", 80).authority == "shop"
    assert Origin("https", "::1", 8443).authority == "[::1]:8443"


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b", "http://shop/b"),
        ("b", "http://shop/a/b"),
        ("//other/b", "http://other/b"),
        ("https://x/", "https://x/"),
    ],
)
def test_a_redirect_is_resolved_against_the_url_it_came_from(location: str, url: str) -> None:
    assert redirected("http://shop/a/index", location).url == url


@pytest.mark.parametrize(
    ("data", "value", "body", "headers"),
    [
        (None, None, b"", NO_BODY),
        ("", {"a": 1}, b'{"a":1}', JSON_BODY),
        (None, [], b"[]", JSON_BODY),
        (None, {None: 1}, b'{"null":1}', JSON_BODY),
        ({"a": "1 2"}, None, b"a=1+2", FORM_BODY),
        ("ü", None, b"\xc3\xbc", TEXT_BODY),
        (b"\x00", None, b"\x00", OCTETS_BODY),
        (io.BytesIO(b"file"), None, b"file", OCTETS_BODY),
        (iter([b"a", "b"]), None, b"ab", OCTETS_BODY),
    ],
)
def test_a_body_is_encoded_by_what_it_is(data: object, value: object, body: bytes, headers: object) -> None:
    assert encode_body(data, value) == (body, headers)


def test_a_body_of_no_known_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="data must be"):
        encode_body(7, None)


@dataclasses.dataclass
class Order:
    """What msgspec would send as an object, and json.dumps refuses."""

    sku: str = "a"


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2026, 11, 11, tzinfo=datetime.UTC),
        datetime.timedelta(1),
        decimal.Decimal("1.5"),
        uuid.UUID(int=1),
        Order(),
        {1, 2},
        frozenset(),
        b"x",
        bytearray(b"x"),
        object(),
        {(1, 2): 3},
        {uuid.UUID(int=1): 3},
        iter([1]),
        range(3),
        1j,
    ],
    ids=lambda value: type(value).__name__,  # an address would differ between workers of pytest-xdist
)
@pytest.mark.parametrize("place", [lambda v: v, lambda v: [v], lambda v: {"a": [1, {"b": v}]}])
def test_json_that_the_standard_library_refuses_is_refused(place: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(TypeError):
        json.dumps(place(value))
    with pytest.raises(TypeError):
        encode_body(None, place(value))


def test_json_that_contains_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        encode_body(None, circle)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner)
    ),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_json_says_what_the_standard_library_says(value: Any) -> None:
    """NaN included, which is no JSON, but is what Locust's class sends."""
    assert repr(json.loads(encode_body("", [value])[0])) == repr(json.loads(json.dumps([value])))


def test_files_are_sent_as_parts() -> None:
    body, headers = encode_body(
        {"note": "hi"}, None, {"file": ("a.txt", io.BytesIO(b"content"), "text/plain")}
    )
    assert headers[0][1].startswith("multipart/form-data; boundary=")
    assert b'name="note"\r\n\r\nhi\r\n' in body
    assert b'name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\ncontent\r\n' in body


@given(st.binary(max_size=2000))
def test_every_coding_is_undone(content: bytes) -> None:
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    coded = {
        "gzip": gzip.compress(content),
        "deflate": zlib.compress(content),
        " Deflate ": raw.compress(content) + raw.flush(),
        "br": brotli.compress(content),
        "identity": content,
        "unheard-of": content,
    }
    for coding, body in coded.items():
        assert decoded_content(body, coding) == content


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_a_body_that_ends_early_or_unpacks_without_end_is_a_protocol_error(coding: str) -> None:
    huge = b"0" * 1_000_000
    packed = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}[coding](huge)
    with pytest.raises(ProtocolError, match="not valid"):
        decoded_content(packed[: len(packed) // 2], coding)
    with pytest.raises(ProtocolError, match="over the limit"):
        decoded_content(packed, coding, limit_bytes=10_000)


def test_json_is_json() -> None:
    body, _ = encode_body(None, {"text": "ü", "n": 1.5, "none": None})
    assert json.loads(body) == {"text": "ü", "n": 1.5, "none": None}
