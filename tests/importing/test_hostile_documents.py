"""Nothing of somebody's document becomes code: a script names and calls what it does for a harmless one, no more.

Every kind of document is made of texts that are given to it: words, for what a script may hold, then whatever Python,
TOML and a terminal would read as something else. In both, what a script calls its own (variables, constants, classes)
counts as one.
"""

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import count, cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.importing.curl_command import read_curl
from loadtest.importing.har import read_har
from loadtest.importing.import_error import ImportingError
from loadtest.importing.log_plan import Written, plan_of, plan_of_visits
from loadtest.importing.log_reader import read_logs
from loadtest.importing.openapi import read_openapi
from loadtest.importing.openapi_plan import plan_of_operations
from loadtest.importing.postman import read_postman
from loadtest.importing.recorded import Recorded, of_one_host
from loadtest.importing.session_script import session_script
from loadtest.importing.short_plan import plan_of_session
from tests.importing.logs import LINES, Logged

Some = Callable[[], str]
"""Gives a document its next text."""
FRAGMENTS = (
    "{__import__('os').system('id')}",
    "x' if __import__('os').system('id') else 'x",
    '" + exec("1") + "',
    '"""',
    "'''",
    "\\",
    "\\N{BULLET}",
    "\n",
    "\r\n[[scenario]]\nuser = 'os:system'\n",
    "\u2028",
    "\x1b[2J",
    "\ud800",
    "{",
    "}",
    "{{",
    "{it's}",
    "{0!r:>{1}}",
    "#",
    "é",
    "1",
    "token",
    *("uuid", "str", "self", "told", "said", "answer", "row", "login", "secret", "urlencode", "feeders"),
    *("task", "open_loop", "time", "choice", "LOGINS", "SECRETS", "POST_ORDERS_BODIES", "None", "class"),
    *("__debug__", "__class__", "GET_X_KEYS", "id"),
)
hostile = st.one_of(
    st.sampled_from(FRAGMENTS),
    st.lists(st.sampled_from(FRAGMENTS), min_size=2, max_size=3).map("".join),
    st.text("{}'\"\\\n:!;%/?&=a1 ", max_size=6),
    st.text(max_size=6),
)


def words() -> Some:
    numbers = count(1)
    return lambda: f"word{chr(97 + next(numbers) % 26)}"


def text_schema(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}


def answered_with(*names: str) -> dict[str, Any]:
    return {"200": {"description": "x", "content": {"application/json": {"schema": text_schema(*names)}}}}


def of_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def in_a_path(text: str) -> str:
    """The text as a validator of OpenAPI lets it be in a path, or a parameter's name."""
    return re.sub(r"[{}!:/?\ud800-\udfff]", "", text) or "a"


def openapi_of(some: Some) -> dict[str, Any]:
    told, file = some(), some()
    made, first, second = (f"{in_a_path(some())}{end}" for end in ("", "", "2"))
    sent = [
        {"name": f"{some()}{end}", "in": place, "required": True, "schema": {"enum": [some()]}}
        for place, end in (("header", ""), ("query", ""), ("query", "2"), ("cookie", ""))
    ]
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}
    form = {"type": "object", "properties": {file: {"type": "string", "format": "binary"}, some(): {}}}
    paths = {
        f"/{in_a_path(some())}/{{{first}}}/{in_a_path(some())}/{{{second}}}": {
            "get": {
                "parameters": [of_path(first), of_path(second), *sent],
                "responses": answered_with(some()),
            }
        },
        "/orders": {
            "post": {
                "parameters": [*sent, key],
                "requestBody": {"content": {"application/json": {"schema": text_schema(some(), told)}}},
                "responses": answered_with(made, told, some()),
            }
        },
        f"/orders/{{{made}}}": {
            "parameters": [of_path(made)],
            "get": {"responses": answered_with(some())},
            "put": {
                "parameters": [key],
                "requestBody": {"content": {"application/json": {"schema": text_schema(told, some())}}},
                "responses": answered_with(some()),
            },
        },
        f"/a{in_a_path(some())}": {
            "post": {
                "requestBody": {"content": {"multipart/form-data": {"schema": form}}},
                "responses": answered_with(some()),
            }
        },
    }
    schemes = {
        place: {"type": "apiKey", "in": place, "name": some()} for place in ("header", "query", "cookie")
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": some(), "version": "1"},
        "servers": [{"url": f"/{some()}"}],
        "security": [{place: [] for place in schemes}],
        "paths": paths,
        "components": {"securitySchemes": schemes},
    }


def written_of_openapi(some: Some) -> Written:
    text = json.dumps(openapi_of(some), ensure_ascii=False).encode(errors="replace").decode()
    return plan_of_operations(read_openapi(text, "x"), some(), "it")


def session_of(recorded: list[Recorded], notes: list[str], some: Some) -> Written:
    kept, host, left_out = of_one_host(recorded, "x", assets=True)
    script = session_script(kept, "Session", "it-data")
    return plan_of_session(script, "it", f"{some()} {host}", [*notes, *left_out])


def har_of(some: Some) -> dict[str, Any]:
    names = [some(), some(), some()]
    answer = {name: f"{some()}-told-{number}-xyz" for number, name in enumerate(names)}
    told = list(answer.values())
    sent = {some(): told[0], some(): [some(), told[-1], 1.5, float("inf"), None, True], "password": some()}
    headers = [
        {"name": name, "value": some()} for name in ("X-Requested-With", some(), f"x-{some()}", "Cookie")
    ]
    headers += [{"name": "Idempotency-Key", "value": "1"}, {"name": "Authorization", "value": f"A {told[0]}"}]
    fields = [{"name": name, "value": some()} for name in ("a", "a", some())]
    bodies: list[dict[str, Any]] = [
        {"mimeType": "application/json", "text": json.dumps(sent)},
        {"mimeType": "application/x-www-form-urlencoded", "params": fields},
        {"mimeType": "multipart/form-data", "params": [*fields, {"name": some(), "fileName": some()}]},
        {"mimeType": "text/xml", "text": f"<{some()}>{told[0]}</a> token='{some()}' {some()}"},
        {"mimeType": "application/json", "text": json.dumps({"query": f"query {some()} {{}}"})},
    ]
    content = {"mimeType": "application/json", "text": json.dumps(answer)}
    entries: list[Any] = [
        {"request": {"method": "GET", "url": f"http://h/{some()}"}, "response": {"content": content}}
    ]
    for body in bodies:
        url = f"http://h/{some()}/{quote(told[-1], errors='replace')}/{some()}?{some()}={some()}&{some()}"
        request = {"method": some(), "url": url, "headers": headers, "postData": body}
        entries.append({"request": request, "startedDateTime": "2025-11-11T00:00:09Z"})
    return {"log": {"entries": entries}}


def written_of_har(some: Some) -> Written:
    recorded, notes = read_har(json.dumps(har_of(some)).encode(), "x")
    return session_of(recorded, notes, some)


def postman_of(some: Some) -> dict[str, Any]:
    kept = some()
    event = {
        "listen": "test",
        "script": {"exec": [f"pm.globals.set({kept!r}, pm.response.json()[{some()!r}].{some()})"]},
    }
    key = [
        {"key": "key", "value": some()},
        {"key": "value", "value": some()},
        {"key": "in", "value": "query"},
    ]
    request = {
        "method": "POST",
        "url": {"raw": f"http://h/{some()}/:{some()}?{some()}={{{{{kept}}}}}", "variable": [{"key": some()}]},
        "header": [{"key": f"X-{some()}", "value": f"{{{{{kept}}}}}"}, {"key": some(), "value": some()}],
        "auth": {"type": "apikey", "apikey": key},
        "body": {"mode": "raw", "raw": json.dumps({some(): f"{{{{{kept}}}}}", some(): some()})},
    }
    form = {
        "mode": "formdata",
        "formdata": [{"key": some(), "value": some()}, {"key": some(), "type": "file"}],
    }
    graphql = {"mode": "graphql", "graphql": {"query": some(), "operationName": some(), "variables": "[NaN]"}}
    others = [
        {"request": {"method": "PUT", "url": f"http://h/{some()}", "body": body}} for body in (form, graphql)
    ]
    return {"item": [{"event": [event], "request": "http://h/login"}, {"request": request}, *others]}


def written_of_postman(some: Some) -> Written:
    recorded, notes = read_postman(json.dumps(postman_of(some)).encode(), "x")
    return session_of(recorded, notes, some)


def written_of_curl(some: Some) -> Written:
    words_of = [
        [
            "curl",
            f"http://h/{some()}?{some()}={some()}",
            "-H",
            f"X-{some()}: {some()}",
            "-X",
            some(),
        ],
        ["curl", f"http://h/{some()}", "--json", json.dumps({some(): some()}), "-u", some()],
        ["curl", f"http://h/{some()}", "-d", f"{some()}={some()}", "--data-urlencode", some(), "-b", some()],
        ["curl", f"http://h/{some()}", "-F", f"{some()}={some()}", "-A", some()],
    ]
    text = "\n".join(map(shlex.join, words_of)).encode(errors="replace").decode()
    return session_of(read_curl(text, "x"), [], some)


def log_of(some: Some, folder: str) -> Path:
    targets = [f"/{some()}/{some()}?{some()}={some()}", f"/{some()}/17/{some()}", f"/{some()}"]
    asked = [(client, target) for client in range(4) for target in (*targets, *targets[: client % 3])]
    lines = [
        LINES["nginx-json"](Logged(1_762_819_140 + at_s, method, target, client=f"203.0.113.{client}"))
        for at_s, (client, target) in enumerate(asked)
        for method in ("GET", "POST", "FAST", "WAIT")
    ]
    path = Path(folder) / "x.log"
    path.write_text("\n".join([*lines, *lines]), encoding="utf-8")
    return path


def written_of_log(some: Some) -> Written:
    with TemporaryDirectory() as folder:
        traffic = read_logs([log_of(some, folder)], "nginx-json")
    return plan_of(traffic, "it", transaction=None, exact=False)


def written_of_visits(some: Some) -> Written:
    with TemporaryDirectory() as folder:
        traffic = read_logs([log_of(some, folder)], "nginx-json", visits=True)
    assert traffic.visits is not None
    return plan_of_visits(traffic, traffic.visits, "it")


KINDS: dict[str, Callable[[Some], Written]] = {
    "openapi": written_of_openapi,
    "har": written_of_har,
    "postman": written_of_postman,
    "curl": written_of_curl,
    "log": written_of_log,
    "visits": written_of_visits,
}


def used_by(script: str) -> set[str]:
    """What a script is made of: kinds of statements and expressions, names, calls; what it calls its own as one."""
    tree = ast.parse(script)
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    constants = {one.id for node in tree.body if isinstance(node, ast.Assign) for one in stored_in(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            variables = {one.id for one in stored_in(node)}
            for one in ast.walk(node):
                if isinstance(one, ast.Name) and one.id in variables:
                    one.id = "variable"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in constants | own:
            node.id = "CONSTANT" if node.id in constants else "Own"
        elif isinstance(node, ast.Attribute) and node.attr in own:
            node.attr = "own"
    return set(told_of(tree))


def stored_in(tree: ast.AST) -> Iterator[ast.Name]:
    return (one for one in ast.walk(tree) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load))


def told_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        yield type(node).__name__
        if isinstance(node, ast.Name):
            yield f"name {node.id}"
        elif isinstance(node, ast.Attribute):
            yield f"attribute {node.attr}"
        elif isinstance(node, ast.Call):
            yield f"call {ast.unparse(node.func)}"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (f"import {getattr(node, 'module', '')} {one.name}" for one in node.names)
        elif isinstance(node, ast.ClassDef | ast.arguments):
            yield f"head {ast.unparse(node) if isinstance(node, ast.arguments) else len(node.bases)}"


@cache
def harmless() -> tuple[frozenset[str], frozenset[str]]:
    """What scripts and plans of all kinds hold for documents of words."""
    made = [write(words()) for write in KINDS.values()]
    return (
        frozenset(told for one in made for told in used_by(one.script or "")),
        frozenset(key for one in made for key in tomllib.loads(one.plan)),
    )


@pytest.mark.parametrize("kind", KINDS)
@example(texts=[FRAGMENTS[0]])
@example(texts=[FRAGMENTS[1]])
@example(texts=["{it's}"])
@given(texts=st.lists(hostile, min_size=1, max_size=12))
def test_nothing_of_a_document_becomes_code(kind: str, texts: list[str]) -> None:
    told, keys = harmless()
    try:
        written = KINDS[kind](partial(next, cycle(texts)))
    except (ImportingError, UnicodeEncodeError):
        return  # in one line: `test_broken_documents` and `tests/cli/test_importing` say so
    assert used_by(written.script or "") <= told
    plan = tomllib.loads(written.plan)
    assert set(plan) <= keys
    classes = {node.name for node in ast.parse(written.script or "").body if isinstance(node, ast.ClassDef)}
    assert {one["user"] for one in plan["scenario"]} <= {f"it:{name}" for name in classes}
    for file in written.files:
        assert len(set(file.columns)) == len(file.columns)
        assert all(column.replace("_", "a").isalnum() for column in file.columns), file.columns


USED = (
    *(
        "FastHttpUser",
        "choice",
        "choices",
        "feeders",
        "getattr",
        "open_loop",
        "range",
        "self",
        "str",
        "task",
        "time",
    ),
    *("urlencode", "uuid", "abstract", "wait_time", "FOLLOWING", "seconds"),
)
"""The names in scripts that are neither variables nor constants."""


def test_no_name_in_scripts_is_forgotten_here() -> None:
    named = {told.removeprefix("name ") for told in harmless()[0] if told.startswith("name ")}
    assert named == {*USED, "variable", "CONSTANT", "Own"}


@pytest.mark.parametrize("kind", ["openapi", "har", "postman"])
@pytest.mark.parametrize(
    "name", [*USED, "answer", "said", "told", "row", "login", "secret", "LOGINS", "__debug__"]
)
def test_what_scripts_use_themselves_is_hidden_by_no_variable(kind: str, name: str) -> None:
    """A parameter, or a field of an answer, may be called anything."""
    written = KINDS[kind](partial(next, cycle([name])))
    assert used_by(written.script or "") <= harmless()[0]
