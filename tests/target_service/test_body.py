"""The type of a body: JSON in UTF-8 however it is written, and nothing else."""

import pytest

from target_service.api.body import is_json


@pytest.mark.parametrize(
    "text",
    [
        "application/json",
        "Application/JSON; Charset=UTF-8",
        'application/json ;charset="utf-8"; q=1;',
        'application/json; profile="a;b c"',
    ],
)
def test_json_may_have_parameters(text: str) -> None:
    assert is_json(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text/json",
        "application/json\n",
        "application/j\u017fon",
        "application/json; charset=latin-1",
        "application/json; charset=utf-8; charset=latin-1",
        "application/json; charset",
        "application/json; a=(",
        'application/json; a="',
        "application/json" + "; a=b" * 100,
    ],
)
def test_whatever_else_is_not_json(text: str) -> None:
    assert not is_json(text)
