"""Documents are read as values of JSON; what is none, or stands for billions of values, is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.import_error import ImportingError
from loadtest.importing.parsed_document import parsed

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values))
def test_json_is_read_as_it_is(document: dict[str, object]) -> None:
    assert parsed(json.dumps(document), "x") == document


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: !!binary aGVsbG8=", "bytes is not JSON"),
        ("a: !!set {b, c}", "set is not JSON"),
        ("a: .nan", "not JSON compliant"),
        ('{"a": NaN}', "not JSON compliant"),
        ('{"a": 1e999}', "not JSON compliant"),
        (f"a: 0x{'f' * 5_000}", "limit"),
        ("a: &a [*a]", "Circular"),
    ],
)
def test_what_json_cannot_write_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ImportingError, match=f"^x: expected JSON or YAML: .*{said}"):
        parsed(text, "x")


def test_aliases_that_stand_for_billions_of_values_are_refused_at_once() -> None:
    lines = ["a0: &a0 [1]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    with pytest.raises(ImportingError, match="aliases stand for more than 5,000,000 values"):
        parsed("\n".join(lines), "x")


def test_merges_of_merges_have_each_key_once() -> None:
    lines = [
        "a0: &a0 {k: 1}",
        *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 30)),
    ]
    assert parsed("\n".join([*lines, "b: {<<: *a29, k: 2, l: 3}", "c: {<<: *a29}"]), "x") == {
        **{f"a{n}": {"k": 1} for n in range(30)},
        "b": {"k": 2, "l": 3},
        "c": {"k": 1},
    }
