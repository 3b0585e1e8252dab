"""The OpenAPI 3.1 document, written from the table of operations and the types that check requests."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from target_service import problem
from target_service.api.operation import Operation
from target_service.problem import MEDIA_TYPE, Kind, ProblemBody
from target_service.tags import (
    DEADLINE_HEADER,
    KEY_HEADER,
    KEY_PATTERN,
    LONGEST_DEADLINE_MS,
    RUN_HEADER,
    RUN_ID_PATTERN,
)

_ANY = (problem.BAD_REQUEST, problem.NOT_FOUND, problem.METHOD_NOT_ALLOWED)
_WITH_BODY = (
    problem.BAD_JSON,
    problem.BODY_TIMEOUT,
    problem.TOO_LARGE,
    problem.UNSUPPORTED_TYPE,
    problem.BAD_FIELD,
    problem.STORE_FULL,
    problem.DEADLINE,
)

_HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    RUN_HEADER: (
        "The load-test run this request belongs to; it then touches shadow data only.",
        {"type": "string", "pattern": f"^{RUN_ID_PATTERN}$"},
    ),
    KEY_HEADER: (
        "Repeating a request with its key gives the first answer again.",
        {"type": "string", "pattern": f"^{KEY_PATTERN}$"},
    ),
    DEADLINE_HEADER: (
        "How long the caller waits; work is not begun after that.",
        {"type": "integer", "minimum": 1, "maximum": LONGEST_DEADLINE_MS},
    ),
}


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole document, ready to be encoded as JSON."""
    types = [one for operation in operations for one in (operation.body, operation.answer) if one is not None]
    schemas, components = msgspec.json.schema_components(
        [*types, ProblemBody], ref_template="#/components/schemas/{name}"
    )
    of_type = dict(zip(map(repr, [*types, ProblemBody]), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation, of_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Order service", "version": "1", "summary": "Orders, stock, payments and parcels."},
        "paths": paths,
        "components": {"schemas": components},
    }


def _describe(operation: Operation, of_type: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _camel_case(operation.handler.__name__),
        "summary": (operation.handler.__doc__ or "").split("\n")[0].rstrip("."),
        "parameters": [*_path_parameters(operation.path), *_header_parameters(operation)],
        "responses": {
            str(operation.status): {
                "description": "Done",
                "content": {operation.media_type: {"schema": of_type[repr(operation.answer)]}},
            },
            **_refusals(operation, of_type[repr(ProblemBody)]),
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": of_type[repr(operation.body)]}},
        }
    return described


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _path_parameters(path: str) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _header_parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    names = [str(RUN_HEADER)]
    if operation.keyed:
        names.append(str(KEY_HEADER))
    if operation.sheds:
        names.append(str(DEADLINE_HEADER))
    for name in names:
        description, schema = _HEADERS[name]
        yield {"name": name, "in": "header", "description": description, "schema": schema}


def _refusals(operation: Operation, schema: dict[str, Any]) -> dict[str, Any]:
    """The problems an operation may answer with, by status."""
    kinds: list[Kind] = [*_ANY, *operation.problems, problem.UNAVAILABLE]
    kinds += _WITH_BODY if operation.body is not None else ()
    kinds += (problem.OVERLOADED, problem.FATE_UNKNOWN) if operation.sheds else ()
    titles: dict[int, list[str]] = {}
    for kind in kinds:
        titles.setdefault(kind.status, []).append(kind.title)
    return {
        str(status): {
            "description": "; ".join(dict.fromkeys(some)),
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status, some in sorted(titles.items())
    }
