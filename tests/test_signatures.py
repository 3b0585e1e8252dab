"""No function has more than eight parameters, save those whose parameters are somebody else's."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST = 8
OTHERS_SIGNATURES = {
    (
        "loadtest/drive/session.py",
        "request",
    ): "Locust's `HttpSession.request`, which scripts call by position",
}


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]]:
    for part in ("loadtest", "target_service"):
        for path in sorted((ROOT / part).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                    yield str(path.relative_to(ROOT)), node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[str]:
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    names = [argument.arg for argument in named if argument is not None]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def test_no_function_has_more_than_eight_parameters_save_those_of_others() -> None:
    counted = list(functions())
    assert len(counted) > 1_000, "where are the sources?"
    many = {
        (path, getattr(function, "name", "lambda"))
        for path, function in counted
        if len(parameters(function)) > MOST
    }
    assert many == set(OTHERS_SIGNATURES)
