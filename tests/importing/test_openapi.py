"""OpenAPI documents become scripts that create things, with bodies that their schemas allow."""

import json
import re
from random import Random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.import_error import ImportingError
from loadtest.importing.openapi import Operation, read_openapi
from loadtest.importing.openapi_script import answered, chain_class, chains
from loadtest.importing.schema_example import Examples, text_matching

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "1"},
    "paths": {
        "/products/{sku}": {
            "get": {
                "parameters": [{"name": "sku", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {"200": {"description": "ok"}},
            }
        },
        "/orders": {
            "post": {
                "parameters": [{"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}],
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
                },
                "responses": {
                    "201": {
                        "description": "ok",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Created"}}},
                    }
                },
            }
        },
        "/orders/{order-id}": {
            "parameters": [
                {"name": "order-id", "in": "path", "required": True, "schema": {"type": "string"}}
            ],
            "delete": {"responses": {"204": {"description": "ok"}}},
            "get": {"responses": {"200": {"description": "ok"}}, "security": [{"login": []}]},
        },
    },
    "components": {
        "securitySchemes": {"login": {"type": "http", "scheme": "bearer"}},
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["buyer", "sku"],
                "properties": {
                    "buyer": {"type": "integer", "minimum": 1},
                    "sku": {"type": "string", "pattern": "^sku-[0-9]{6}$"},
                    "note": {"type": "string"},
                },
            },
            "Created": {"type": "object", "properties": {"id": {"type": "string"}}},
        },
    },
}


@pytest.mark.parametrize(
    ("servers", "base"),
    [
        ([], ""),
        ([{"url": "/"}], ""),
        ([{"url": "/api/v3/"}], "/api/v3"),
        ([{"url": "https://shop.test"}, {"url": "https://shop.test/other"}], ""),
        ([{"url": "https://shop.test/{v}/", "variables": {"v": {"default": "v1"}}}], "/v1"),
    ],
)
def test_paths_stand_below_their_server(servers: list[Any], base: str) -> None:
    found = read_openapi(json.dumps(DOCUMENT | {"servers": servers}), "x")
    assert {one.path for one in found} == {base + path for path in DOCUMENT["paths"]}


def test_what_creates_something_is_followed_by_what_is_asked_of_it() -> None:
    first, *rest = chains(read_openapi(json.dumps(DOCUMENT), "api.json"))
    assert (first.first.path, first.variable, first.key) == ("/orders", "order-id", "id")
    assert [one.method for one in first.others] == ["GET", "DELETE"], "what deletes comes last"
    assert [chain.first.path for chain in rest] == ["/products/{sku}"]


def test_bodies_and_keys_are_what_their_schemas_allow() -> None:
    operations = {one.path: one for one in read_openapi(json.dumps(DOCUMENT), "api.json")}
    validator = jsonschema_rs.Draft202012Validator(DOCUMENT["components"]["schemas"]["Order"])
    bodies = operations["/orders"].bodies
    assert len({json.dumps(body) for body in bodies}) > 100
    assert all(map(validator.is_valid, bodies))
    # The parameter says only that it is text; the property of that name says more.
    assert all(re.fullmatch("sku-[0-9]{6}", row[0]) for row in operations["/products/{sku}"].rows)


def test_the_script_is_python_and_takes_the_identifier_from_the_answer() -> None:
    chain = chains(read_openapi(json.dumps(DOCUMENT), "api.json"))[0]
    one = chain_class(chain, "api-data", set())
    compile(one.text, "script", "exec")
    assert "told = answer.json()" in one.text
    assert 'order_id = told["id"]' in one.text
    assert 'f"/orders/{order_id}"' in one.text
    assert '"Authorization": login["authorization"]' in one.text
    assert "uuid.uuid4()" in one.text


def test_yaml_is_read_too() -> None:
    text = (
        "openapi: 3.0.3\ninfo: {title: x, version: '1'}\n"
        "paths:\n  /a:\n    get:\n      responses: {'200': {description: ok}}\n"
    )
    assert [one.path for one in read_openapi(text, "api.yaml")] == ["/a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "openapi: expected an OpenAPI document of version 3"),
        ("{", "expected JSON or YAML"),
        ("a: [", "expected JSON or YAML"),
        ('{"swagger": "2.0"}', "of version 3, got 2.0"),
        (
            '{"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {}}',
            "paths: expected at least one",
        ),
        (
            '{"openapi": "3.0.0", "info": {"title": "x"}, "paths": {}}',
            "info: .version. is a required property",
        ),
        (
            json.dumps(DOCUMENT).replace("#/components/schemas/Order", "#/components/schemas/None"),
            "schemas/None",
        ),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ImportingError, match=said):
        read_openapi(text, "api.json")


leaf = st.one_of(
    st.builds(
        lambda low, span: {"type": "integer", "minimum": low, "maximum": low + span},
        st.integers(-99, 99),
        st.integers(0, 50),
    ),
    st.builds(lambda step: {"type": "integer", "multipleOf": step, "minimum": 1}, st.integers(1, 7)),
    st.builds(
        lambda short: {"type": "string", "minLength": short, "maxLength": short + 3}, st.integers(0, 20)
    ),
    st.sampled_from(
        [
            {"type": "boolean"},
            {"type": "null"},
            {"enum": [1, "a"]},
            {"const": 3},
            {"type": ["null", "string"]},
            {"type": "string", "pattern": "^[A-Z]{2}-\\d+(x|y)?$"},
            {"type": "number", "exclusiveMinimum": 0},
            {"anyOf": [{"type": "null"}, {"type": "integer"}]},
            {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"required": ["a"]}]},
        ]
    ),
)
schemas = st.recursive(
    leaf,
    lambda inner: (
        st.builds(
            lambda one, most: {"type": "array", "items": one, "minItems": most}, inner, st.integers(0, 3)
        )
        | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3).map(
            lambda properties: {"type": "object", "properties": properties, "required": sorted(properties)}
        )
    ),
    max_leaves=6,
)


@given(schemas, st.integers(0, 99))
def test_every_example_is_allowed_by_its_schema(schema: dict[str, Any], seed: int) -> None:
    jsonschema_rs.Draft202012Validator(schema).validate(Examples({}, Random(seed)).of(schema))


@pytest.mark.parametrize(
    "pattern",
    [
        "^sku-[0-9]{6,9}$(?!\\n)",
        "[^a-z]{3}",
        "(ab|cd)+\\.\\w",
        "^[!-~]{1,128}$",
        "\\d{3}-\\d{4}",
        "(.)\\1",
        "[^\\d]x?",
    ],
)
def test_a_text_matches_its_pattern(pattern: str) -> None:
    assert re.search(pattern, text_matching(pattern, Random(1)))


def test_a_pattern_that_is_none_gives_an_empty_text() -> None:
    assert text_matching("[", Random(1)) == ""


def test_what_an_answer_told_is_what_the_next_request_asks_for() -> None:
    """An order is paid with what it costs, and by who ordered it; an identifier is no amount."""
    answers = {"order_id": "string", "buyer_id": "integer", "total_cents": "integer", "createdMs": "integer"}
    payment = Operation(
        "POST",
        "/orders/{order_id}/payment",
        ("order_id",),
        (),
        (),
        (),
        ({"amount_cents": 5, "buyer_id": 7, "card_id": 3, "note": "x", "afterMs": 2},),
        {},
        False,
        False,
    )
    told = answered(payment, answers)
    assert told == {"amount_cents": "total_cents", "buyer_id": "buyer_id", "afterMs": "createdMs"}


def test_of_two_amounts_none_is_guessed() -> None:
    payment = Operation("POST", "/a/{id}", ("id",), (), (), (), ({"amount_cents": 5},), {}, False, False)
    assert answered(payment, {"net_cents": "integer", "gross_cents": "integer"}) == {}
