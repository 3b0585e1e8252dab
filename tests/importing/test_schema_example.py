"""Values are made that their JSON Schema allows, also where it refers to itself or asks for too much."""

import json
from random import Random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.pattern_text import MOST
from loadtest.importing.schema_example import Examples

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
    example = Examples({}, Random(seed)).of(schema)
    jsonschema_rs.Draft202012Validator(schema).validate(example)  # raises where it is not


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def document_of(schemas: dict[str, Any]) -> dict[str, Any]:
    return {"components": {"schemas": schemas}}


def example_of(schemas: dict[str, Any], name: str) -> Any:
    return Examples(document_of(schemas), Random(1)).of(reference(name))


def object_of(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **more}


NODE: dict[str, dict[str, Any]] = {
    "a property": {"Node": object_of({"a": reference("Node"), "n": {"type": "integer"}})},
    "three properties": {"Node": object_of({name: reference("Node") for name in "abc"})},
    "items": {
        "Node": object_of({"all": {"type": "array", "items": reference("Node")}}, required=["all"]),
    },
    "a choice": {
        "Node": object_of({"a": {"anyOf": [reference("Node"), {"type": "null"}]}}, required=["a"]),
    },
    "a choice of others": {"Node": {"oneOf": [object_of({"a": reference("Node")}), {"type": "string"}]}},
    "all of it": {"Node": object_of({"a": {"allOf": [reference("Node"), {"description": "more"}]}})},
    "a pair": {"Node": object_of({"a": reference("Other")}), "Other": object_of({"b": reference("Node")})},
    "what is required within what is not": {
        "Node": object_of({"a": object_of({"b": reference("Node")}, required=["b"])}),
    },
    "a base that lists its kinds": {
        "Node": {"type": "object", "oneOf": [reference("Kind")], "properties": {"n": {"type": "integer"}}},
        "Kind": {"allOf": [reference("Node"), object_of({"k": {"const": 1}}, required=["k"])]},
    },
}


@pytest.mark.parametrize("kind", NODE)
def test_no_value_holds_another_of_its_schema_that_it_can_do_without(kind: str) -> None:
    schemas = NODE[kind]
    example = example_of(schemas, "Node")
    if kind == "a base that lists its kinds":
        assert example == {
            "k": 1
        }  # its schema allows no value by the letter: each Kind is a Node, which is a Kind
    else:
        schema = {**reference("Node"), **document_of(schemas)}
        jsonschema_rs.Draft202012Validator(schema).validate(example)
    assert len(json.dumps(example)) < 60, example


names = st.sampled_from("ABCD")
parts = st.recursive(
    st.builds(reference, names) | st.just({"type": "integer"}),
    lambda inner: (
        st.dictionaries(st.sampled_from("xyz"), inner, min_size=1).map(object_of)
        | st.builds(lambda one: {"type": "array", "items": one}, inner)
        | st.builds(lambda some: {"anyOf": some}, st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=5,
)
webs = st.fixed_dictionaries(
    {name: st.dictionaries(st.sampled_from("xyz"), parts, max_size=3).map(object_of) for name in "ABCD"}
)


@given(webs)
def test_whatever_refers_to_whatever_values_are_small_and_allowed(schemas: dict[str, Any]) -> None:
    example = example_of(schemas, "A")
    assert len(json.dumps(example)) < 20_000
    schema = {**reference("A"), **document_of(schemas)}
    jsonschema_rs.Draft202012Validator(schema).validate(example)


def test_what_is_made_of_itself_many_times_is_put_together_once() -> None:
    some = {f"S{n}": {"allOf": [reference(f"S{n + 1}")] * 9} for n in range(40)}
    some["S40"] = {"allOf": [reference("S0")] * 9 + [object_of({"a": {"const": 1}})]}
    assert example_of(some, "S0") == {"a": 1}


def test_a_web_of_required_properties_without_an_end_is_given_up_soon() -> None:
    wide = {
        f"S{n}": object_of(
            {f"p{k}": reference(f"S{n + 1}") for k in range(9)}, required=[f"p{k}" for k in range(9)]
        )
        for n in range(9)
    }
    examples = Examples(document_of({**wide, "S9": {"type": "integer"}}), Random(1))
    assert examples.of(reference("S0")) is None, "nine to the ninth numbers"


@pytest.mark.parametrize(
    ("schema", "size", "said"),
    [
        ({"type": "string", "minLength": 10**12}, MOST, "minLength 1000000000000"),
        ({"type": "array", "minItems": 10**12, "items": {"type": "null"}}, MOST, "minItems 1000000000000"),
        ({"type": "string", "pattern": "a{2000000000}"}, 0, "pattern a{2000000000}"),
    ],
)
def test_more_than_anybody_wants_is_not_made_and_told(schema: dict[str, Any], size: int, said: str) -> None:
    examples = Examples({}, Random(1))
    assert len(examples.of(schema)) == size
    assert list(examples.beyond) == [said]


def test_lists_of_lists_and_of_long_texts_are_brought_to_an_end() -> None:
    schema: dict[str, Any] = {"type": "string", "minLength": 10**6}
    for _ in range(5):
        schema = {"type": "array", "minItems": 10**6, "items": schema}
    assert len(json.dumps(Examples({}, Random(1)).of(schema))) < 300_000


def test_of_large_values_fewer_are_made_and_that_is_told() -> None:
    examples = Examples({}, Random(1))
    made = list(examples.many(lambda: examples.of({"type": "string", "minLength": MOST}), 500))
    assert 50 < len(made) < 200
    assert examples.beyond == {"large values": f"{len(made)} instead of 500 are made"}
