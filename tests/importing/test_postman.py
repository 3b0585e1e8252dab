"""Postman collections."""

import json
from typing import Any

import pytest

from loadtest.importing.import_error import ImportingError
from loadtest.importing.postman import read_postman

COLLECTION: dict[str, Any] = {
    "info": {
        "name": "Shop",
        "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
    },
    "variable": [{"key": "base", "value": "http://127.0.0.1:{{port}}"}, {"key": "port", "value": "8080"}],
    "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "s3cret"}]},
    "item": [
        {
            "name": "Catalogue",
            "item": [
                {
                    "name": "Product",
                    "request": {
                        "method": "GET",
                        "url": {
                            "raw": "{{base}}/products/:sku",
                            "variable": [{"key": "sku", "value": "sku-000001"}],
                        },
                    },
                },
            ],
        },
        {
            "name": "Order",
            "event": [{"listen": "test", "script": {"exec": ["pm.test()"]}}],
            "request": {
                "method": "POST",
                "header": [
                    {"key": "X-Shop", "value": "{{shop}}"},
                    {"key": "X-Off", "value": "1", "disabled": True},
                ],
                "url": {"raw": "{{base}}/orders"},
                "body": {"mode": "raw", "raw": '{"buyer_id": 1}', "options": {"raw": {"language": "json"}}},
            },
        },
        {
            "name": "Form",
            "request": {
                "method": "POST",
                "url": "{{base}}/form",
                "body": {"mode": "urlencoded", "urlencoded": [{"key": "a", "value": "b"}]},
            },
        },
    ],
}


def test_requests_come_in_their_order_with_their_variables_filled_in() -> None:
    recorded, notes = read_postman(json.dumps(COLLECTION).encode(), "shop.json")
    assert [(one.method, one.url) for one in recorded] == [
        ("GET", "http://127.0.0.1:8080/products/sku-000001"),
        ("POST", "http://127.0.0.1:8080/orders"),
        ("POST", "http://127.0.0.1:8080/form"),
    ]
    assert recorded[1].json_body == {"buyer_id": 1}
    assert recorded[2].form == (("a", "b"),)
    assert dict(recorded[1].headers) == {"X-Shop": "made-up-shop", "Authorization": "made up"}
    assert notes == [
        "{{shop}} is set nowhere in the collection: made up",
        "scripts of 1 request left out: they are JavaScript",
    ]
    assert "s3cret" not in repr(recorded)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "expected a Postman collection"),
        ({}, "item: expected the list"),
        (
            {"item": [{"name": "x", "item": [{"request": {"method": "GET"}}]}]},
            r"item\[0\]\.item\[0\]\.request\.url: expected",
        ),
    ],
)
def test_what_is_no_collection_is_refused_with_its_key(document: Any, said: str) -> None:
    data = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    with pytest.raises(ImportingError, match=said):
        read_postman(data, "shop.json")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/orders/1?a=b",
        {"raw": "http://127.0.0.1:8080/orders/1?a=b"},
        {
            "protocol": "http",
            "host": ["127", "0", "0", "1"],
            "port": "8080",
            "path": ["orders", {"type": "string", "value": "1"}],
            "query": [{"key": "a", "value": "b"}, {"key": "off", "value": "1", "disabled": True}],
        },
        {
            "protocol": "http",
            "host": "127.0.0.1:8080",
            "path": "/orders/1",
            "query": [{"key": "a", "value": "b"}],
        },
    ],
)
@pytest.mark.parametrize(
    "header",
    ["Accept: */*\nX-Shop: a:b\n", [{"key": "Accept", "value": "*/*"}, {"key": "X-Shop", "value": "a:b"}]],
)
def test_addresses_and_headers_are_read_as_either_format_may_write_them(url: Any, header: Any) -> None:
    document = {"item": [{"request": {"method": "GET", "url": url, "header": header}}]}
    ((request,), _) = read_postman(json.dumps(document).encode(), "x.json")
    assert request.url == "http://127.0.0.1:8080/orders/1?a=b"
    assert request.headers == (("Accept", "*/*"), ("X-Shop", "a:b"))
