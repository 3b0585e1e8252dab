"""OpenAPI documents (3.0 and 3.1, and Swagger 2) as operations, each with examples of what it takes."""

import importlib.util
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from loadtest.importing.address_values import in_path, in_query
from loadtest.importing.import_error import ImportingError
from loadtest.importing.parsed_document import parsed
from loadtest.importing.recorded import FORM
from loadtest.importing.schema_example import Examples, referred
from loadtest.importing.swagger2 import METHODS, as_openapi_3
from loadtest.release import installs

EXAMPLES = 500
"""Bodies and keys that are made for an operation."""
PARAMETER = re.compile(r"\{([^{}]*)\}")
"""Of a path; its name stands in the braces."""


class Login(NamedTuple):
    """What an operation wants to know of who asks."""

    place: str
    """`header`, `query` or `cookie`."""
    name: str
    """Of the header, the parameter or the cookie."""
    made_up: str

    @property
    def column(self) -> str:
        """Its column in the file of logins."""
        return re.sub(r"\W", "_", self.name.lower(), flags=re.ASCII) or "login"


BEARER = Login("header", "Authorization", "Bearer made-up-000001")


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
    """Names and values as they stand in an address."""
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
    body_type: str = "application/json"
    """Of its bodies; one that no body can be made of, if there are none."""
    file_fields: tuple[str, ...] = ()
    """Fields of a form that are files."""
    logins: tuple[Login, ...] = ()
    """Together they are what its document asks for; without any, a bearer's token."""
    beyond: tuple[str, ...] = ()
    """What its schemas ask for that is more than is made, and what is made instead."""

    @property
    def called(self) -> str:
        """What it is measured by."""
        return self.path.replace("{", "[").replace("}", "]")


def read_openapi(text: str, source: str) -> list[Operation]:
    """The operations of a document in its order. Raises `ImportingError` naming the place."""
    try:
        return _read(text, source)
    except RecursionError as error:
        raise ImportingError(f"{source}: expected an OpenAPI document: it is nested too deeply") from error


def _read(text: str, source: str) -> list[Operation]:
    document = _document(text, source)
    examples = Examples(document, Random(1))  # noqa: S311 - traffic, not secrets
    operations = []
    for path, written in (document.get("paths") or {}).items():
        item = examples.resolved(written)
        for method, operation in item.items():
            if method in METHODS and isinstance(operation, dict):
                place = _base(operation, item, document) + path, method
                with _named(source, place):
                    operations.append(_operation(examples, place, item, operation))
    if not operations:
        raise ImportingError(f"{source}: paths: expected at least one operation")
    return operations


@contextmanager
def _named(source: str, place: tuple[str, str]) -> Iterator[None]:
    """Raises `ImportingError` naming an operation whose schemas, which no validator has looked at, are none."""
    try:
        yield
    except (AttributeError, TypeError, LookupError, ValueError, OverflowError) as error:
        path, method = place
        raise ImportingError(
            f"{source}: {method.upper()} {path}: expected schemas that values can be made of: {error}"
        ) from error


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
            f"import openapi: needs the package openapi-spec-validator: {installs('import')}"
        )
    document = parsed(text, source)
    written = document if isinstance(document, dict) else {}
    version = str(written.get("openapi") or written.get("swagger") or "something else")
    _check_valid(document, version, source)
    _check_references(document, document, source)
    return as_openapi_3(document) if version.startswith("2.") else dict(document)


def _check_valid(document: Any, version: str, source: str) -> None:
    """Raises `ImportingError` for a version that is not known, and for what its specification forbids."""
    from openapi_spec_validator import (  # noqa: PLC0415
        OpenAPIV2SpecValidator,
        OpenAPIV30SpecValidator,
        OpenAPIV31SpecValidator,
    )

    validators = {
        "2.0": OpenAPIV2SpecValidator,
        "3.0": OpenAPIV30SpecValidator,
        "3.1": OpenAPIV31SpecValidator,
    }
    validator = validators.get(version[:3])
    if validator is None:
        raise ImportingError(
            f"{source}: openapi: expected an OpenAPI document of version 3 or Swagger 2.0, got {version:.40}"
        )
    try:
        wrong = next(iter(validator(document).iter_errors()), None)
    except Exception as error:  # the validator resolves references as it goes, and they may lead anywhere
        raise ImportingError(f"{source}: expected an OpenAPI document: {str(error)[:200]}") from error
    if wrong is not None:
        place = ".".join(map(str, wrong.absolute_path))
        said = str(wrong.message).partition("\n")[0][:200]
        raise ImportingError(f"{source}: {place + ': ' if place else ''}{said}")


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
    examples: Examples, place: tuple[str, str], item: Mapping[str, Any], operation: Mapping[str, Any]
) -> Operation:
    path, method = place
    examples.beyond = {}
    by_place = {
        (str(one.get("in")), str(one.get("name"))): one
        for one in map(examples.resolved, (*_parameters(item), *_parameters(operation)))
    }
    names = tuple(PARAMETER.findall(path))
    of_path = [_schema(examples, name, by_place.get(("path", name), {})) for name in names]
    choices = operation.get("security", examples.document.get("security")) or []
    body_type, content = _content(examples.resolved(operation.get("requestBody")))
    return Operation(
        method=method.upper(),
        path=path,
        parameters=names,
        rows=tuple(_rows(examples, of_path)),
        query=tuple(_query(examples, by_place)),
        headers=tuple(_needed_headers(by_place)),
        bodies=tuple(_bodies(examples, body_type, content)),
        answers=dict(_answers(examples, operation.get("responses") or {})),
        needs_login=_is_secured(choices) or _may_refuse(operation),
        takes_key=any(name.lower() == "idempotency-key" for _, name in by_place),
        body_type=body_type,
        file_fields=tuple(_file_fields(examples, content.get("schema"))),
        logins=tuple(_logins(examples, choices)),
        beyond=tuple(f"{asked}: {made}" for asked, made in examples.beyond.items()),
    )


_Parameters = Mapping[tuple[str, str], Mapping[str, Any]]
"""By where they stand and their names."""


def _parameters(described: Mapping[str, Any]) -> Iterable[Any]:
    return described.get("parameters") or ()


def _needed_headers(parameters: _Parameters) -> Iterator[str]:
    for (place, name), one in parameters.items():
        if place == "header" and one.get("required") and name.lower() != "idempotency-key":
            yield name


def _query(examples: Examples, parameters: _Parameters) -> Iterator[tuple[str, str]]:
    for (place, name), one in parameters.items():
        if place == "query" and one.get("required"):
            yield from in_query(name, examples.of(_schema(examples, name, one)), one)


def _rows(examples: Examples, schemas: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Values for the parameters of a path."""
    if schemas:
        yield from examples.many(lambda: tuple(in_path(examples.of(schema)) for schema in schemas), EXAMPLES)


def _schema(examples: Examples, name: str, parameter: Mapping[str, Any]) -> dict[str, Any]:
    """What allows a parameter's values: its own example, else its schema, else a property of its name elsewhere."""
    if "example" in parameter:
        return {"const": parameter["example"]}
    for one in (parameter.get("examples") or {}).values():
        return {"const": examples.resolved(one).get("value")}
    schema = examples.resolved(parameter.get("schema"))
    if set(schema) <= {"type", "title", "description"}:
        schema = next(_properties(examples.document, name), schema)
    return schema


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


_FORMS = (FORM, "multipart/form-data")


def _content(body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The type and the description of a body: JSON if it may be, else a form if it may be, else the first."""
    content = body.get("content") or {}
    for wanted in ("json", *_FORMS, ""):
        for media_type, described in content.items():
            if wanted in media_type:
                return str(media_type), described or {}
    return "", {}


def _bodies(examples: Examples, media_type: str, content: Mapping[str, Any]) -> Iterator[Any]:
    if "json" not in media_type and media_type not in _FORMS:
        return
    if "example" in content:
        yield content["example"]
    elif content.get("examples"):
        yield from (examples.resolved(one).get("value") for one in content["examples"].values())
    elif media_type in _FORMS:
        files = set(_file_fields(examples, content.get("schema")))
        for made in examples.many(lambda: examples.of(content.get("schema")), EXAMPLES):
            fields = made if isinstance(made, dict) else {}
            yield {name: _field(value) for name, value in fields.items() if name not in files}
    else:
        yield from examples.many(lambda: examples.of(content.get("schema")), EXAMPLES)


def _field(value: Any) -> str:
    """A value of a form's field."""
    return value if isinstance(value, str) else json.dumps(value)


def _file_fields(examples: Examples, schema: Any) -> Iterator[str]:
    for name, one in (examples.resolved(schema).get("properties") or {}).items():
        found = examples.resolved(one)
        if found.get("format") == "binary" or "contentMediaType" in found:
            yield str(name)


def _is_secured(choices: Sequence[Any]) -> bool:
    """Whether an operation asks for a login that is not left to choice (`{}` among the choices)."""
    return bool(choices) and {} not in choices


def _logins(examples: Examples, choices: Sequence[Any]) -> Iterator[Login]:
    """What the first of an operation's choices of logins asks for."""
    schemes = (examples.document.get("components") or {}).get("securitySchemes") or {}
    for name in choices[0] if choices else ():
        scheme = examples.resolved(schemes.get(name))
        if scheme.get("type") == "apiKey":
            yield Login(str(scheme.get("in")), str(scheme.get("name")), "made-up-000001")
        elif str(scheme.get("scheme")).lower() == "basic":
            yield Login("header", "Authorization", "Basic bWFkZS11cDptYWRlLXVw")
        else:
            yield BEARER


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
