"""What a report may quote, and what it must not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.masking import MASK, masked

SECRETS = [
    '{"password": "hunter2-hunter2"}',
    "{'password': 'hunter2-hunter2'}",
    '{"user": "a", "api_key":"hunter2-hunter2", "n": 1}',
    '{"auth": {"access_token": "hunter2-hunter2"}}',
    "grant=x&client_secret=hunter2-hunter2&y=1",
    "GET /login?token=hunter2-hunter2&lang=en",
    "Authorization: Bearer hunter2-hunter2",
    "authorization: Basic hunter2-hunter2==",
    "Set-Cookie: session=hunter2-hunter2; Path=/",
    "the token is Bearer hunter2-hunter2",
    '{"password": "hunter2-hunter2',  # cut off
    '{"password": "a \\" hunter2-hunter2"}',
    "postgres://shop:hunter2-hunter2@db/shop",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_of_every_shape_are_masked(text: str) -> None:
    shown = masked(text, 200)
    assert "hunter2" not in shown
    assert MASK in shown


@pytest.mark.parametrize(
    "text",
    [
        "card 4111 1111 1111 1111 declined",
        "card 4111111111111111 declined",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "key sk_live_51H8abcdefghijklmnopqrstuvwxyz0123456789",
    ],
)
def test_what_looks_like_a_card_or_a_key_is_masked_without_a_name(text: str) -> None:
    assert MASK in masked(text, 200)
    assert "1111" not in masked(text, 200)


@pytest.mark.parametrize(
    "text",
    [
        '{"error": "out of stock", "sku": "A-17", "left": 0}',
        "<html><body>502 Bad Gateway</body></html>",
        "POST /orders?sku=A-1&quantity=2",
        "IndexError: list index out of range",
    ],
)
def test_what_helps_to_find_the_fault_is_left_as_it_is(text: str) -> None:
    assert masked(text, 200) == text


@given(
    st.text(max_size=300), st.text(alphabet=st.characters(categories=["Ll", "Nd"]), min_size=8, max_size=40)
)
def test_a_password_in_json_is_never_shown_whatever_stands_around_it(around: str, secret: str) -> None:
    text = json.dumps({"note": around, "password": f"zz{secret}", "more": around})
    assert f"zz{secret}" not in masked(text, 10_000).replace(json.dumps(around), "")


@given(st.text(max_size=10_000), st.integers(0, 300))
def test_the_quotation_is_never_longer_than_asked_for(text: str, longest: int) -> None:
    assert len(masked(text, longest)) <= longest
