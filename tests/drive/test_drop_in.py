"""Drop-in for Locust's FastHttpUser: the same script on both, against the same server, must see the same.

Each script is a function of a user. It runs once with Locust's `FastHttpUser` and once with ours; what it
returns, the `request` events it causes (without times) and the requests the server received (without the
headers in which clients name themselves) are compared.
"""

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import brotli  # type: ignore[import-untyped] # has no annotations
import pytest
from geventhttpclient.header import Headers
from locust import FastHttpUser as LocustFastHttpUser
from locust.env import Environment
from locust.exception import LocustError

from loadtest import FastHttpUser
from loadtest.drive.http1 import parse_head
from loadtest.drive.recorder import recorder_for
from loadtest.testing import ScriptedServer, ServedConnection, response_bytes

TEXT = "Grüße from the shop"
BODY = json.dumps({"id": 7, "names": ["a", "b"]}).encode()
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
LATIN = "Grüße".encode("latin-1")


def route(head: bytes, body: bytes) -> bytes:
    """The answer of the shop that both clients visit."""
    target = head.split(b" ")[1].decode()
    path = target.partition("?")[0]
    if path == "/echo":
        lines = sorted(f"{name.lower()}: {value}" for name, value in parse_head(head))
        kept = [line for line in lines if not line.startswith(("user-agent", "host", "connection"))]
        return response_bytes(json.dumps([target, kept, body.decode("latin-1")]).encode())
    status = {"/missing": "404 Not Found", "/broken": "500 Internal Server Error", "/odd": "218 This Is Fine"}
    answers = {
        "/json": response_bytes(BODY, headers=["Content-Type: application/json"]),
        "/text": response_bytes(TEXT.encode(), headers=["Content-Type: text/plain; charset=utf-8"]),
        "/latin": response_bytes(LATIN, headers=["Content-Type: text/plain"]),
        "/bytes": response_bytes(bytes(range(256))),
        "/empty": b"HTTP/1.1 204 No Content\r\n\r\n",
        "/gzip": response_bytes(gzip.compress(BODY), headers=["Content-Encoding: gzip"]),
        "/deflate": response_bytes(zlib.compress(BODY), headers=["Content-Encoding: deflate"]),
        "/br": response_bytes(brotli.compress(BODY), headers=["Content-Encoding: br"]),
        "/badgzip": response_bytes(b"not gzip at all", headers=["Content-Encoding: gzip"]),
        "/chunked": CHUNKED,
        "/twice": response_bytes(b"x", headers=["X-A: 1", "X-A: 2"]),
        "/cookie": response_bytes(
            b"x", headers=["Set-Cookie: session=abc; Path=/", "Set-Cookie: b=2; Path=/"]
        ),
        "/crlf": response_bytes(b"one\r\ntwo and more\r\nlast"),
        "/lines": response_bytes(b"one\ntwo\n\nthree"),
        "/moved": response_bytes(b"", "302 Found", ["Location: /json?from=moved"]),
        "/relative": response_bytes(b"", "301 Moved Permanently", ["Location: text"]),
        "/kept": response_bytes(b"", "307 Temporary Redirect", ["Location: /echo"]),
        "/seen": response_bytes(b"", "303 See Other", ["Location: /echo"]),
        "/loop": response_bytes(b"", "302 Found", ["Location: /loop"]),
        "/nowhere": response_bytes(b"", "302 Found"),
        "/setmove": response_bytes(b"", "302 Found", ["Location: /echo", "Set-Cookie: m=1; Path=/"]),
    }
    return answers.get(path) or response_bytes(b"no such page", status.get(path, "404 Not Found"))


def serve(connection: ServedConnection) -> None:
    while True:
        head, _, body = connection.read_request().partition(b"\r\n\r\n")
        answer = route(head, body)
        connection.send(
            answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if head.startswith(b"HEAD") else answer
        )


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with ScriptedServer(serve) as server:
        yield server.url


Script = Callable[[Any], Any]


def told(response: Any) -> tuple[Any, ...]:
    """What a script can learn from a response."""
    headers = response.headers and {k.lower(): v for k, v in response.headers.items()}
    return (response.status_code, response.ok, response.content, response.text, headers, response.url)


def requests_of_every_kind(user: Any) -> Any:
    client = user.client
    made = [
        client.get("/echo"),
        client.get("/echo?a=1&b=two words"),
        client.get("/echo", params={"q": "ü", "n": 1, "many": [1, 2]}),
        client.get("/echo", headers={"X-Own": "1", "accept-encoding": "identity"}),
        client.post("/echo", json={"a": 1}),
        client.post("/echo", json=[]),
        client.post("/echo", data="text"),
        client.post("/echo", data=b"\x00\xff"),
        client.post("/echo", data={"a": "1 2", "b": "ü"}),
        client.post("/echo", data="<x/>", headers={"Content-Type": "text/xml"}),
        client.post("/echo"),
        client.put("/echo", data="put"),
        client.put("/echo", json={"put": 1}),
        client.patch("/echo", json={"patch": 1}),
        client.delete("/echo"),
        client.options("/echo"),
        client.get("/echo", auth=("user", "pässword")),
        client.request("GET", "/echo", name="named"),
    ]
    return [(r.status_code, _normal(r.json())) for r in made]


def _normal(echoed: list[Any]) -> list[Any]:
    """JSON bodies compared as JSON: ours are sent without the blanks, so their length differs."""
    target, headers, body = echoed
    try:
        body = json.loads(body)
    except ValueError:
        return echoed
    return [target, [line for line in headers if not line.startswith("content-length")], body]


def responses_of_every_kind(user: Any) -> Any:
    pages = [
        "json",
        "text",
        "latin",
        "bytes",
        "empty",
        "gzip",
        "deflate",
        "br",
        "chunked",
        "twice",
        "missing",
        "broken",
        "odd",
        "nowhere",
    ]
    return [told(user.client.get(f"/{page}")) for page in pages]


def head_requests(user: Any) -> Any:
    responses = [user.client.head("/json"), user.client.head("/missing")]
    return [(r.status_code, r.content, r.headers["content-length"]) for r in responses]


def other_names(user: Any) -> Any:
    response = user.client.get("/twice")
    return [response.data, response.info().get("x-a"), response.elapsed.total_seconds() > 0, response.history]


def parsed_json(user: Any) -> Any:
    return user.client.get("/json").json()


def a_body_that_is_not_what_it_says(user: Any) -> Any:
    return user.client.get("/badgzip").status_code


def redirects(user: Any) -> Any:
    client = user.client
    paths = ["/moved", "/relative"]
    got: list[Any] = [told(client.get(path))[:4] for path in paths]
    got.append(told(client.get("/moved", allow_redirects=False))[:4])
    got.append(told(client.get("/loop"))[:3])
    for path in ("/kept", "/seen"):
        response = client.post(path, data=b"payload", headers={"X-Own": "1"})
        got.append((response.status_code, response.json()))
    got.append(len(client.get("/moved").history))
    return got


def cookies(user: Any) -> Any:
    client = user.client
    client.get("/cookie")
    first = client.get("/echo").json()
    client.get("/setmove")
    return [first, client.get("/echo").json(), sorted((c.name, c.value) for c in client.cookiejar)]


def verdicts(user: Any) -> Any:
    client = user.client
    with client.get("/missing", catch_response=True) as response:
        response.success()
    with client.get("/json", catch_response=True) as response:
        response.failure("not what I wanted")
    with client.get("/json", catch_response=True) as response:
        response.failure(ValueError("as an exception"))
    with client.get("/broken", catch_response=True):
        pass
    with client.get("/json", catch_response=True) as response:
        response.request_meta["name"] = "renamed"
        response.request_meta["context"]["k"] = "v"
    with client.get("/json", catch_response=True, name="named", context={"c": 1}) as response:
        return response.request_meta["name"]


def exceptions_in_the_block(user: Any) -> Any:
    try:
        with user.client.get("/json", catch_response=True):
            raise KeyError("not reported")
    except KeyError as error:
        seen = repr(error)
    try:
        user.client.get("/json").failure("no block")
    except LocustError as error:
        return [seen, str(error)]
    return None


def a_block_without_catch_response(user: Any) -> Any:
    with user.client.get("/json") as response:
        seen = [response.status_code]
    with user.client.get("/bytes", stream=True) as response:
        pass
    try:
        with user.client.get("/json") as response:
            response.success()
    except LocustError as error:
        return [seen, str(error), user.client.get("/json").status_code]
    return None


def raised_statuses(user: Any) -> Any:
    raised = []
    for page in ("/missing", "/broken", "/json"):
        try:
            user.client.get(page).raise_for_status()
        except Exception as error:
            raised.append((type(error).__name__, repr(error)))
    return raised


def renamed(user: Any) -> Any:
    with user.client.rename_request("group"):
        user.client.get("/json?id=1")
        user.client.get("/json?id=2", name="own")
    user.client.get("/json?id=3")


def rest(user: Any) -> Any:
    seen = []
    with user.rest("GET", "/json") as response:
        seen.append(response.js)
    with user.rest("POST", "/echo", json={"a": 1}) as response:
        seen.append(_normal(response.js))
    with user.rest("GET", "/text") as response:
        seen.append(response.js)
    with user.rest("GET", "/json") as response:
        assert response.js["id"] == 8, "wrong id"
    with user.rest("GET", "/empty") as response:
        seen.append(response.js)
    with user.rest_("GET", "/json") as response:
        seen.append(response.js)
    return seen


def streams(user: Any) -> Any:
    client = user.client
    lines = list(client.iter_lines("/lines"))
    response = client.get("/bytes", stream=True)
    pieces = b"".join(response.iter_content(chunk_size=100, decode_content=False))
    by_hand = client.get("/crlf", stream=True)
    read = [by_hand.status, by_hand.readline(), by_hand.read(3), by_hand.readline(), by_hand.readline()]
    read += [by_hand.read(), by_hand.read(), by_hand.isclosed()]
    from_stream = client.get("/bytes", stream=True).stream.read(10)
    coded = [client.get(page, stream=True).content for page in ("/gzip", "/chunked", "/empty", "/missing")]
    whole = client.get("/text")
    nothing = [whole.read(), whole.readline(), whole.isclosed()]
    return [
        lines,
        pieces,
        [bytes(part) if isinstance(part, bytearray) else part for part in read],
        bytes(from_stream),
        nothing,
        coded,
        client.get("/json").json(),
    ]


def what_scripts_set(user: Any) -> Any:
    """Attributes of the session and of its agent, set between two requests."""
    client = user.client
    base = client.base_url
    seen = []

    def echoed(**kwargs: Any) -> Any:
        return client.get("/echo", **kwargs).json()[:2]

    client.base_url = f"{base}/missing"
    seen.append(client.get("?of=base").status_code)
    client.base_url = base
    agent = client.client
    agent.default_headers["X-Tenant"] = "t-1"
    seen.append(echoed())
    agent.default_headers["x-tenant"] = "t-2"
    seen.append(echoed(headers={"X-TENANT": "own"}))
    agent.default_headers.update({"X-Second": "2", "Accept": "text/html"})
    seen += [echoed(), client.post("/echo", json={}).json()[1]]
    del agent.default_headers["X-Tenant"]
    agent.default_headers.pop("X-Second")
    seen += [echoed(), dict(agent.default_headers) != {}]
    agent.default_headers = Headers({"X-Only": "1"})
    seen.append(echoed())
    client.auth_header = "Bearer abc"
    seen.append(echoed())
    client.auth_header = None
    client.get("/cookie")
    agent.cookiejar.clear()
    seen.append(echoed())
    agent.max_redirects = 0
    seen.append(client.get("/moved").status_code)
    agent.max_redirects = 30
    agent.redirect_response_codes = frozenset([301])
    seen += [client.get("/moved").status_code, client.get("/relative").status_code]
    agent.valid_response_codes = frozenset([200, 404])
    seen.append(getattr(client.get("/missing"), "error", None))
    return seen


def multipart(user: Any) -> Any:
    """Files in every form that Locust's class takes, and what it refuses."""
    named = io.BytesIO(b"named")
    named.name = "folder/report.txt"
    cases: list[dict[str, Any]] = [
        {"files": {"f": b"content"}},
        {"files": {"f": "text ü"}},
        {"files": {"f": io.BytesIO(b"a file")}},
        {"files": {"f": named}},
        {"files": {"f": ("a.txt", b"x")}},
        {"files": {"f": ("a.txt", io.BytesIO(b"x"), "text/csv")}},
        {"files": {"f": ("a.txt", b"x", "text/csv", {"X-Part": "1"})}},
        {"files": {"f": ("a.txt", b"x", "text/csv", {}, "own-boundary")}},
        {"files": {"f": ('quo"te ü.txt', b"x")}},
        {"files": {"f": ("gone", None)}},
        {"files": [("f", b"1"), ("f", b"2")]},
        {"files": {"f": b"x"}, "data": {"a": 1, "many": [1, "2"], "none": None, "raw": b"\xff"}},
        {"files": {"f": b"x"}, "data": [("a", "1"), ("a", "2")]},
        {"files": {"f": b"x"}, "headers": {"Content-Type": "text/plain", "content-length": "3"}},
        {"files": {}, "data": {"a": "1"}},
        {"files": {"f": b"x"}, "data": "text"},
        {"files": {"f": b"x"}, "json": {"a": 1}},
        {"files": {"f": ("one",)}},
    ]
    return [_form(user, case) for case in cases]


def _form(user: Any, case: dict[str, Any]) -> Any:
    """What was sent, its boundary replaced; or what was raised."""
    try:
        target, lines, body = user.client.post("/echo", **case).json()
    except (TypeError, ValueError) as error:
        return type(error).__name__
    boundary = re.findall("boundary=(.*)", "".join(lines))
    return (
        json.loads(json.dumps([target, lines, body]).replace(boundary[0], "B"))
        if boundary
        else [target, lines, body]
    )


def an_unreachable_host(user: Any) -> Any:
    response = user.client.get("http://127.0.0.1:1/x")
    return [told(response)[:5], type(response.error).__name__]


SCRIPTS = [
    requests_of_every_kind,
    responses_of_every_kind,
    head_requests,
    other_names,
    parsed_json,
    a_body_that_is_not_what_it_says,
    redirects,
    cookies,
    verdicts,
    exceptions_in_the_block,
    a_block_without_catch_response,
    raised_statuses,
    renamed,
    rest,
    streams,
    what_scripts_set,
    multipart,
    an_unreachable_host,
]


def run(base: type[Any], host_url: str, script: Script) -> tuple[Any, list[dict[str, Any]]]:
    """Run a script with a user of class `base`; return its result, and the events without times."""
    environment = Environment()
    events: list[dict[str, Any]] = []
    add_listener: Any = environment.events.request.add_listener
    add_listener(lambda **event: events.append(event))

    class ShopUser(base):  # type: ignore[misc] # either of two classes
        host = host_url
        abstract = False
        insecure = True

        def context(self) -> dict[str, Any]:
            return {"user": "u1"}

    user = ShopUser(environment)
    try:
        result = script(user)
    finally:
        user.client.client.clientpool.close()
        recorder_for(environment).close()
    return result, [_without_times(event) for event in events]


def _without_times(event: dict[str, Any]) -> dict[str, Any]:
    assert event["response_time"] >= 0
    assert event["start_time"] > 1_600_000_000
    kept = {
        k: v for k, v in event.items() if k not in {"response_time", "start_time", "response", "exception"}
    }
    if "_=" in kept["url"]:
        kept["url"] = ""  # `rest_` puts the time into it
    if "/echo" in kept["url"]:
        kept["response_length"] = -1  # tells how long the request was, and ours has no blanks in its JSON
    return kept | {"status": event["response"].status_code, "exception": _told_of(event["exception"])}


def _told_of(error: Exception | None) -> str:
    """The error as Locust's table shows it; by our name, where Locust's text holds a URL or a detail."""
    ours = {"RetriesExceeded": "RedirectError", "error": "ProtocolError"}
    name = type(error).__name__
    name = ours.get(name, name)
    return name if name in ours.values() else repr(error)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_a_script_sees_and_reports_the_same(shop: str, script: Script) -> None:
    expected, expected_events = run(LocustFastHttpUser, shop, script)
    got, events = run(FastHttpUser, shop, script)
    assert got == expected
    assert events == expected_events


def test_credentials_in_the_host_are_sent_and_hidden(shop: str) -> None:
    host = shop.replace("http://", "http://us%40er:p%3Aw@")

    def script(user: Any) -> Any:
        return [user.client.base_url, user.client.get("/echo").json(), user.client.get("/echo").url]

    assert run(FastHttpUser, host, script) == run(LocustFastHttpUser, host, script)


def test_default_headers_are_added_unless_the_call_has_them(shop: str) -> None:
    def script(user: Any) -> Any:
        return [
            user.client.get("/echo").json(),
            user.client.get("/echo", headers={"x-team": "call"}).json(),
            _normal(user.client.post("/echo", json={"a": 1}).json()),
        ]

    class Ours(FastHttpUser):
        abstract = True
        default_headers = {"X-Team": "class", "Accept": "text/html"}  # noqa: RUF012 - as scripts write it

    class Theirs(LocustFastHttpUser):
        abstract = True
        default_headers = {"X-Team": "class", "Accept": "text/html"}  # noqa: RUF012 - as scripts write it

    assert run(Ours, shop, script) == run(Theirs, shop, script)


def test_the_callers_headers_are_never_changed(shop: str) -> None:
    headers = {"X-Own": "1"}

    def script(user: Any) -> Any:
        user.client.get("/cookie")
        user.client.post("/moved", headers=headers, json={}, auth=("a", "b"))
        with user.rest("GET", "/json", headers=headers):
            pass

    run(FastHttpUser, shop, script)
    assert headers == {"X-Own": "1"}
