"""OpenAPI documents (3.0 and 3.1) as operations, each with examples of what it takes."""

import importlib.util
import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from loadtest.importing.import_error import ImportingError
from loadtest.importing.schema_example import Examples, referred

EXAMPLES = 500
"""Bodies and keys that are made for an operation."""
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


class Operation(NamedTuple):
    """One operation, as a script sends it."""

    method: str
    path: str
    """With `{name}` for each parameter."""
    parameters: tuple[str, ...]
    """Of the path."""
    rows: tuple[tuple[str, ...], ...]
    """Values for them."""
    query: tuple[tuple[str, str], ...]
    headers: tuple[str, ...]
    """Names of headers that a request has to have."""
    bodies: tuple[Any, ...]
    """None if it takes none."""
    answers: Mapping[str, str]
    """Names in its answer, where that is an object, with the types of their values; "" where none is told."""
    needs_login: bool
    """Also where its answers tell of one alone: a 401 or 403."""
    takes_key: bool
    """Whether it takes an `Idempotency-Key`."""

    @property
    def called(self) -> str:
        """What it is measured by."""
        return self.path.replace("{", "[").replace("}", "]")


def read_openapi(text: str, source: str) -> list[Operation]:
    """The operations of a document in its order. Raises `ImportingError` naming the place."""
    document = _document(text, source)
    examples = Examples(document, Random(1))  # noqa: S311 - traffic, not secrets
    operations = [
        _operation(document, examples, (_base(operation, item, document) + path, method), item, operation)
        for path, written in (document.get("paths") or {}).items()
        for item in [examples.resolved(written)]
        for method, operation in item.items()
        if method in _METHODS and isinstance(operation, dict)
    ]
    if not operations:
        raise ImportingError(f"{source}: paths: expected at least one operation")
    return operations


def _base(*places: Mapping[str, Any]) -> str:
    """The path of the first server that one of these names, which all paths of operations stand below."""
    servers: list[dict[str, Any]] = next((found for place in places if (found := place.get("servers"))), [{}])
    url = str(servers[0].get("url") or "")
    for name, variable in (servers[0].get("variables") or {}).items():
        url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
    return "" if "{" in url else "/".join(["", *filter(None, urlsplit(url).path.split("/"))])


def _document(text: str, source: str) -> dict[str, Any]:
    if importlib.util.find_spec("openapi_spec_validator") is None:
        raise ImportingError(
            "import openapi: needs the package openapi-spec-validator: pip install 'singlesday[import]'"
        )
    import yaml  # noqa: PLC0415 - the extra `import`
    from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator  # noqa: PLC0415

    try:
        document = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ImportingError(
            f"{source}: expected JSON or YAML: {' '.join(str(error).split())[:200]}"
        ) from error
    version = document.get("openapi") if isinstance(document, dict) else None
    if not isinstance(version, str) or not version.startswith("3."):
        found = (
            f"got {version or document.get('swagger')}"
            if isinstance(document, dict)
            else "got something else"
        )
        raise ImportingError(f"{source}: openapi: expected an OpenAPI document of version 3, {found}")
    validator = OpenAPIV30SpecValidator if version.startswith("3.0") else OpenAPIV31SpecValidator
    try:
        wrong = next(iter(validator(document).iter_errors()), None)
    except Exception as error:  # the validator resolves references as it goes, and they may lead anywhere
        raise ImportingError(f"{source}: expected an OpenAPI document: {str(error)[:200]}") from error
    if wrong is not None:
        place = ".".join(map(str, wrong.absolute_path))
        said = str(wrong.message).partition("\n")[0][:200]
        raise ImportingError(f"{source}: {place + ': ' if place else ''}{said}")
    _check_references(document, document, source)
    return dict(document)


def _check_references(value: Any, document: Mapping[str, Any], source: str) -> None:
    """Raises `ImportingError` for a reference that leads out of the document, or nowhere in it."""
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and referred(document, reference) is None:
            raise ImportingError(
                f'{source}: $ref: expected a place in the document itself, got "{reference[:100]}"'
            )
        for inner in value.values():
            _check_references(inner, document, source)
    elif isinstance(value, list):
        for inner in value:
            _check_references(inner, document, source)


def _operation(
    document: Mapping[str, Any],
    examples: Examples,
    place: tuple[str, str],
    item: Mapping[str, Any],
    operation: Mapping[str, Any],
) -> Operation:
    path, method = place
    parameters = [
        examples.resolved(one)
        for one in (*(item.get("parameters") or ()), *(operation.get("parameters") or ()))
    ]
    by_place = {(one.get("in"), one.get("name")): one for one in parameters}
    names = _names_in(path)
    headers = [
        str(name)
        for (place, name), one in by_place.items()
        if place == "header" and one.get("required") and str(name).lower() != "idempotency-key"
    ]
    query = [
        (str(name), str(_value(document, examples, str(name), one)))
        for (place, name), one in by_place.items()
        if place == "query" and one.get("required")
    ]
    rows = tuple(
        tuple(str(_value(document, examples, name, by_place.get(("path", name), {}))) for name in names)
        for _ in range(EXAMPLES if names else 0)
    )
    return Operation(
        method=method.upper(),
        path=path,
        parameters=tuple(names),
        rows=rows,
        query=tuple(query),
        headers=tuple(headers),
        bodies=tuple(_bodies(examples, examples.resolved(operation.get("requestBody")))),
        answers=dict(_answers(examples, operation.get("responses") or {})),
        needs_login=bool(operation.get("security", document.get("security"))) or _may_refuse(operation),
        takes_key=any(str(name).lower() == "idempotency-key" for _, name in by_place),
    )


def _names_in(path: str) -> list[str]:
    return [part.partition("}")[0] for part in path.split("{")[1:]]


def _value(document: Mapping[str, Any], examples: Examples, name: str, parameter: Mapping[str, Any]) -> Any:
    """A parameter's value: its own example, else by its schema, else by a property of its name elsewhere."""
    if "example" in parameter:
        return parameter["example"]
    for one in (parameter.get("examples") or {}).values():
        return examples.resolved(one).get("value")
    schema = examples.resolved(parameter.get("schema"))
    if set(schema) <= {"type", "title", "description"}:
        schema = next(_properties(document, name), schema)
    return examples.of(schema)


def _properties(value: Any, name: str) -> Iterator[dict[str, Any]]:
    """Schemas of properties of that name, anywhere in a document, that say more than a type."""
    if isinstance(value, dict):
        properties = value.get("properties")
        found = properties.get(name) if isinstance(properties, dict) else None
        if isinstance(found, dict) and not set(found) <= {"type", "title", "description"}:
            yield found
        for inner in value.values():
            yield from _properties(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _properties(inner, name)


def _bodies(examples: Examples, body: Mapping[str, Any]) -> Iterator[Any]:
    for media_type, content in (body.get("content") or {}).items():
        if "json" not in media_type:
            continue
        if "example" in content:
            yield content["example"]
        elif content.get("examples"):
            yield from (examples.resolved(one).get("value") for one in content["examples"].values())
        else:
            yield from (examples.of(content.get("schema")) for _ in range(EXAMPLES))
        return


def _may_refuse(operation: Mapping[str, Any]) -> bool:
    """Whether it may answer that a login is missing; many documents tell of logins in this way alone."""
    return operation.get("security") != [] and any(
        str(status) in {"401", "403"} for status in operation.get("responses") or ()
    )


def _answers(examples: Examples, responses: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for status, response in responses.items():
        for content in (examples.resolved(response).get("content") or {}).values():
            if str(status).startswith("2"):
                properties = examples.resolved(content.get("schema")).get("properties") or {}
                for name, schema in properties.items():
                    kind = examples.resolved(schema).get("type")
                    yield str(name), kind if isinstance(kind, str) else ""
