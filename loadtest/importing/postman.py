"""Postman collections (format 2.0 and 2.1) as recorded requests, in the order of their folders."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from loadtest.importing.import_error import ImportingError
from loadtest.importing.recorded import MULTIPART, Recorded, body_of, counted, multipart

_VARIABLE = re.compile(r"{{\s*([^{}]+?)\s*}}")
_DYNAMIC = {"$guid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "$timestamp": "1762819140", "$randomInt": "417"}
NO_HOST = "http://host.invalid"
"""For collections whose address is a variable that they do not set."""


def read_postman(data: bytes, source: str) -> tuple[list[Recorded], list[str]]:
    """The requests of a collection, and notes on what was left out. Raises `ImportingError`."""
    try:
        document = json.loads(data)
    except ValueError as error:
        raise ImportingError(f"{source}: expected a Postman collection: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("item"), list):
        raise ImportingError(f"{source}: item: expected the list of a Postman collection's requests")
    variables = {
        str(one.get("key")): str(one.get("value", ""))
        for one in document.get("variable") or ()
        if isinstance(one, dict)
    }
    unknown: dict[str, None] = {}
    found = []
    scripts = 0
    for place, item, auth in _items(document["item"], "item", document.get("auth")):
        scripts += bool(item.get("event"))
        found.append(_recorded(item["request"], place, source, auth, _Filled(variables, unknown)))
    notes = [
        f"{{{{{name}}}}} is set nowhere in the collection: made up" for name in unknown if "://" not in name
    ]
    if scripts:
        notes.append(f"scripts of {counted(scripts, 'request', 'requests')} left out: they are JavaScript")
    return found, notes


def _items(items: Any, place: str, auth: Any) -> Iterator[tuple[str, dict[str, Any], Any]]:
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if not isinstance(item, dict):
            continue
        if "request" in item:
            yield f"{place}[{number}].request", item, auth
        else:
            yield from _items(item.get("item"), f"{place}[{number}].item", item.get("auth") or auth)


class _Filled:
    """Fills in the variables of a collection."""

    def __init__(self, variables: Mapping[str, str], unknown: dict[str, None]) -> None:
        self._variables, self._unknown = variables, unknown

    def __call__(self, text: Any) -> str:
        filled = str(text or "")
        for _ in range(5):  # a variable's value may name another
            again = _VARIABLE.sub(self._value, filled)
            if again == filled:
                break
            filled = again
        return filled

    def _value(self, found: re.Match[str]) -> str:
        name = found[1]
        if name in self._variables:
            return self._variables[name]
        if name in _DYNAMIC:
            return _DYNAMIC[name]
        self._unknown[name] = None
        return NO_HOST if found.start() == 0 and re.search("(?i)url|host", name) else f"made-up-{name}"


def _recorded(request: Any, place: str, source: str, auth: Any, filled: _Filled) -> Recorded:
    if isinstance(request, str):
        request = {"method": "GET", "url": request}
    url = request.get("url") if isinstance(request, dict) else None
    raw = (url.get("raw") or _address(url)) if isinstance(url, dict) else url
    if not raw or not isinstance(raw, str):
        raise ImportingError(f"{source}: {place}.url: expected an address")
    whole = filled(raw)
    for one in (url.get("variable") or ()) if isinstance(url, dict) else ():
        whole = whole.replace(f":{one.get('key')}", filled(one.get("value")) or f"made-up-{one.get('key')}")
    if "://" not in whole:
        whole = f"http://{whole}"
    headers = [
        (filled(one.get("key")), filled(one.get("value")))
        for one in _enabled(_headers(request.get("header")))
    ]
    if isinstance(request.get("auth") or auth, dict):
        headers.append(("Authorization", "made up"))
    body = _body(request.get("body"), filled)
    if "text" in body and request["body"].get("mode") == "formdata":
        headers = [header for header in headers if header[0].lower() != "content-type"]
        headers.append(("Content-Type", MULTIPART))
    return Recorded(str(request.get("method") or "GET").upper(), whole, tuple(headers), **body)


def _address(url: Mapping[str, Any]) -> str:
    """An address of its parts; "" where it has no host."""

    def joined(name: str, between: str) -> str:
        parts = url.get(name) or ""
        if isinstance(parts, str):
            return parts
        return between.join(str(one.get("value", "") if isinstance(one, dict) else one) for one in parts)

    host = joined("host", ".")
    if not host:
        return ""
    scheme = f"{url['protocol']}://" if url.get("protocol") else ""
    port = f":{url['port']}" if url.get("port") else ""
    pairs = [f"{one.get('key')}={one.get('value') or ''}" for one in _enabled(url.get("query"))]
    query = f"?{'&'.join(pairs)}" if pairs else ""
    return f"{scheme}{host}{port}/{joined('path', '/').removeprefix('/')}{query}"


def _enabled(written: Any) -> list[dict[str, Any]]:
    """Those of some headers, parameters or fields that are not switched off."""
    return [one for one in written or () if isinstance(one, dict) and not one.get("disabled")]


def _headers(written: Any) -> Any:
    """Headers as a list, also of the text that format 2.0 may have in its place."""
    if not isinstance(written, str):
        return written
    pairs = (line.partition(":") for line in written.splitlines() if ":" in line)
    return [{"key": name.strip(), "value": value.strip()} for name, _, value in pairs]


def _part(one: dict[str, Any], filled: _Filled) -> tuple[str, str, str]:
    """Name, value and file name of a form's field; a file's content is made up."""
    name, source = filled(one.get("key")), one.get("src")
    if one.get("type") != "file":
        return name, filled(one.get("value")), ""
    path = str((source[0] if source else "") if isinstance(source, list) else source or "")
    return name, "made up", re.split(r"[/\\]", path)[-1] or "file"


def _body(body: Any, filled: _Filled) -> dict[str, Any]:
    if not isinstance(body, dict) or body.get("disabled"):
        return {}
    mode = body.get("mode")
    if mode == "raw" and body.get("raw"):
        language = ((body.get("options") or {}).get("raw") or {}).get("language", "")
        return body_of(filled(body["raw"]), "json" if language == "json" else "")
    if mode in {"urlencoded", "formdata"}:
        pairs = _enabled(body.get(mode))
        if mode == "formdata":
            return {"text": multipart(_part(one, filled) for one in pairs)[0]} if pairs else {}
        return {"form": tuple((filled(one.get("key")), filled(one.get("value"))) for one in pairs)}
    if mode == "graphql":
        graphql = body.get("graphql") or {}
        return {"json_body": {"query": filled(graphql.get("query"))}}
    return {}
