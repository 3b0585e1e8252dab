"""Odd requests and odd answers, on Locust's FastHttpUser and on ours: a stranger's script must see the same.

Each case is a function of a user. What it returns, or the kind of what it raises, is compared, and so are the
`request` events. What differs on purpose is listed with the reason, and must go on to differ.
"""

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import brotli  # type: ignore[import-untyped] # has no annotations
import gevent
import pytest
from locust import FastHttpUser as LocustFastHttpUser
from locust.env import Environment
from locust.exception import CatchResponseError, InterruptTaskSet, RescheduleTask, ResponseError, StopUser

from loadtest import FastHttpUser
from loadtest.drive.http1 import parse_head
from loadtest.drive.recorder import recorder_for
from loadtest.testing import ScriptedServer, ServedConnection
from loadtest.testing import response_bytes as answer

BODY = b'{"id": 7}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
ANSWERS = {
    "/204": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    "/204-with-length": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "/304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\nETag: x\r\n\r\n",
    "/100-first": b"HTTP/1.1 100 Continue\r\n\r\n" + answer(BODY),
    "/103-first": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(BODY),
    "/102-twice": b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + answer(BODY),
    "/blanks-around": OK + b"X-A:   padded   \r\nX-B:\tt\t\r\nX-Empty:\r\n\r\nok",
    "/lower": OK + b"x-lower: A\r\nX-UPPER: b\r\n\r\nok",
    "/long": OK + b"X-Long: " + b"y" * 30_000 + b"\r\n\r\nok",
    "/many": OK + b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(300)) + b"\r\nok",
    "/latin-header": OK + b"X-A: Gr\xfc\xdfe\r\n\r\nok",
    "/utf-8-header": OK + "X-A: Grüße\r\n\r\nok".encode(),
    "/no-reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "/http-1.0": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello",
    "/kept-1.0": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    "/to-the-end": b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "/close": answer(b"bye", headers=["Connection: close"]),
    "/short": b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort",
    "/cut-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "/bad-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    "/chunk-extension": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
    ),
    "/no-http": b"this is not HTTP\r\n\r\n",
    "/nothing": b"",
    "/bad-length": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
    "/two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "/length-and-chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "/folded": OK + b"X-A: one\r\n two\r\n\r\nok",
    "/nul": OK + b"X-A: a\x00b\r\n\r\nok",
    "/bad-name": OK + b"X Y: a\r\n\r\nok",
    "/extra": answer(b"ok") + b"EXTRA",
    "/json": answer(BODY, headers=["Content-Type: application/json"]),
    "/json-utf-8": answer('{"a": "ü"}'.encode(), headers=["Content-Type: application/json"]),
    "/json-untold": answer('{"a": "Grüße aus dem schönen Köln"}'.encode()),
    "/json-latin": answer(b'{"a": "\xfc"}', headers=["Content-Type: application/json; charset=iso-8859-1"]),
    "/json-utf-16": answer('{"a": 1}'.encode("utf-16"), headers=["Content-Type: text/x; charset=utf-16"]),
    "/json-mark": answer(b"\xef\xbb\xbf" + BODY, headers=["Content-Type: application/json"]),
    "/json-empty": answer(b"", headers=["Content-Type: application/json"]),
    "/html": answer("<p>Grüße</p>".encode(), headers=["Content-Type: text/html"]),
    "/odd-charset": answer(b"abc", headers=["Content-Type: text/plain; charset=klingon"]),
    "/quoted-charset": answer("ü".encode(), headers=['Content-Type: text/plain; charset="utf-8"']),
    "/octets": answer(bytes(range(128, 256)), headers=["Content-Type: application/octet-stream"]),
    "/two-types": answer(BODY, headers=["Content-Type: text/plain", "Content-Type: application/json"]),
    "/gzip-upper": answer(gzip.compress(BODY), headers=["Content-Encoding: GZIP"]),
    "/gzip-twice": answer(gzip.compress(b"one") + gzip.compress(b"2"), headers=["Content-Encoding: gzip"]),
    "/gzip-more": answer(gzip.compress(BODY) + b"xx", headers=["Content-Encoding: gzip"]),
    "/gzip-404": answer(gzip.compress(BODY), "404 No", ["Content-Encoding: gzip"]),
    "/deflate-raw": answer(zlib.compress(BODY)[2:-4], headers=["Content-Encoding: deflate"]),
    "/br": answer(brotli.compress(BODY), headers=["Content-Encoding: br"]),
    "/br-cut": answer(brotli.compress(BODY * 50)[:-3], headers=["Content-Encoding: br"]),
    "/identity": answer(BODY, headers=["Content-Encoding: identity"]),
    "/zstd": answer(BODY, headers=["Content-Encoding: zstd"]),
    "/no-location": answer(b"x", "302 Found"),
    "/empty-location": answer(b"x", "302 Found", ["Location: "]),
    "/two-locations": answer(b"x", "302 Found", ["Location: /json", "Location: /html"]),
    "/to-dots": answer(b"", "302 Found", ["Location: ../json"]),
    "/to-fragment": answer(b"", "302 Found", ["Location: /echo#part"]),
    "/to-blank": answer(b"", "302 Found", ["Location: /echo?q=a b"]),
    "/to-ftp": answer(b"", "302 Found", ["Location: ftp://x/y"]),
    "/to-utf-8": "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /echo?q=ü\r\n\r\n".encode(),
    "/to-missing": answer(b"", "302 Found", ["Location: /missing"]),
    "/chain": answer(b"", "301 Moved", ["Location: /chain-2", "Set-Cookie: c1=1; Path=/"]),
    "/chain-2": answer(b"", "307 Moved", ["Location: /echo", "Set-Cookie: c2=2; Path=/"]),
    **{f"/{n}": answer(b"moved", f"{n} Moved", ["Location: /echo"]) for n in (301, 302, 303, 307, 308)},
    **{
        f"/status-{n}": answer(b"x", f"{n} As Asked")
        for n in (226, 299, 300, 305, 400, 401, 429, 503, 600, 999)
    },
    "/cookies": answer(
        b"x",
        headers=[
            "Set-Cookie: a=1; Path=/sub",
            "Set-Cookie: b=2",
            "Set-Cookie: secure=1; Secure; Path=/",
            "Set-Cookie: gone=1; Max-Age=0; Path=/",
            "Set-Cookie: other=1; Domain=other.example; Path=/",
            'Set-Cookie: q="quoted value"; Path=/',
        ],
    ),
    "/forget": answer(b"x", headers=["Set-Cookie: b=; Max-Age=0; Path=/"]),
}
LAST_ON_ITS_CONNECTION = {
    *("/204-with-length", "/http-1.0", "/to-the-end", "/close", "/short", "/cut-chunk", "/bad-chunk"),
    *("/no-http", "/nothing", "/bad-length", "/extra"),
}


def serve(connection: ServedConnection) -> None:
    """Echo what was sent, or give the answer that the path names."""
    while True:
        head, _, body = connection.read_request().partition(b"\r\n\r\n")
        target = head.split(b" ")[1].decode("latin-1")
        path = target.partition("?")[0]
        if "echo" in path:
            lines = sorted(f"{name.lower()}: {value}" for name, value in parse_head(head))
            kept = [line for line in lines if not line.startswith(("user-agent", "host", "connection"))]
            told = [head.split(b" ")[0].decode(), target, kept, body.decode("latin-1")]
            said = answer(json.dumps(told).encode())
        else:
            said = ANSWERS.get(path, answer(b"no such page", "404 Not Found"))
        if head.startswith(b"HEAD"):
            said = said.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        connection.send(said)
        if path in LAST_ON_ITS_CONNECTION:
            return


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with ScriptedServer(serve) as server:
        yield server.url


Case = Callable[[Any], Any]


def seen(response: Any) -> tuple[Any, ...]:
    """What a script can learn from a response."""

    def of(look: Callable[[], Any]) -> Any:
        try:
            return look()
        except Exception as error:
            return f"raises {_kind(error)}"

    headers = response.headers and sorted((name.lower(), value) for name, value in response.headers.items())
    return (
        response.status_code,
        response.ok,
        of(lambda: response.content),
        of(lambda: response.text),
        of(response.json),
        headers,
        response.url,
        _kind(getattr(response, "error", None)),
    )


def get(path: str, user: Any) -> Any:
    return seen(user.client.get(path))


def echoed(user: Any, path: str = "/echo", method: str = "GET", **arguments: Any) -> Any:
    """What the server says it received, JSON bodies parsed; or what came instead."""
    response = user.client.request(method, path, **arguments)
    try:
        method, target, lines, body = response.json()
    except (TypeError, ValueError):
        return seen(response)
    try:
        body = json.loads(body.encode("latin-1"))
        lines = [line for line in lines if not line.startswith("content-length")]  # ours has no blanks
    except ValueError:
        pass
    return method, target, lines, body


def streamed(path: str, user: Any) -> Any:
    response = user.client.get(path, stream=True)
    return b"".join(response.iter_content(4, decode_content=False))


def lines(path: str, user: Any) -> Any:
    return list(user.client.iter_lines(path))


def posted(path: str, method: str, user: Any) -> Any:
    own = {"X-Own": "1", "Content-Type": "text/x", "Authorization": "Bearer t"}
    return echoed(user, path, method, data=b"payload", headers=own)


def with_cookies(user: Any) -> Any:
    user.client.get("/cookies")
    return echoed(user), echoed(user, "/sub/echo"), sorted(cookie.name for cookie in user.client.cookiejar)


def without_a_cookie(user: Any) -> Any:
    user.client.get("/cookies")
    user.client.get("/forget")
    return echoed(user), echoed(user, headers={"Cookie": "mine=1"})


def at_another_host(user: Any) -> Any:
    user.client.get("/cookies")
    user.client.auth_header = "token"
    return echoed(user, f"{user.host.replace('127.0.0.1', 'localhost')}/echo")


def in_a_block(path: str, act: Callable[[Any], Any], user: Any) -> Any:
    with user.client.get(path, catch_response=True) as response:
        act(response)
    return "passed"


def raising(error: BaseException) -> Callable[[Any], Any]:
    def act(_response: Any) -> Any:
        raise error

    return act


def then(*acts: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda response: [act(response) for act in acts]


def renamed(user: Any) -> Any:
    client = user.client
    with client.rename_request("group"):
        client.get("/json")
        client.get("/missing", name="own")
        client.get("/json", name="")
    client.request_name = "set"
    client.get("/json")
    client.request_name = None
    client.get("/json", name=None)


def nested(user: Any) -> Any:
    with user.client.get("/json", catch_response=True) as outer:
        with user.client.get("/missing", catch_response=True) as inner:
            inner.success()
        outer.failure("outer")


def attributes(user: Any) -> Any:
    response = user.client.post("/echo", data={"a": "b"})
    request, headers = response.request, response.headers
    return [
        *(request.method, request.payload, request.body, request.url == response.url),
        *(request.headers.get("content-type"), request.headers.get("Content-Length")),
        *(response.status, response.data, response.info() == headers, headers.get("nope")),
        *(headers.getlist("content-length"), "content-length" in headers, isinstance(headers, dict)),
    ]


def rest(path: str, user: Any) -> Any:
    parsed = []
    with user.rest("GET", path) as response:
        parsed.append(response.js)
    return parsed  # a block may end by an exception that it keeps to itself


DATA: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "empty text": lambda: "",
    "empty bytes": lambda: b"",
    "empty dict": dict,
    "text": lambda: "ü",
    "bytes": lambda: b"\xff",
    "dict": lambda: {"a": "1 2", "b": "ü&="},
    "dict of lists": lambda: {"a": [1, 2]},
    "dict of anything": lambda: {"a": None, "b": True, "c": 1.5},
}
VERDICTS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda _: None,
    "success": lambda response: response.success(),
    "failure": lambda response: response.failure("why"),
    "failure with an exception": lambda response: response.failure(ValueError("v")),
    "failure with None": lambda response: response.failure(None),
    "failure with a number": lambda response: response.failure(5),
    "failure with a class": lambda response: response.failure(KeyError),
    "success, then failure": then(lambda r: r.success(), lambda r: r.failure("x")),
    "failure, then success": then(lambda r: r.failure("x"), lambda r: r.success()),
    "an error of its own": raising(KeyError("k")),
    "a ResponseError": raising(ResponseError("r")),
    "a CatchResponseError": raising(CatchResponseError("c")),
    "success, then an error": then(lambda r: r.success(), raising(KeyError("k"))),
    "failure, then an error": then(lambda r: r.failure("f"), raising(KeyError("k"))),
    "RescheduleTask": raising(RescheduleTask()),
    "InterruptTaskSet": raising(InterruptTaskSet()),
    "StopUser": raising(StopUser()),
    "failure, then RescheduleTask": then(lambda r: r.failure("f"), raising(RescheduleTask())),
    "raise_for_status": lambda response: response.raise_for_status(),
    "success, then raise_for_status": then(lambda r: r.success(), lambda r: r.raise_for_status()),
    "another name": lambda r: r.request_meta.update(name="other", response_time=5, response_length=7),
    "another type": lambda response: response.request_meta.update(request_type="OTHER"),
    "another exception": lambda response: response.request_meta.update(exception=KeyError("m")),
    "more context": lambda response: response.request_meta["context"].update(k=1),
}
URLS = [
    *(
        "/echo?a=b c",
        "/echo/%zz",
        "/echo/%41%2f",
        "/echo/ü",
        "/echo?ü=ß",
        "/echo#f",
        "/echo?a#f",
        "/echo;p=1",
    ),
    *("/echo?", "/echo??a", "/echo/../echo", "/echo/./x", "/echo//x", "?echo", "", "/echo/a|b", "/echo/[x]"),
    *("/echo/{x}", "/echo/a\\b", '/echo/a"b', "/echo/<x>", "/echo/a^b`c", "/echo?a='b'", "/echo/ trailing "),
    *("/echo?%", "/echo?a=%20+", "/echo/~a", "/echo/a@b", "/echo?a=1;b=2", f"/echo/{'x' * 5000}", "//echo"),
    *("/echo/\tb", "/echo/a\nb", "/echo/a\r\nX: y", "/echo\x00"),
]
PARAMS: dict[str, Any] = {
    "a dict": {"a": 1},
    "pairs": [("a", 1), ("a", 2)],
    "text": "a=1&b=ü",
    "an empty dict": {},
    "lists": {"a": [1, 2]},
    "None and blank": {"a": None, "b": ""},
    "odd characters": {"ü": "ß &=?"},
    "a number": 5,
}
AUTHS: dict[str, Any] = {
    "text": ("a", "b"),
    "bytes": (b"a", b"b"),
    "Latin-1": ("ü", "ß"),
    "beyond Latin-1": ("日", "本"),
    "a list": ["a", "b"],
    "three": ("a", "b", "c"),
    "a colon": ("a:b", "c"),
    "blank": ("", ""),
    "an empty tuple": (),
}
HEADERS: dict[str, Any] = {
    "a list": {"X-A": ["1", "2"]},
    "a tuple": {"X-A": ("1", "2")},
    "a number": {"X-A": 5},
    "None": {"X-A": None},
    "bytes": {"X-A": b"x"},
    "blanks": {"X-A": "  x  "},
    "empty": {"X-A": ""},
    "a tab": {"X-A": "a\tb"},
    "a line break": {"X-A": "a\nb"},
    "a NUL": {"X-A": "a\0b"},
    "Latin-1": {"X-A": "ü"},
    "beyond Latin-1": {"X-A": "日"},
    "a name twice": {"X-A": "1", "X-B": "b", "x-a": "2"},
    "a bad name": {"X A": "x"},
    "no name": {"": "x"},
    "pairs": [("X-A", "1")],
    "accept-encoding": {"accept-encoding": "identity"},
    "ACCEPT-ENCODING": {"ACCEPT-ENCODING": "identity"},
    "a cookie": {"Cookie": "a=1"},
}


def sending(path: str = "/echo", method: str = "GET", **arguments: Any) -> Case:
    """A request with these arguments."""
    return lambda user: echoed(user, path, method, **arguments)


def sending_made(make: Callable[[], Any], method: str = "POST", **arguments: Any) -> Case:
    """A request with data made for it."""
    return lambda user: echoed(user, "/echo", method, data=make(), **arguments)


def heading(path: str, user: Any) -> Any:
    return seen(user.client.head(path))


TYPE = {"content-type": "text/x"}
METHODS = ("GET", "POST", "PUT", "DELETE")
ODD_METHODS = ("get", "Post", "FOO", "TRACE", "", "G T", "G\n", "Ü")
STREAMS = ("/json", "/chunk-extension", "/302", "/missing", "/to-the-end", "/short", "/304", "/nothing")
LINES = ("/json", "/missing", "/json-empty", "/nothing", "/cut-chunk")
REDIRECTS = ("/301", "/302", "/303", "/307", "/308", "/chain")
VALUES: list[Any] = [None, {}, [], 0, False, "x", {"a": [{"b": None}]}, {"ü": "ü"}, float("nan")]
CASES: dict[str, Case] = {
    **{f"GET {path}": partial(get, path) for path in ANSWERS},
    **{f"HEAD {path}": partial(heading, path) for path in ("/json", "/304", "/302")},
    **{f"stream {path}": partial(streamed, path) for path in STREAMS},
    **{f"lines {path}": partial(lines, path) for path in LINES},
    **{f"{m} {path}": partial(posted, path, m) for path in REDIRECTS for m in ("HEAD", *METHODS[1:])},
    **{f"JSON to {path}": sending(path, "POST", json={"a": 1}) for path in REDIRECTS},
    **{f"{m} with data: {name}": sending_made(make, m) for name, make in DATA.items() for m in METHODS},
    **{f"data and JSON: {name}": sending_made(make, json={"j": 1}) for name, make in DATA.items()},
    **{f"data and type: {name}": sending_made(make, headers=TYPE) for name, make in DATA.items()},
    **{f"JSON: {value!r}": sending(method="POST", json=value) for value in VALUES},
    **{f"URL: {url[:20]!r}": sending(url) for url in URLS},
    **{f"params: {name}": sending(params=value) for name, value in PARAMS.items()},
    **{f"params and query: {name}": sending("/echo?x=1", params=value) for name, value in PARAMS.items()},
    **{f"auth: {name}": sending(auth=value) for name, value in AUTHS.items()},
    **{
        f"auth and header: {n}": sending(auth=value, headers={"authorization": "o"})
        for n, value in AUTHS.items()
    },
    **{f"header: {name}": sending(headers=value) for name, value in HEADERS.items()},
    **{f"method: {name!r}": sending(method=name) for name in ODD_METHODS},
    **{
        f"block at {path}: {name}": partial(in_a_block, path, act)
        for path in ("/json", "/missing", "/nothing")
        for name, act in VERDICTS.items()
    },
    **{
        f"rest {path}": partial(rest, path)
        for path in ("/json", "/html", "/missing", "/json-empty", "/status-503")
    },
    "cookies": with_cookies,
    "a cookie forgotten": without_a_cookie,
    "another host": at_another_host,
    "renamed": renamed,
    "blocks in blocks": nested,
    "attributes": attributes,
    "a refused connection": partial(get, "http://127.0.0.1:1/"),
    "a context": lambda user: user.client.get("/json", context={"k": "v"}).status_code,
    "by position": lambda user: user.client.request("GET", "/json", "name", "data").status_code,
}

BETTER = {
    "GET /blanks-around": "RFC 9110, section 5.5: blanks around a value are not part of it",
    "GET /short": "what came of a body that was cut short is no content",
    "GET /cut-chunk": "what came of a body that was cut short is no content",
    "GET /extra": "an answer is whole before what follows it",
    "GET /zstd": "an unknown coding is the script's business, not an error of it",
    "GET /br-cut": "every coding that is broken is one error, in the statistics and not in the script",
    "stream /missing": "the body of an error can be read, too",
    "header: ACCEPT-ENCODING": "the script's own, whatever its case",
    "URL: '//echo'": "it is a path",
}
"""Where ours differs on purpose, and why. See docs/fast-client.md."""

_MALFORMED = ("HTTPParseError", "HTTPConnectionClosed", "ProtocolError", "ConnectionClosedError")


def _kind(error: BaseException | None) -> str | None:
    """The class of an error, by one name where the two classes have one each for it."""
    name = None if error is None else type(error).__name__
    if name in _MALFORMED:
        return "malformed"
    return (
        "redirect" if name in {"RedirectError", "RetriesExceeded", "UnsupportedRedirectSchemeError"} else name
    )


def run(base: type[Any], url: str, case: Case) -> tuple[Any, list[Any]]:
    """What a user of class `base` sees, and the events it causes."""
    environment = Environment()
    events: list[dict[str, Any]] = []
    add_listener: Any = environment.events.request.add_listener
    add_listener(lambda **event: events.append(event))
    kind = type(
        "OddUser", (base,), {"host": url, "abstract": False, "insecure": True, "network_timeout": 60.0}
    )
    user = kind(environment)
    try:
        with gevent.Timeout(100):
            result = case(user)
    except Exception as error:
        result = f"raises {_kind(error)}"
    finally:
        user.client.client.clientpool.close()
        recorder_for(environment).close()
    return result, [_told(event) for event in events]


def _told(event: dict[str, Any]) -> tuple[Any, ...]:
    told_back = event["response"].status_code == 200 and event["response"].url.partition("?")[0].endswith(
        "/echo"
    )
    length = "?" if told_back else event["response_length"]  # which tells how many blanks the JSON had
    return event["request_type"], event["name"], length, _kind(event["exception"]), event["context"]


@pytest.mark.parametrize("name", [name for name in CASES if name not in BETTER])
def test_a_script_sees_the_same(shop: str, name: str) -> None:
    expected = run(LocustFastHttpUser, shop, CASES[name])
    assert _plain(run(FastHttpUser, shop, CASES[name])) == _plain(expected)


@pytest.mark.parametrize("name", BETTER)
def test_what_is_better_differs(shop: str, name: str) -> None:
    assert _plain(run(FastHttpUser, shop, CASES[name])) != _plain(run(LocustFastHttpUser, shop, CASES[name]))


def _plain(result: Any) -> str:
    """As text, in which NaN is NaN."""
    return re.sub(r"bytearray\((.*?)\)", r"\1", repr(result))


def test_there_are_enough_cases() -> None:
    assert len(CASES) > 300
    assert BETTER.keys() <= CASES.keys()


def test_a_body_that_is_read_once_is_sent_again_where_a_redirect_asks_for_it(shop: str) -> None:
    """Locust's class cannot: it sends such a body in chunks, as it is yielded."""
    sent = partial(echoed, path="/307", method="POST")
    for data in (iter([b"a", b"b"]), io.BytesIO(b"ab")):
        result, _ = run(FastHttpUser, shop, partial(sent, data=data))
        assert result[3] == "ab"
