"""The import direction of ARCHITECTURE.md, held by reading every import there is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOR_ALL = {
    "records",
    "address",
    "clock",
    "exit_codes",
    "environment",
    "pauses",
    "parent",
    "place",
    "release",
    "secret",
    "standard_output",
    "entry_points",
    "sources",
    "__init__",
}
WIRED = {
    "run_info",
    "run_audit",
    "stored_orders",
    "plan",
    "measure",
    "drive",
    "fleet",
    "judge",
    "publish",
    "faults",
}
MAY_IMPORT = {
    "plan": set[str](),
    "measure": set[str](),
    "drive": {"plan", "measure"},
    "fleet": {"measure"},
    "judge": {"measure"},
    "faults": {"plan"},
    "publish": {"measure", "judge", "simulate"},
    "simulate": {"plan", "measure", "judge"},
    "scenarios": {"drive", "measure", "zipf"},
    "zipf": set[str](),
    "feeders": {"drive", "plan", "zipf"},
    "importing": {"plan"},
    "testing": set[str](),
    "locust_process": set[str](),
    "virtual_time": set[str](),
    "run_info": {"configuration", "measure", "judge", "drive"},
    "stored_orders": {"judge", "measure"},
    "run_audit": {"measure", "judge", "stored_orders"},
    "configuration": WIRED - {"run_info"} | {"feeders"},
    "plugin": WIRED | {"configuration", "feeders"},
    "cli": WIRED | {"configuration", "plugin", "importing", "simulate"},
    "locustfile": {"plugin", "scenarios"},
    "starter": {"FastHttpUser", "open_loop", "feeders"},
}
"""What a part of `loadtest` may import from other parts, besides what everything may; `starter` is what users begin
with, so it has nothing but what they are offered."""

NEVER_IN_PURE = {"gevent", "greenlet", "locust", "flask", "socket", "asyncio", "aiohttp", "zmq", "threading"}
PURE = ["plan", "measure", "judge", "simulate", "drive/http1.py"]


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file; those for type checkers only are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"(relative in {path.name})"


def files_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def part_of(path: Path) -> str:
    first = path.relative_to(ROOT / "loadtest").parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", files_of("loadtest"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_layer_may(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return  # re-exports the public interface, lazily
    allowed = MAY_IMPORT.get(part, set()) | FOR_ALL | {part}
    ours = [name.split(".") for name in imports(path) if name.split(".")[0] in ("loadtest", "target_service")]
    wrong = {".".join(name) for name in ours if name[0] != "loadtest" or name[1] not in allowed}
    assert not wrong, f"{part} may import {sorted(allowed)}"


@pytest.mark.parametrize("pure", PURE)
def test_pure_code_knows_no_event_loop_no_locust_and_no_sockets(pure: str) -> None:
    path = ROOT / "loadtest" / pure
    for file in [path] if path.suffix else sorted(path.rglob("*.py")):
        used = {name.split(".")[0] for name in imports(file)}
        assert not used & NEVER_IN_PURE, file


def test_the_service_never_imports_the_harness() -> None:
    for path in files_of("target_service"):
        assert not any(name.split(".")[0] == "loadtest" for name in imports(path)), path


def test_every_part_has_a_rule() -> None:
    parts = {part_of(path) for path in files_of("loadtest")}
    assert parts - FOR_ALL <= set(MAY_IMPORT)
