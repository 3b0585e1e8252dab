"""Whatever stands wherever in a document: it is read, or refused in one line that names the file."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.importing.har import read_har
from loadtest.importing.import_error import ImportingError
from loadtest.importing.openapi import read_openapi
from loadtest.importing.openapi_script import chain_class, chains, logins_of
from loadtest.importing.postman import read_postman
from loadtest.importing.recorded import Recorded, address_parts, of_one_host
from loadtest.importing.session_script import session_script
from tests.importing.test_openapi import DOCUMENT
from tests.importing.test_postman import BEARER, COLLECTION, request_of

HAR = json.loads((Path(__file__).parent / "recorded" / "shop.har").read_bytes())
HAR["log"]["entries"] = HAR["log"]["entries"][:3]
FORM = {"mode": "formdata", "formdata": [{"key": "a", "type": "file", "src": ["/a.png"]}]}
GRAPHQL = {"mode": "graphql", "graphql": {"query": "{ a }", "variables": "{}"}}
REQUESTS = [
    request_of("/login", "pm.globals.set('token', pm.response.json().t)"),
    request_of("/a", body=FORM, auth=BEARER),
    request_of("/b", body=GRAPHQL),
]
POSTMAN = COLLECTION | {"item": [*COLLECTION["item"], *REQUESTS]}
JUNK: tuple[Any, ...] = (
    None,
    1,
    -1.5,
    True,
    "",
    "x",
    "{{",
    "http://[",
    [],
    {},
    [None],
    ["a"],
    [[]],
    {"a": 1},
    {"key": 5},
)


def places(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*place, key)
        yield from places(one, (*place, key))


@st.composite
def broken(draw: st.DrawFn, whole: Any) -> Any:
    """A document with something else, or nothing, in up to three places."""
    found = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        known = list(places(found))
        if not known:
            break
        *way, last = draw(st.sampled_from(known))
        holder = found
        for key in way:
            holder = holder[key]
        if draw(st.booleans()):
            holder[last] = copy.deepcopy(draw(st.sampled_from(JUNK)))
        else:
            del holder[last]
    return found


def refusal_of(read: Callable[[], object]) -> str:
    """What a document is refused with; nothing where it is read. Any other error is raised."""
    try:
        read()
    except ImportingError as error:
        return str(error)
    return ""


READ_OR_REFUSED_IN_ONE_LINE = re.compile("|x: .+")


def script_of(recorded: list[Recorded]) -> None:
    kept, _, _ = of_one_host(recorded, "x", assets=False)
    compile(session_script(kept, "Session", "data").text, "x.py", "exec")


@given(broken(POSTMAN))
def test_any_collection_is_read_or_refused(document: Any) -> None:
    assert READ_OR_REFUSED_IN_ONE_LINE.fullmatch(
        refusal_of(lambda: script_of(read_postman(json.dumps(document).encode(), "x")[0]))
    )


@given(broken(HAR))
def test_any_session_of_a_browser_is_read_or_refused(document: Any) -> None:
    assert READ_OR_REFUSED_IN_ONE_LINE.fullmatch(
        refusal_of(lambda: script_of(read_har(json.dumps(document).encode(), "x")[0]))
    )


@settings(max_examples=20)
@given(broken(DOCUMENT))
def test_any_document_of_an_api_is_read_or_refused(document: Any) -> None:
    def read() -> None:
        operations = read_openapi(json.dumps(document), "x")
        for chain in chains(operations):
            compile(chain_class(chain, "data", set(), logins_of(operations)).text, "x.py", "exec")

    assert READ_OR_REFUSED_IN_ONE_LINE.fullmatch(refusal_of(read))


@pytest.mark.parametrize(
    "url", ["http://[", "http://", "ftp://a/b", "http://a:99999/", "http://a:b/", "/a", ""]
)
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(ImportingError, match=r"^here: expected an address with http:// or https://, got"):
        address_parts(url, "here")


@pytest.mark.parametrize(
    "read", [read_har, read_postman, lambda data, source: read_openapi(data.decode(), source)]
)
@pytest.mark.parametrize(
    "data", [b"[" * 50_000, b'{"info": {}, "item": ' + b'[{"item":' * 5000 + b"[]" + b"}]" * 5000 + b"}"]
)
def test_a_document_nested_too_deeply_is_refused(read: Callable[[bytes, str], object], data: bytes) -> None:
    with pytest.raises(ImportingError, match=r"^deep.json: expected "):
        read(data, "deep.json")


def test_a_yaml_document_that_holds_itself_is_refused() -> None:
    text = "openapi: 3.0.3\ninfo: &a {title: x, version: '1', x-self: *a}\npaths: {}\n"
    with pytest.raises(ImportingError, match=r"^x.yaml: "):
        read_openapi(text, "x.yaml")
