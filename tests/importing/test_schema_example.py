"""Values are made that their JSON Schema allows, and texts that match their pattern."""

import re
from random import Random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.schema_example import Examples, text_matching

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
