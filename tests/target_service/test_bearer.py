"""Bearer tokens: the scheme in any case, the token to the byte."""

import pytest

from target_service.secrets import carries_token


@pytest.mark.parametrize("offered", ["Bearer sesame", "bearer sesame", "BEARER  sesame", "bEaReR sesame "])
def test_the_scheme_may_be_written_in_any_case(offered: str) -> None:
    assert carries_token({"Authorization": offered}, "sesame")


@pytest.mark.parametrize(
    "offered",
    [
        "",
        "sesame",
        "Basic sesame",
        "Bearer",
        "Bearer Sesame",
        "Bearer sesame x",
        "Bearersesame",
        "B\udcff \udcff",
    ],
)
def test_any_other_credentials_are_none(offered: str) -> None:
    assert not carries_token({"Authorization": offered}, "sesame")


def test_nobody_carries_a_token_that_is_not_there() -> None:
    assert not carries_token({"Authorization": "Bearer "}, "")
    assert not carries_token({}, "")
