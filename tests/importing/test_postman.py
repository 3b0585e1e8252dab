"""Postman collections."""

import json
from typing import Any

import pytest

from loadtest.importing.import_error import ImportingError
from loadtest.importing.postman import read_postman
from loadtest.importing.session_script import session_script

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
    assert dict(recorded[1].headers) == {"X-Shop": "made-up-shop", "Authorization": "Bearer made up"}
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


def script_of(items: list[dict[str, Any]], **collection: Any) -> tuple[str, list[str]]:
    document = {"info": COLLECTION["info"], "item": items, **collection}
    recorded, notes = read_postman(json.dumps(document).encode(), "shop.json")
    return session_script(recorded, "Session", "shop-data").text, notes


def request_of(path: str, test: str = "", **more: Any) -> dict[str, Any]:
    events = [{"listen": "test", "script": {"exec": test.splitlines()}}] if test else []
    return {"event": events, "request": {"method": "POST", "url": f"http://127.0.0.1{path}", **more}}


BEARER = {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}"}]}


@pytest.mark.parametrize(
    "test",
    [
        "pm.environment.set('token', pm.response.json().data.tokens[0]);",
        'const said = pm.response.json();\npm.collectionVariables.set("token", said.data.tokens[0]);',
        "var j = JSON.parse(responseBody)\npostman.setEnvironmentVariable('token', j[\"data\"]['tokens'][0])",
        "let x = pm.response.json();\npm.test('ok', () => {});\npm.globals.set( 'token' , x . data.tokens[ 0 ] )",
    ],
)
def test_what_a_script_keeps_of_an_answer_is_taken_from_it(test: str) -> None:
    login = request_of("/login", test, auth={"type": "noauth"})
    script, notes = script_of([login, request_of("/account")], auth=BEARER)
    assert "token" in notes[0]
    assert "said['data']['tokens'][0]" in script
    assert "'/account', headers={'Authorization': f\"Bearer {tokens}\"}" in script
    assert "Authorization" not in script.partition("answer.ok")[0]


def test_a_script_that_keeps_something_else_is_left_out_and_said() -> None:
    items = [request_of("/login", "pm.environment.set('token', crypto(1))"), request_of("/account")]
    script, notes = script_of(items, auth=BEARER)
    assert notes == [
        "{{token}} is set nowhere in the collection: made up",
        "scripts of 1 request left out: they are JavaScript",
    ]
    assert "said" not in script


@pytest.mark.parametrize("name", ["X-Shop-Key", "Ocp-Apim-Subscription-Key", "k", "api_key"])
def test_a_key_goes_where_its_login_says_whatever_it_is_called(name: str) -> None:
    key = [{"key": "key", "value": name}, {"key": "value", "value": "s3cret"}]
    in_query = [*key, {"key": "in", "value": "query"}]
    script, _ = script_of(
        [
            request_of("/a", auth={"type": "apikey", "apikey": key}),
            request_of("/b", auth={"type": "apikey", "apikey": in_query}),
        ]
    )
    column = name.lower().replace("-", "_")
    assert f"{{'{name}': secret['{column}']}}" in script
    assert f"/b?{name}={{secret['{column}']}}" in script
    assert "s3cret" not in script


def test_a_graphql_body_has_its_variables() -> None:
    graphql = {"query": "query Q($n: Int) { a }", "variables": '{"n": {{count}}}', "operationName": "Q"}
    body = {"mode": "graphql", "graphql": graphql}
    variable = [{"key": "count", "value": "3"}]
    script, _ = script_of([request_of("/graphql", body=body)], variable=variable)
    assert "'variables': {'n': 3}, 'operationName': 'Q'" in script


def test_a_file_as_a_body_is_left_out_and_said() -> None:
    _, notes = script_of([request_of("/files", body={"mode": "file", "file": {"src": "a.bin"}})])
    assert notes == ["POST /files sends a file: its body is left out"]


def test_a_collection_in_the_envelope_of_postmans_api_is_read() -> None:
    recorded, _ = read_postman(json.dumps({"collection": COLLECTION}).encode(), "shop.json")
    assert len(recorded) == 3


@pytest.mark.parametrize("method", [["GET"], "G ET", 5])
def test_a_method_that_is_none_is_named(method: object) -> None:
    items = [{"request": {"url": "http://127.0.0.1/", "method": method}}]
    with pytest.raises(ImportingError, match=r"item\[0\].request.method: expected a method such as GET"):
        script_of(items)


@pytest.mark.parametrize("index", [0, 7, 99_999_999])
def test_a_value_of_a_list_is_taken_from_its_place_however_far_it_is(index: int) -> None:
    login = request_of("/login", f"pm.globals.set('token', pm.response.json().a[{index}].t)")
    script, _ = script_of([login, request_of("/account")], auth=BEARER)
    assert f"said['a'][{index}]['t']" in script


@pytest.mark.parametrize("place", [".a[99999999999]", f"[{'9' * 5000}]", ".a" * 1000])
def test_a_place_that_no_answer_has_is_a_script_left_out(place: str) -> None:
    test = f"pm.globals.set('token', pm.response.json(){place})"
    _, notes = script_of([request_of("/login", test), request_of("/account")], auth=BEARER)
    assert "scripts of 1 request left out: they are JavaScript" in notes


@pytest.mark.parametrize(
    ("url", "variable", "of_path"),
    [
        ("{{a}}", [{"key": "a", "value": "{{a}}" * 300}], []),
        ("{{a}}", [{"key": "a", "value": "{{b}}" * 9000}, {"key": "b", "value": "b" * 9000}], []),
        ("http://127.0.0.1/:a", [], [{"key": "a", "value": ":a:a"}] * 60),
    ],
    ids=["itself", "another", "path"],
)
def test_variables_that_grow_without_end_are_refused(
    url: str, variable: list[dict[str, str]], of_path: list[dict[str, str]]
) -> None:
    item = {"request": {"method": "GET", "url": {"raw": url, "variable": of_path}}}
    document = json.dumps({"item": [item], "variable": variable}).encode()
    with pytest.raises(ImportingError, match=r"^x.json: item\[0\].request: expected variables of at most"):
        read_postman(document, "x.json")


def test_a_variable_that_names_itself_once_and_a_long_body_are_read() -> None:
    items = [
        request_of("/a/{{a}}", body={"mode": "raw", "raw": "x" * 3_000_000 + "{{long}}"}),
    ]
    variable = [{"key": "a", "value": "{{a}}"}, {"key": "long", "value": "y" * 500_000}]
    (one,), _ = read_postman(json.dumps({"item": items, "variable": variable}).encode(), "x.json")
    assert one.text == "x" * 3_000_000 + "y" * 500_000
