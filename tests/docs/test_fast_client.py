"""`docs/fast-client.md` is true: what it names as missing is missing, what it names as different differs."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
from geventhttpclient.useragent import CompatRequest, CompatResponse
from locust import FastHttpUser as LocustFastHttpUser
from locust.contrib.fasthttp import (
    FastRequest,
    FastResponse,
    ResponseContextManager,
    RestResponseContextManager,
)
from locust.env import Environment

from loadtest import FastHttpUser
from loadtest.drive.recorder import recorder_for
from loadtest.drive.response import CaughtResponse, Response, SentRequest
from loadtest.testing import ScriptedServer, ServedConnection, response_bytes

PAGE = Path(__file__).parents[2] / "docs" / "fast-client.md"
SPECIAL = {"__iter__", "__len__", "__enter__"}
A_USER = {LocustFastHttpUser: "Locust's", FastHttpUser: "ours"}


def section(title: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    _, _, text = PAGE.read_text(encoding="utf-8").partition(f"## {title}\n")
    rows = re.findall(r"^\| (.*) \|$", text.partition("\n## ")[0], re.MULTILINE)
    return [row.split(" | ") for row in rows[1:]]


ODD_ANSWERS = {
    b"/again": response_bytes(b"", "307 Temporary Redirect", ["Location: /", "Connection: close"]),
    b"/zstd": response_bytes(b"zstd", headers=["Content-Encoding: zstd"]),
    b"/no-http": b"220 mail.example ESMTP\r\n\r\n",
    b"/closed": b"",
    b"/short": b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort",
    b"/missing": response_bytes(b"no such page", "404 Not Found"),
}
"""Each is the last on its connection."""


def serve(connection: ServedConnection) -> None:
    """Say what was sent, or what the path asks for."""
    while True:
        sent = connection.read_request()
        path = sent.split(b" ")[1]
        if path == b"/hang":
            connection.wait_for_close()
        elif path == b"/loop":
            connection.send(response_bytes(b"", "302 Found", ["Location: /loop"]))
        elif path == b"/cookie":
            connection.send(response_bytes(b"", headers=["Set-Cookie: session=abc; Path=/"]))
        elif path == b"/coded":
            connection.send(response_bytes(b"no gzip", headers=["Content-Encoding: gzip"]))
        elif path in ODD_ANSWERS:
            connection.send(ODD_ANSWERS[path])
            return
        else:
            connection.send(response_bytes(sent))
        if path == b"/unread":
            connection.wait_for_close()
            return  # what came after a head that announces chunks is no request


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with ScriptedServer(serve) as server:
        yield server.url


MakeUser = Callable[..., Any]
Observe = Callable[[MakeUser], Any]


@pytest.fixture
def user_of(shop: str) -> Iterator[Callable[..., Any]]:
    """Makes users of a base class with some attributes; their connections are closed in the end."""
    made: list[Any] = []

    def make(base: type[Any], host: str = shop, **attributes: Any) -> Any:
        kind = type("ShopUser", (base,), {"host": host, "abstract": False, **attributes})
        made.append(kind(Environment()))
        return made[-1]

    yield make
    for user in made:
        user.client.client.clientpool.close()
        recorder_for(user.environment).close()


def _heard(user: Any) -> list[dict[str, Any]]:
    """What a listener, just added, hears from now on."""
    heard: list[dict[str, Any]] = []
    user.environment.events.request.add_listener(lambda **event: heard.append(event))
    return heard


def _certificate(make: MakeUser) -> Any:
    return make().insecure


def _host(make: MakeUser) -> Any:
    return type(make(host="http://shop.invalid").client.get("/").error).__name__


def _json_body(make: MakeUser) -> Any:
    return make().client.post("/", json={"a": 1}).content.partition(b"\r\n\r\n")[2]


def _request_body(make: MakeUser) -> Any:
    return type(make().client.post("/", json={"a": 1}).request.body)


def _body_of_unknown_length(make: MakeUser) -> Any:
    sent = make().client.post("/unread", data=iter([b"ab", b"c"])).text.lower()
    return re.findall("content-length|transfer-encoding", sent)


def _sent_again(make: MakeUser) -> Any:
    return make().client.post("/again", data=iter([b"ab", b"c"])).status_code


def _unknown_coding(make: MakeUser) -> Any:
    try:
        return make().client.get("/zstd").content
    except ValueError:
        return "ValueError"


def _malformed(make: MakeUser) -> Any:
    return type(make().client.get("/no-http").error).__name__


def _closed(make: MakeUser) -> Any:
    return type(make().client.post("/closed").error).__name__


def _cut_short(make: MakeUser) -> Any:
    response = make().client.get("/short")
    return response.status_code, response.content


def _two_slashes(make: MakeUser) -> Any:
    try:
        return make().client.get("//path").status_code
    except ValueError:
        return "ValueError"


def _stream_of_a_bad_status(make: MakeUser) -> Any:
    return list(make().client.get("/missing", stream=True).iter_content())


def _unknown_argument(make: MakeUser) -> Any:
    sent: list[Any] = []
    for method in ("GET", "POST"):
        try:
            text = make().client.request(method, "/", tiemout=1).text
            sent.append((text.split(" ")[1], text.partition("\r\n\r\n")[2]))
        except TypeError as error:
            sent.append(str(error).partition(" sends it as ")[2])
    return sent


def _new_jar(make: MakeUser) -> Any:
    client = make().client
    client.get("/cookie")
    client.cookiejar = CookieJar()
    return "session=abc" in client.get("/").text


def _timeout(make: MakeUser) -> Any:
    error = make(network_timeout=0.05).client.get("/hang").error
    return isinstance(error, TimeoutError), isinstance(error.original, TimeoutError)


def _redirects(make: MakeUser) -> Any:
    return type(make(max_redirects=2).client.get("/loop").error).__name__


def _coding(make: MakeUser) -> Any:
    user = make()
    heard = _heard(user)
    recorder_for(user.environment).find_listeners()
    user.client.get("/coded")
    return type(heard[0]["exception"]).__name__


def _text_of_error(make: MakeUser) -> Any:
    return "/loop" in str(make(max_redirects=2).client.get("/loop").error)


def _user_agent(make: MakeUser) -> Any:
    return re.findall(r"(?i)user-agent: (\w+)", make().client.get("/").text)


def _listeners(make: MakeUser) -> Any:
    user = make()
    user.client.get("/")
    heard = _heard(user)
    user.client.get("/at-once")
    recorder_for(user.environment).find_listeners()  # as it does each second
    user.client.get("/later")
    return [event["name"] for event in heard]


DIFFERENCES: dict[str, tuple[Observe, Any, Any]] = {
    "TLS certificate": (_certificate, True, False),
    "Host": (_host, "gaierror", "HostNotAllowed"),
    "JSON body": (_json_body, b'{"a": 1}', b'{"a":1}'),
    "`request.body` of JSON": (_request_body, str, bytes),
    "Body of unknown length": (_body_of_unknown_length, ["transfer-encoding"], ["content-length"]),
    "307 after such a body": (_sent_again, 0, 200),
    "Unknown argument": (
        _unknown_argument,
        [("/?tiemout=1", ""), ("/", "tiemout=1")],
        ["a query parameter; use params=", "a form field; use data="],
    ),
    "`client.cookiejar = …`": (_new_jar, True, False),
    "Timeout": (_timeout, (False, True), (True, True)),
    "Too many redirects": (_redirects, "RetriesExceeded", "RedirectError"),
    "Coding that is not one": (_coding, "error", "ProtocolError"),
    "Unknown coding": (_unknown_coding, "ValueError", b"zstd"),
    "Malformed answer": (_malformed, "HTTPParseError", "ProtocolError"),
    "Closed before the answer": (_closed, "HTTPConnectionClosed", "ConnectionClosedError"),
    "Answer cut short": (_cut_short, (200, b"short"), (0, None)),
    "Path that begins with `//`": (_two_slashes, "ValueError", 200),
    "Stream of a bad status": (_stream_of_a_bad_status, [], ["no such page"]),
    "Text of an error": (_text_of_error, True, False),
    "`User-Agent`": (_user_agent, ["python"], ["singlesday"]),
    "`request` listeners": (_listeners, ["/at-once", "/later"], ["/later"]),
}
"""By the row of the table: what to look at, and what is seen of Locust's class and of ours."""


def test_every_difference_of_the_page_is_looked_at() -> None:
    assert [cells[0] for cells in section("What is different, and why")] == list(DIFFERENCES)


@pytest.mark.parametrize("base", A_USER, ids=A_USER.get)
@pytest.mark.parametrize("what", DIFFERENCES)
def test_a_difference_is_as_the_page_says(base: type[Any], what: str, user_of: MakeUser) -> None:
    observe, theirs, ours = DIFFERENCES[what]
    assert observe(partial(user_of, base)) == (theirs if base is LocustFastHttpUser else ours)


def public(thing: Any) -> set[str]:
    """The names a script can use of an instance or a class."""
    named = {*dir(thing), *getattr(thing, "__annotations__", {})}
    return {name for name in named if name in SPECIAL or not name.startswith("_")}


def missing(user_of: MakeUser) -> set[str]:
    """Everything of Locust's classes that ours lack, as `Class.name`."""
    responses = {*public(CaughtResponse), "content", "status_code"}
    pairs = [
        ("FastHttpUser", public(LocustFastHttpUser), public(FastHttpUser)),
        ("FastHttpSession", public(user_of(LocustFastHttpUser).client), public(user_of(FastHttpUser).client)),
        (
            "LocustUserAgent",
            public(user_of(LocustFastHttpUser).client.client),
            public(user_of(FastHttpUser).client.client),
        ),
        (
            "HTTPClientPool",
            public(user_of(LocustFastHttpUser).client.client.clientpool),
            public(user_of(FastHttpUser).client.client.clientpool),
        ),
        ("FastResponse", public(FastResponse) | public(CompatResponse), responses),
        ("FastResponse", public(ResponseContextManager) | public(RestResponseContextManager), responses),
        ("FastRequest", public(FastRequest) | public(CompatRequest("http://x/")), public(SentRequest)),
    ]
    return {f"{name}.{what}" for name, theirs, here in pairs for what in theirs - here}


def test_what_is_missing_is_what_the_page_names(user_of: MakeUser) -> None:
    named = {name for cells in section("What is not there") for name in re.findall(r"`([\w.]+)`", cells[0])}
    assert named == missing(user_of)


def test_a_response_has_what_an_instance_of_it_gets(user_of: MakeUser) -> None:
    """`missing` takes two attributes for granted that only an instance has."""
    response = user_of(FastHttpUser, "http://127.0.0.1:1").client.get("/")
    assert isinstance(response, Response)
    assert (response.status_code, response.content) == (0, None)
