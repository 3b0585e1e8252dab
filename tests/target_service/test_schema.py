"""Strict JSON: duplicate keys however they are spelt, and fields named by pointer."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_service.schema import (
    DuplicateKeyError,
    Line,
    OrderRequest,
    field_of,
    has_plain_keys,
    refuse_duplicate_keys,
)

ORDERS = st.builds(
    OrderRequest,
    buyer_id=st.integers(1, 1000),
    lines=st.lists(st.builds(Line, sku=st.just("sku-000001"), quantity=st.integers(1, 9)), min_size=1).map(
        tuple
    ),
    region=st.sampled_from([None, "tokyo"]),
)


@given(ORDERS, st.booleans())
def test_an_honest_order_needs_no_second_reading(order: OrderRequest, spaced: bool) -> None:
    body = msgspec.json.encode(order)
    if spaced:
        body = json.dumps(json.loads(body), indent=1).encode()
    assert has_plain_keys(body, order)
    refuse_duplicate_keys(body)


@given(ORDERS, st.sampled_from(["buyer_id", "lines", "region"]), st.booleans())
def test_a_repeated_key_is_found_however_it_is_spelt(order: OrderRequest, key: str, escaped: bool) -> None:
    body = msgspec.json.encode(order)
    value = json.dumps(json.loads(body)[key])
    name = key.replace("i", "\\u0069") if escaped else key
    twice = b"{" + f'"{name}": {value}, '.encode() + body[1:]
    assert msgspec.json.decode(twice, type=OrderRequest) == order
    assert not has_plain_keys(twice, order)
    with pytest.raises(DuplicateKeyError, match=key):
        refuse_duplicate_keys(twice)


def test_a_key_repeated_in_a_line_is_found() -> None:
    order = OrderRequest(1, (Line("sku-000001", 1), Line("sku-000001", 2)))
    body = msgspec.json.encode(order).replace(b'"quantity":2', b'"quantity":1,"quantity":2')
    assert not has_plain_keys(body, order)
    with pytest.raises(DuplicateKeyError):
        refuse_duplicate_keys(body)


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ('{"buyer_id": "x"}', "/buyer_id"),
        ('{"buyer_id": 1, "lines": [{"sku": "sku-000001", "quantity": 1}, {"sku": 5}]}', "/lines/1/sku"),
        ("[]", ""),
        ('{"buyer_id": 1, "lines": [{"sku": "sku-123456\\n", "quantity": 1}]}', "/lines/0/sku"),
        ('{" - at `$[[[": 1}', ""),
        ('{" - at `$.lines[x]": 1}', ""),
        ('{"buyer_id": 1}', ""),
    ],
)
def test_a_wrong_field_is_named_by_its_pointer(text: str, pointer: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.json.decode(text, type=OrderRequest)
    assert field_of(error.value)[0] == pointer
