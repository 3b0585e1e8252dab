"""Postman collections (format 2.0 and 2.1) as recorded requests, in the order of their folders."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from loadtest.importing.import_error import ImportingError
from loadtest.importing.recorded import (
    JSON,
    MULTIPART,
    Recorded,
    address_parts,
    body_of,
    counted,
    multipart,
    with_content_type,
)

_VARIABLE = re.compile(r"{{([^{}]+)}}")
_DYNAMIC = {"$guid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "$timestamp": "1762819140", "$randomInt": "417"}
_JSON = r"(?:pm\.response\.json\(\)|JSON\.parse\((?:responseBody|pm\.response\.text\(\))\))"
_PLACE = r"((?:\s*\.\s*[A-Za-z_$][\w$]*|\[\s*\d{1,9}\s*\]|\[\s*(?:'[^']*'|\"[^\"]*\")\s*\]){1,40})"
_NAMED_ANSWER = re.compile(rf"(?<![\w$])([A-Za-z_$][\w$]*)\s*=\s*{_JSON}\s*[;\n]")
_SETS = re.compile(
    r"(?:pm\.(?:environment|collectionVariables|globals|variables)\.set|postman\.set(?:Environment|Global)Variable)"
    rf"\(\s*['\"]([^'\"]+)['\"]\s*,\s*({_JSON}|[A-Za-z_$][\w$]*){_PLACE}\s*\)"
)
"""A script that keeps a part of the answer in a variable, as nearly all that log in do."""
_STEP = re.compile(r"\.\s*([A-Za-z_$][\w$]*)|\[\s*(\d+)\s*\]|\[\s*['\"]([^'\"]*)['\"]\s*\]")
_TOLD = "made-up-answer-"
"""How the values begin that stand for what a script takes from an answer."""
_METHOD = re.compile(r"[A-Za-z]{1,20}")
_MOST_FILLED_IN = 1_000_000
"""Characters of variables in the place of their names in one text, at once."""
NO_HOST = "http://host.invalid"
"""For collections whose address is a variable that they do not set."""


def read_postman(data: bytes, source: str) -> tuple[list[Recorded], list[str]]:
    """The requests of a collection, and notes on what was left out. Raises `ImportingError`."""
    try:
        return _read(data, source)
    except RecursionError as error:
        raise ImportingError(f"{source}: expected a Postman collection: it is nested too deeply") from error


def _read(data: bytes, source: str) -> tuple[list[Recorded], list[str]]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise ImportingError(f"{source}: expected a Postman collection: {error}") from error
    if isinstance(document, dict) and isinstance(document.get("collection"), dict):
        document = document["collection"]  # as Postman's API wraps it
    if not isinstance(document, dict) or not isinstance(document.get("item"), list):
        raise ImportingError(f"{source}: item: expected the list of a Postman collection's requests")
    written = document.get("variable")
    variables = {
        str(one.get("key")): str(one.get("value", ""))
        for one in (written if isinstance(written, list) else ())
        if isinstance(one, dict)
    }
    unknown: dict[str, None] = {}
    found: list[Recorded] = []
    notes: list[str] = []
    scripts = 0
    for place, item, auth in _items(document["item"], "item", document.get("auth")):
        try:
            one = _recorded(
                item["request"], place, source, auth, _Filled(variables, unknown, f"{source}: {place}")
            )
        except (AttributeError, TypeError, LookupError) as error:  # a text where a list belongs, and the like
            raise ImportingError(f"{source}: {place}: expected a request as Postman exports it") from error
        kept = _kept(item.get("event"))
        for name, steps in kept.items():
            variables[name] = f"{_TOLD}{len(found)}-{name}"
            one = one._replace(answer=_with(one.answer, steps, variables[name]))
            notes.append(f"{{{{{name}}}}} is taken from the answer of {one.method} {urlsplit(one.url).path}")
        scripts += bool(item.get("event")) and not kept
        notes += _left_out_of_body(item["request"], one)
        found.append(one)
    notes += [
        f"{{{{{name}}}}} is set nowhere in the collection: made up" for name in unknown if "://" not in name
    ]
    if scripts:
        notes.append(f"scripts of {counted(scripts, 'request', 'requests')} left out: they are JavaScript")
    return found, notes


def _kept(events: Any) -> dict[str, list[str | int]]:
    """The variables that a request's scripts take from its answer, each with where it stands there."""
    found: dict[str, list[str | int]] = {}
    for event in events if isinstance(events, list) else ():
        script = event.get("script") if isinstance(event, dict) and event.get("listen") == "test" else None
        lines = script.get("exec") if isinstance(script, dict) else None
        code = "\n".join(map(str, lines)) if isinstance(lines, list) else str(lines or "")
        answers = {name[1] for name in _NAMED_ANSWER.finditer(f"{code}\n")}
        for one in _SETS.finditer(code):
            if one[2] in answers or not one[2].isidentifier():
                found[one[1]] = [
                    int(step[2]) if step[2] else step[1] or step[3] for step in _STEP.finditer(one[3])
                ]
    return found


def _with(answer: Any, steps: Sequence[str | int], value: str) -> Any:
    """An answer that has a value at a place, and whatever it had elsewhere.

    Numbers of a list are keys too: what a script keeps may be the last of many.
    """
    if not steps:
        return value
    step, *others = steps
    named = dict(answer) if isinstance(answer, dict) else {}
    return {**named, step: _with(named.get(step), others, value)}


def _left_out_of_body(request: Any, one: Recorded) -> list[str]:
    body = request.get("body") if isinstance(request, dict) else None
    if not isinstance(body, dict) or body.get("mode") != "file":
        return []
    return [f"{one.method} {urlsplit(one.url).path} sends a file: its body is left out"]


def _items(items: Any, place: str, auth: Any) -> Iterator[tuple[str, dict[str, Any], Any]]:
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if not isinstance(item, dict):
            continue
        if "request" in item:
            yield f"{place}[{number}].request", item, auth
        else:
            yield from _items(item.get("item"), f"{place}[{number}].item", item.get("auth") or auth)


class _Filled:
    """Fills in the variables of a collection. Raises `ImportingError` beginning with `where` for what has no end."""

    def __init__(self, variables: Mapping[str, str], unknown: dict[str, None], where: str) -> None:
        self._variables, self._unknown, self._where = variables, unknown, where

    def __call__(self, text: Any) -> str:
        filled = str(text or "")
        for _ in range(5):  # a variable's value may name another
            self._check(sum(len(self._value(found)) for found in _VARIABLE.finditer(filled)))
            again = _VARIABLE.sub(self._value, filled)
            if again == filled:
                break
            filled = again
        return filled

    def in_path(self, path: str, name: str, value: str) -> str:
        """An address with the value of what it has as `:name`."""
        self._check(path.count(f":{name}") * len(value))
        return path.replace(f":{name}", value)

    def _check(self, filled_in: int) -> None:
        if filled_in > _MOST_FILLED_IN:
            raise ImportingError(
                f"{self._where}: expected variables of at most {_MOST_FILLED_IN:,} characters together, which grow "
                "without end where one names itself"
            )

    def _value(self, found: re.Match[str]) -> str:
        name = found[1].strip()
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
        name = str(one.get("key"))
        whole = filled.in_path(whole, name, filled(one.get("value")) or f"made-up-{name}")
    if "://" not in whole:
        whole = f"http://{whole}"
    headers = [
        (filled(one.get("key")), filled(one.get("value")))
        for one in _enabled(_headers(request.get("header")))
    ]
    in_query, shown = _login(request.get("auth") or auth, filled)
    headers += [] if in_query else shown
    if in_query:
        whole += f"{'&' if '?' in whole else '?'}{urlencode(shown)}"
    body = _body(request.get("body"), filled)
    if "text" in body:
        headers = _typed(headers, request["body"])
    address_parts(whole, f"{source}: {place}.url")
    method = request.get("method") or "GET"
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise ImportingError(f"{source}: {place}.method: expected a method such as GET, got {method!r:.60}")
    return Recorded(method.upper(), whole, tuple(headers), logins=tuple(name for name, _ in shown), **body)


def _login(auth: Any, filled: _Filled) -> tuple[bool, list[tuple[str, str]]]:
    """Whether a login goes into the query, and its name and value there or as a header; none for `noauth`.

    Only what an earlier answer told stays as it is: everything else is a secret.
    """
    kind = auth.get("type") if isinstance(auth, dict) else "noauth"
    if kind == "noauth":
        return False, []
    written = auth.get(kind)
    pairs = (
        {one.get("key"): one.get("value") for one in written if isinstance(one, dict)}
        if isinstance(written, list)
        else written or {}
    )
    if kind == "apikey":
        value = filled(pairs.get("value"))
        return pairs.get("in") == "query", [(filled(pairs.get("key")) or "X-Api-Key", _if_told(value))]
    token = filled(pairs.get("token")) if kind == "bearer" else ""
    return False, [("Authorization", f"Bearer {_if_told(token)}" if kind == "bearer" else "made up")]


def _if_told(value: str) -> str:
    """A login that an earlier answer told; any other is a secret."""
    return value if value.startswith(_TOLD) else "made up"


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


def _typed(headers: list[tuple[str, str]], body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Headers with the `Content-Type` that Postman adds to a body that is text."""
    if body.get("mode") == "formdata":
        return with_content_type(headers, MULTIPART)
    is_told = any(name.lower() == "content-type" for name, _ in headers)
    return headers if is_told or _language(body) != "json" else [*headers, ("Content-Type", JSON)]


def _language(body: Mapping[str, Any]) -> str:
    return str(((body.get("options") or {}).get("raw") or {}).get("language", ""))


def _body(body: Any, filled: _Filled) -> dict[str, Any]:
    if not isinstance(body, dict) or body.get("disabled"):
        return {}
    mode = body.get("mode")
    if mode == "raw" and body.get("raw"):
        return body_of(filled(body["raw"]), "json" if _language(body) == "json" else "")
    if mode in {"urlencoded", "formdata"}:
        pairs = _enabled(body.get(mode))
        if mode == "formdata":
            return {"text": multipart(_part(one, filled) for one in pairs)} if pairs else {}
        return {"form": tuple((filled(one.get("key")), filled(one.get("value"))) for one in pairs)}
    if mode == "graphql":
        graphql = body.get("graphql") or {}
        sent: dict[str, Any] = {"query": filled(graphql.get("query"))}
        variables = body_of(filled(graphql.get("variables")), "json")
        if variables.get("json_body"):
            sent["variables"] = variables["json_body"]
        if graphql.get("operationName"):
            sent["operationName"] = filled(graphql["operationName"])
        return {"json_body": sent}
    return {}
