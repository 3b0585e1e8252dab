"""A constant that no program uses says nothing that is so: it goes, or what repeats it takes it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = ("loadtest", "target_service")
USERS = (*PROGRAMS, "dashboards", "benchmarks", "examples", "deploy")


def constants(module: ast.Module) -> Iterator[str]:
    """The names in capitals that a module gives a value."""
    for statement in module.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
        for target in targets:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            yield from (name.id for name in names if isinstance(name, ast.Name) and name.id.isupper())


def used(module: ast.Module) -> Iterator[str]:
    """The names that a module reads, of its own or of others."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.name


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the programs and of what uses them, by its path."""
    files = [path for part in USERS for path in (ROOT / part).rglob("*.py")]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in files}


def test_every_constant_is_used_by_more_than_tests() -> None:
    names = {name for module in modules().values() for name in used(module)}
    unused = [
        f"{path}: {name}"
        for path, module in modules().items()
        if path.startswith(PROGRAMS)
        for name in constants(module)
        if name not in names
    ]
    assert unused == []


def test_the_record_is_written_in_one_place_of_the_code() -> None:
    places = [
        path
        for path, module in modules().items()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and node.value == 583_000
    ]
    assert places == ["loadtest/records.py"]
