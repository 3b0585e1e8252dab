"""Swagger 2 documents in the words of OpenAPI 3: what bodies, forms, parameters, references and logins became."""

from collections.abc import Iterable, Mapping
from typing import Any

from loadtest.importing.recorded import FORM
from loadtest.importing.schema_example import resolved

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
"""What the operations of a path are called, in OpenAPI 3 too."""
_SCHEMA_KEYS = frozenset(
    """type format items default enum minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength pattern
    minItems maxItems uniqueItems multipleOf""".split()  # noqa: SIM905 - reads better
)
"""What a parameter says of its value itself, where OpenAPI 3 has a `schema`."""
_STYLES: dict[str, dict[str, Any]] = {
    "csv": {"explode": False},
    "multi": {"explode": True},
    "ssv": {"style": "spaceDelimited", "explode": False},
    "pipes": {"style": "pipeDelimited", "explode": False},
}


def as_openapi_3(document: Mapping[str, Any]) -> dict[str, Any]:
    """A valid Swagger 2 document as OpenAPI 3.0; references to definitions go on to lead to them."""
    paths = {
        path: {
            method: _operation(document, item.get("parameters") or (), operation)
            for method, operation in item.items()
            if method in METHODS and isinstance(operation, Mapping)
        }
        for path, item in (document.get("paths") or {}).items()
        if isinstance(item, Mapping)
    }
    components = {
        "schemas": document.get("definitions") or {},
        "securitySchemes": {
            name: {"type": "http", "scheme": "basic"} if one.get("type") == "basic" else one
            for name, one in (document.get("securityDefinitions") or {}).items()
        },
    }
    found = {"openapi": "3.0.3", "info": document.get("info"), "paths": paths, "components": components}
    if "security" in document:
        found["security"] = document["security"]
    found["servers"] = [{"url": str(document.get("basePath") or "")}]
    moved = _with_references(found)
    return moved if isinstance(moved, dict) else {}


def _operation(
    document: Mapping[str, Any], shared: Iterable[Any], operation: Mapping[str, Any]
) -> dict[str, Any]:
    parameters = [resolved(document, one) for one in (*shared, *(operation.get("parameters") or ()))]
    plain = [_parameter(one) for one in parameters if one.get("in") not in {"body", "formData"}]
    responses = {
        status: _response(resolved(document, one))
        for status, one in (operation.get("responses") or {}).items()
    }
    found: dict[str, Any] = {"parameters": plain, "responses": responses}
    if "security" in operation:
        found["security"] = operation["security"]
    takes = list(operation.get("consumes") or document.get("consumes") or ())
    if body := _body(parameters, takes):
        found["requestBody"] = body
    return found


def _parameter(one: Mapping[str, Any]) -> dict[str, Any]:
    schema = {key: value for key, value in one.items() if key in _SCHEMA_KEYS}
    style: Mapping[str, Any] = (
        _STYLES.get(str(one.get("collectionFormat", "csv")), {}) if schema.get("type") == "array" else {}
    )
    kept: dict[str, Any] = {key: one[key] for key in ("name", "in", "required") if key in one}
    example = {"example": one["x-example"]} if "x-example" in one else {}
    return {**kept, **style, **example, "schema": schema}


def _body(parameters: Iterable[Mapping[str, Any]], takes: list[str]) -> dict[str, Any]:
    """The body of an operation, which is a parameter `in: body`, or all that are `in: formData`."""
    fields: dict[str, Any] = {}
    required = []
    for one in parameters:
        if one.get("in") == "body":
            media_type = next(
                (kind for kind in takes if "json" in kind), takes[0] if takes else "application/json"
            )
            return {"content": {media_type: {"schema": one.get("schema") or {}}}}
        if one.get("in") == "formData":
            schema = _parameter(one)["schema"]
            is_file = schema.get("type") == "file"
            fields[str(one.get("name"))] = {"type": "string", "format": "binary"} if is_file else schema
            required += [one.get("name")] if one.get("required") else []
    if not fields:
        return {}
    has_file = any(schema.get("format") == "binary" for schema in fields.values())
    media_type = "multipart/form-data" if has_file or takes[:1] == ["multipart/form-data"] else FORM
    wanted: dict[str, Any] = {"required": required} if required else {}
    return {"content": {media_type: {"schema": {"type": "object", "properties": fields, **wanted}}}}


def _response(one: Mapping[str, Any]) -> dict[str, Any]:
    content = {"content": {"application/json": {"schema": one["schema"]}}} if "schema" in one else {}
    return {"description": one.get("description", ""), **content}


def _with_references(value: Any) -> Any:
    """The same with every `$ref` to a definition leading to where OpenAPI 3 has it."""
    if isinstance(value, Mapping):
        return {
            key: inner.replace("#/definitions/", "#/components/schemas/", 1)
            if key == "$ref" and isinstance(inner, str)
            else _with_references(inner)
            for key, inner in value.items()
        }
    return [_with_references(inner) for inner in value] if isinstance(value, list) else value
