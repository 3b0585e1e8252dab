"""OpenAPI documents become scripts that create things, with bodies that their schemas allow."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest

from loadtest.importing.import_error import ImportingError
from loadtest.importing.openapi import Operation, read_openapi
from loadtest.importing.openapi_plan import plan_of_operations
from loadtest.importing.openapi_script import Chain, answered, chain_class, chains, logins_of
from tests.importing.test_schema_example import object_of

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
        ('{"swagger": "2.0"}', "info. is a required property"),
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


def document_of(operation: dict[str, Any], path: str = "/x", **more: Any) -> str:
    described = {"responses": {"200": {"description": "ok"}}, **operation}
    version = {"openapi": "3.0.3", "info": {"title": "x", "version": "1"}}
    return json.dumps({**version, "paths": {path: {"post": described}}, **more})


def script_of(text: str) -> str:
    operations = read_openapi(text, "x")
    classes = [chain_class(chain, "x-data", set(), logins_of(operations)) for chain in chains(operations)]
    for one in classes:
        compile(one.text, "x.py", "exec")
    return "\n".join(one.text for one in classes)


@pytest.mark.parametrize(
    ("parameter", "query"),
    [
        ({"schema": {"example": [1, 2], "type": "array", "items": {}}}, "a=1&a=2"),
        ({"schema": {"example": [1, 2], "type": "array", "items": {}}, "explode": False}, "a=1,2"),
        (
            {
                "schema": {"example": ["x y", "z"], "type": "array", "items": {}},
                "style": "pipeDelimited",
                "explode": False,
            },
            "a=x%20y%7Cz",
        ),
        ({"schema": {"example": {"b": 1}, "type": "object"}, "style": "deepObject"}, "a[b]=1"),
        ({"schema": {"example": {"b": 1}, "type": "object"}}, "b=1"),
        ({"schema": {"type": "boolean"}}, "a=true"),
        ({"schema": {"type": "string", "example": "x&y={z}#"}}, "a=x%26y%3D%7Bz%7D%23"),
    ],
)
def test_a_query_is_written_as_its_parameter_says(parameter: dict[str, Any], query: str) -> None:
    one = {"name": "a", "in": "query", "required": True, **parameter}
    assert f'"/x?{query}"' in script_of(document_of({"parameters": [one]}))


@pytest.mark.parametrize(
    ("scheme", "sent"),
    [
        ({"type": "http", "scheme": "bearer"}, '"Authorization": login["authorization"]'),
        ({"type": "http", "scheme": "Basic"}, '"Authorization": login["authorization"]'),
        ({"type": "apiKey", "in": "header", "name": "X-Shop-Key"}, '"X-Shop-Key": login["x_shop_key"]'),
        ({"type": "apiKey", "in": "query", "name": "key"}, "f\"/x?key={login['key']}\""),
        ({"type": "apiKey", "in": "cookie", "name": "sid"}, '"Cookie": f"sid={login[\'sid\']}"'),
    ],
)
def test_a_login_goes_where_its_scheme_says(scheme: dict[str, Any], sent: str) -> None:
    text = document_of({"security": [{"it": []}]}, components={"securitySchemes": {"it": scheme}})
    assert sent in script_of(text)


def test_a_login_that_is_left_to_choice_is_not_needed() -> None:
    scheme = {"securitySchemes": {"it": {"type": "http", "scheme": "bearer"}}}
    (one,) = read_openapi(document_of({"security": [{"it": []}, {}]}, components=scheme), "x")
    assert not one.needs_login


def test_a_form_is_sent_with_its_fields_and_its_files() -> None:
    fields = {
        "title": {"type": "string"},
        "many": {"type": "integer"},
        "image": {"type": "string", "format": "binary"},
    }
    schema = {"type": "object", "properties": fields}
    for kind, files in (("multipart/form-data", True), ("application/x-www-form-urlencoded", False)):
        text = document_of({"requestBody": {"content": {kind: {"schema": schema}}}})
        (one,) = read_openapi(text, "x")
        assert set(one.bodies[0]) == {"title", "many"}
        assert all(isinstance(value, str) for body in one.bodies for value in body.values())
        script = script_of(text)
        assert "data=POST_X_BODIES.next()" in script
        assert ('files={"image": ("made-up.bin", b"made up")}' in script) == files


def test_a_body_of_a_type_that_is_not_made_is_told() -> None:
    (one,) = read_openapi(document_of({"requestBody": {"content": {"text/xml": {}}}}), "x")
    assert (one.body_type, one.bodies) == ("text/xml", ())


def test_each_choice_of_a_schema_is_made_and_says_which_it_is() -> None:
    schemas = {
        "Lp": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}},
        "Base": {"allOf": [{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}]},
        "Cd": {
            "allOf": [
                {"$ref": "#/components/schemas/Base"},
                {"required": ["t"], "properties": {"t": {"enum": ["cd"]}}},
            ]
        },
    }
    choices = [{"$ref": "#/components/schemas/Lp"}, {"$ref": "#/components/schemas/Cd"}]
    schema = {
        "oneOf": choices,
        "discriminator": {"propertyName": "kind", "mapping": {"lp": choices[0]["$ref"]}},
    }
    content = {"application/json": {"schema": schema}}
    text = document_of({"requestBody": {"content": content}}, components={"schemas": schemas})
    (one,) = read_openapi(text, "x")
    assert {tuple(sorted(body)) for body in one.bodies} == {("kind",), ("n", "t")}
    assert {body["kind"] for body in one.bodies if "kind" in body} == {"lp"}


YAML = """
openapi: 3.0.3
info: {title: x, version: 2026-11-11}
paths:
  /x:
    post:
      parameters: [{name: on, in: query, required: true, schema: {type: string, enum: [yes]}}]
      requestBody: {content: {application/json: {schema: {type: string, format: date, example: 2026-11-11}}}}
      responses:
        201: {description: ok}
"""
SWAGGER = """
swagger: "2.0"
info: {title: x, version: "1"}
basePath: /v1
consumes: [application/json]
securityDefinitions: {key: {type: apiKey, in: header, name: X-Key}, plain: {type: basic}}
parameters:
  size: {name: size, in: query, required: true, type: array, items: {type: integer, enum: [7]}, minItems: 2}
paths:
  /orders:
    post:
      parameters: [{in: body, name: body, required: true, schema: {$ref: "#/definitions/Order"}}]
      responses: {201: {description: ok, schema: {$ref: "#/definitions/Order"}}}
  /orders/{id}:
    parameters: [{in: path, name: id, required: true, type: integer}]
    get:
      security: [{key: []}]
      parameters: [{$ref: "#/parameters/size"}]
      responses: {200: {description: ok}}
  /files:
    post:
      consumes: [multipart/form-data]
      parameters: [{in: formData, name: file, type: file}, {in: formData, name: note, type: string, required: true}]
      responses: {200: {description: ok}}
  /login:
    post:
      consumes: [application/x-www-form-urlencoded]
      security: [{plain: []}]
      parameters: [{in: formData, name: user, type: string, required: true}]
      responses: {200: {description: ok}}
definitions:
  Order: {type: object, required: [sku], properties: {id: {type: integer}, sku: {type: string}}}
"""


def test_yaml_is_read_as_json_has_it() -> None:
    (one,) = read_openapi(YAML, "x.yaml")
    assert one.query == (("on", "yes"),)
    assert one.bodies[0] == "2026-11-11"
    json.dumps(one.bodies)


def test_swagger_2_becomes_the_same_script_as_openapi_3() -> None:
    script = script_of(SWAGGER)
    assert 'self.client.post("/v1/orders", json=POST_V1_ORDERS_BODIES.next())' in script
    assert 'id = told["id"]' in script
    assert 'f"/v1/orders/{id}?size=7,7"' in script
    assert 'headers={"X-Key": login["x_key"]}' in script
    assert 'files={"file": ("made-up.bin", b"made up")}' in script
    assert 'headers={"Authorization": login["authorization"]}' in script
    orders = next(one for one in read_openapi(SWAGGER, "x") if one.path == "/v1/orders")
    assert orders.bodies[0].keys() == {"sku"}


def test_a_document_of_another_version_is_refused() -> None:
    with pytest.raises(
        ImportingError, match=r"x: openapi: expected an OpenAPI document of version 3 or Swagger.*got 1\.2"
    ):
        read_openapi('{"swagger": "1.2"}', "x")


def test_each_parameter_of_a_path_has_a_column_of_its_own_named_as_a_variable() -> None:
    names = ("a-b", "a.b", "uuid", "it's")
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    path = "/x/" + "/".join(f"{{{name}}}" for name in names)
    (one,) = read_openapi(document_of({"parameters": parameters}, path), "x")
    made = chain_class(Chain(one, "", "", ()), "x-data", set())
    assert made.files[0].columns == ("a_b", "a_b_2", "uuid_", "it_s")
    assert """f"/x/{row['a_b']}/{row['a_b_2']}/{row['uuid_']}/{row['it_s']}\"""" in made.text


def test_more_than_is_made_is_told_with_the_operation_that_asks_for_it() -> None:
    schema = object_of({"a": {"type": "string", "minLength": 10**12}})
    content = {"application/json": {"schema": schema}}
    key = {"name": "id", "in": "path", "required": True, "schema": {"pattern": "a{2000000000}"}}
    text = document_of({"requestBody": {"content": content}, "parameters": [key]}, "/x/{id}")
    written = plan_of_operations(read_openapi(text, "x"), "x", "x")
    (told,) = [note for note in written.notes if "more than is made" in note]
    assert told == (
        "POST /x/[id] asks for more than is made: pattern a{2000000000}: no text of more than 10,000 parts is made; "
        "large values: 100 instead of 500 are made; minLength 1000000000000: texts of 10,000 characters are made"
    )
