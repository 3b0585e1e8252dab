"""What `make test` leaves out says what holds in its place, and CI's shares leave nothing out."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slow import in_share, parsed_share

TESTS = Path(__file__).parent
EXPECTED = 'expected slow(held_by="a test that stays") or slow(stays=["a case that stays"])'


@functools.cache
def marks() -> list[tuple[str, ast.FunctionDef, ast.Call]]:
    """(place, function, mark) of every test that is marked slow."""
    return list(_marks())


def _marks() -> Iterator[tuple[str, ast.FunctionDef, ast.Call]]:
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text()
        for function in ast.walk(ast.parse(text)) if "mark.slow" in text else ():
            if isinstance(function, ast.FunctionDef):
                for mark in function.decorator_list:
                    if ast.unparse(mark).startswith("pytest.mark.slow"):
                        place = f"{path.relative_to(TESTS)}::{function.name}"
                        assert isinstance(mark, ast.Call), f"{place}: {EXPECTED}"
                        assert len(mark.keywords) == 1, f"{place}: {EXPECTED}"
                        yield place, function, mark


def test_every_slow_test_is_held_by_one_that_stays_in_make_test() -> None:
    found = marks()
    texts = [path.read_text() for path in sorted(TESTS.rglob("test_*.py"))]
    whole = {function.name for _, function, mark in found if mark.keywords[0].arg == "held_by"}
    assert len(found) > 30
    for place, _, mark in found:
        (said,) = mark.keywords
        if said.arg == "held_by":
            name = ast.literal_eval(said.value)
            assert sum(f"def {name}(" in text for text in texts) == 1, f"{place}: no test is named {name}"
            assert name not in whole, f"{place}: {name} is slow itself"
        else:
            assert said.arg == "stays", f"{place}: {EXPECTED}"
            assert ast.literal_eval(said.value), f"{place}: no case stays"


@pytest.mark.parametrize("of", [1, 2, 6])
def test_each_slow_test_is_in_one_share(of: int) -> None:
    names = [place for place, _, _ in marks()]
    for name in names:
        assert sum(in_share(name, number, of) for number in range(of)) == 1
        assert all(in_share(f"{name}[case]@alone", n, of) == in_share(name, n, of) for n in range(of))


@pytest.mark.parametrize("text", ["6/6", "1", "-1/6", "one/6", "0/0"])
def test_a_share_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(pytest.UsageError, match="such as 2/6"):
        parsed_share(text)
