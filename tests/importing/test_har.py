"""A browser's session becomes a script that runs unchanged; what answers said first is taken from new ones."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.correlation import correlated
from loadtest.importing.curl_command import read_curl
from loadtest.importing.har import read_har
from loadtest.importing.import_error import ImportingError
from loadtest.importing.postman import read_postman
from loadtest.importing.recorded import FORM, MULTIPART, Recorded, body_of, multipart, of_one_host
from loadtest.importing.session_script import session_script
from tests.importing.played_session import played

RECORDED = Path(__file__).parent / "recorded" / "shop.har"
"""A session of Chromium at the sample shop: a product, an order, its state, its payment."""
HOST = "http://shop.test"


def har_of(*requests: tuple[str, str, dict[str, Any], Any]) -> bytes:
    entries = [
        {
            "startedDateTime": f"2026-11-11T00:00:{second:02d}.000Z",
            "request": {"method": method, "url": url, "headers": [], **rest},
            "response": {
                "status": 200,
                "content": {"mimeType": "application/json", "text": json.dumps(answer)},
            },
        }
        for second, (method, url, rest, answer) in enumerate(requests)
    ]
    return json.dumps({"log": {"entries": entries}}).encode()


def test_a_recorded_session_sends_what_was_recorded_with_what_it_is_told_anew() -> None:
    session, _ = read_har(RECORDED.read_bytes(), "shop.har")
    answers = {
        "GET /products/sku-000017": {"sku": "sku-000017", "price_cents": 500},
        "POST /orders": {"order_id": "0000000000000abc", "total_cents": 500},
        "GET /orders/0000000000000abc": {"order_id": "0000000000000abc"},
        "POST /orders/0000000000000abc/payment": {},
    }
    sent = played(session_script(session, "Session", "data"), answers)
    assert [request.asked for request in sent] == list(answers)
    assert sent[1].json == {"buyer_id": 4711, "lines": [{"sku": "sku-000017", "quantity": 1}]}
    assert sent[3].json == {"amount_cents": 500}
    assert [request.name for request in sent] == [
        "/products/[sku]",
        None,
        "/orders/[order_id]",
        "/orders/[order_id]/payment",
    ]
    assert (
        len({request.headers["Idempotency-Key"] for request in sent if "Idempotency-Key" in request.headers})
        == 2
    )


def test_a_login_is_taken_from_the_answer_and_never_copied() -> None:
    said_once = "eyJhbGciOi.J9xYz123456"
    session, _ = read_har(
        har_of(
            (
                "POST",
                f"{HOST}/login",
                {
                    "postData": {
                        "mimeType": "application/json",
                        "text": '{"email": "jane@shop.test", "password": "hunter2"}',
                    }
                },
                {"token": said_once},
            ),
            (
                "GET",
                f"{HOST}/account",
                {
                    "headers": [
                        {"name": "Authorization", "value": f"Bearer {said_once}"},
                        {"name": "Cookie", "value": "sid=12345"},
                    ]
                },
                {},
            ),
        ),
        "x.har",
    )
    script = session_script(session, "Session", "data")
    everything = repr(script)
    for private in (said_once, "jane@shop.test", "hunter2", "sid=12345"):
        assert private not in everything
    sent = played(script, {"POST /login": {"token": "new-token"}, "GET /account": {}})
    assert sent[0].json == {"email": "made-up-000001@example.com", "password": "made-up-000001"}
    assert sent[1].headers == {"Authorization": "Bearer new-token"}
    assert any("cookies left out" in note for note in script.notes)


def test_a_login_that_no_answer_said_is_a_feeders() -> None:
    session = [Recorded("GET", f"{HOST}/account?api_key=abc", (("Authorization", "Basic amFuZTpodW50ZXIy"),))]
    script = session_script(session, "Session", "data")
    assert "amFuZTpodW50ZXIy" not in repr(script)
    (request,) = played(script, {"GET /account?api_key=made-up-000001": {}})
    assert request.headers == {"Authorization": "made-up-000001"}


def test_pauses_are_told_and_assets_and_other_hosts_left_out() -> None:
    session, _ = read_har(
        har_of(
            ("GET", f"{HOST}/", {}, {}),
            ("GET", f"{HOST}/app.js", {}, {}),
            ("GET", "https://ads.test/track", {}, {}),
            ("GET", f"{HOST}/next", {}, {}),
        ),
        "x.har",
    )
    kept, host, notes = of_one_host(session, "x.har", assets=False)
    assert (host, [one.url for one in kept]) == (HOST, [f"{HOST}/", f"{HOST}/next"])
    assert notes == [
        "1 picture, style or script left out; --assets keeps them",
        "1 request to other hosts left out: https://ads.test",
    ]
    assert "# 3.0 s later" in session_script(kept, "Session", "data").text


def test_what_a_browser_asks_of_its_own_accord_is_left_out_and_said() -> None:
    """A script sends no preflight, and a service that answers none would be held against it; an API's own stays."""
    asking = {"headers": [{"name": "Access-Control-Request-Method", "value": "POST"}]}
    session, notes = read_har(
        har_of(
            ("options", f"{HOST}/orders", asking, {}),
            ("POST", f"{HOST}/orders", {}, {}),
            ("OPTIONS", f"{HOST}/capabilities", {}, {}),
        ),
        "x.har",
    )
    assert [one.method for one in session] == ["POST", "OPTIONS"]
    assert notes == ["1 request left out by which the browser asked whether it may send another (OPTIONS)"]


def test_what_a_browser_writes_as_null_is_not_there() -> None:
    """Safari has nulls where other browsers leave a field out."""
    null = {
        "headers": None,
        "postData": {"mimeType": "application/json", "text": '{"a": null}', "params": None},
    }
    entry = json.loads(har_of(("POST", f"{HOST}/orders", null, {})))
    entry["log"]["entries"][0]["response"] = {"status": 201, "content": {"mimeType": None, "text": None}}
    ((request,), _) = read_har(json.dumps(entry).encode(), "x.har")
    assert (request.json_body, request.status, request.answer) == ({"a": None}, 201, None)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=8).filter(lambda key: key not in {"pin", "sig", "card"}), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(
    json_values,
    st.text(st.characters(exclude_characters="?#/ \t\r\n[]\\", exclude_categories=["Cs", "Cc"]), max_size=12),
)
def test_whatever_was_recorded_is_sent_and_nothing_of_it_becomes_code(body: Any, word: str) -> None:
    session = [Recorded("POST", f"{HOST}/a/{word}", json_body=body)]
    script = session_script(session, "Session", "data")
    (request,) = played(script, {})
    if "secret" not in script.text:
        assert request.json == body
        assert request.asked == f"POST /a/{word}"


def test_equal_by_chance_is_not_taken_for_said_before() -> None:
    session = [
        Recorded("GET", f"{HOST}/a", answer={"page": 2, "state": "new", "known": "sku-000017"}),
        Recorded("GET", f"{HOST}/list?page=2&state=new"),
    ]
    assert correlated(session) == {}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "expected a HAR file"),
        (b"[]", "expected a HAR file"),
        (b'{"log": {}}', "entries"),
        (b'{"log": {"entries": [{"request": {"method": 3}}]}}', r"entries\[0\]\.request\.method"),
        (b"\xff\xfe{", "expected a HAR file"),
        (b'{"log": ' + b"[" * 100_000, "expected a HAR file"),
    ],
)
def test_what_is_no_har_is_refused_in_a_sentence(data: bytes, said: str) -> None:
    with pytest.raises(ImportingError, match=said):
        read_har(data, "x.har")


def test_a_har_without_requests_is_refused() -> None:
    with pytest.raises(ImportingError, match="at least one request"):
        of_one_host(read_har(har_of(("GET", "data:text/plain,x", {}, {})), "x.har")[0], "x.har", assets=False)


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (
            "multipart/form-data; boundary=aB3dE6gH9jK2boundary",
            multipart([("language", "kept as is", ""), ("password", "hunter2", "")]).replace(
                "made-up-", "aB3dE6gH9jK2"
            ),
        ),
        ("text/xml", '<login note="kept as is"><user>x</user><password>hunter2</password></login>'),
        ("text/plain", 'note: "kept as is", password: "hunter2"'),
        ("text/plain", "note kept as is\npassword=hunter2"),
        ("application/json", '{"note": "kept as is", "password": "hunter2",}'),
    ],
)
def test_a_secret_in_any_kind_of_body_is_held_back_and_the_rest_is_kept(media_type: str, body: str) -> None:
    one = Recorded(
        "POST", "http://shop.test/login", (("Content-Type", media_type),), **body_of(body, media_type)
    )
    script = session_script([one], "Session", "data")
    assert "hunter2" not in script.text
    assert "kept as is" in script.text
    assert "secret['password']" in script.text
    compile(script.text, "script", "exec")


def test_requests_without_an_instant_keep_their_place_and_sockets_are_told() -> None:
    urls = ["http://shop.test/a", "wss://shop.test/live", "http://shop.test/b", "http://shop.test/c"]
    instants = ["2026-11-10T23:50:00.000Z", "2026-11-10T23:50:00.500Z", "rubbish", "2026-11-10T23:50:02.000Z"]
    entries = [
        {"startedDateTime": at, "request": {"method": "GET", "url": url}}
        for at, url in zip(instants, urls, strict=True)
    ]
    session, notes = read_har(json.dumps({"log": {"entries": entries}}).encode(), "x.har")
    assert [(one.url[-1], one.at_s) for one in session] == [("a", 0.0), ("b", 0.0), ("c", 2.0)]
    assert notes == ["1 WebSocket left out"]


def test_a_token_that_an_answer_told_is_sent_back_in_a_header_and_in_a_part_of_a_form() -> None:
    told = "Zx81kkQpW0aa77bX"
    text = multipart([("csrf", told, ""), ("file", "made up", "a.txt")])
    session = [
        Recorded("POST", "http://shop.test/login", answer={"csrfToken": told}),
        Recorded("POST", "http://shop.test/cart", (("X-CSRF-Token", told),), json_body={"sku": "a"}),
        Recorded("POST", "http://shop.test/up", (("Content-Type", MULTIPART),), text=text),
    ]
    script = session_script(session, "Session", "data")
    assert told not in script.text
    assert "'X-CSRF-Token': csrftoken" in script.text
    assert "{csrftoken}" in script.text
    assert script.files == ()
    compile(script.text, "script", "exec")


def test_a_form_with_a_file_is_sent_in_parts_and_said() -> None:
    params = [
        {"name": "title", "value": "t"},
        {"name": "image", "fileName": "a.png", "contentType": "image/png"},
    ]
    sent = {"postData": {"mimeType": "multipart/form-data; boundary=xx", "params": params}}
    session, notes = read_har(har_of(("POST", f"{HOST}/images?x=1", sent, {})), "shop.har")
    assert notes == ["the files of POST /images are made up"]
    assert 'name="image"; filename="a.png"' in (session[0].text or "")
    assert dict(session[0].headers)["Content-Type"].startswith("multipart/form-data; boundary=")


TWICE = [
    ("user[password]", "hun&ter2 ü"),
    ("contraseña", "hunter2"),
    ("user", "Bob Hunter2"),
    ("remember", "0"),
]
FORM_BYTES = urlencode([*TWICE, ("remember", "1")])
FORM_PARAMS = [{"name": name, "value": value} for name, value in parse_qsl(FORM_BYTES)]


@pytest.mark.parametrize(
    "session",
    [
        read_har(har_of(("POST", f"{HOST}/login", {"postData": {"mimeType": FORM, **body}}, {})), "x.har")[0]
        for body in ({"text": FORM_BYTES}, {"text": f"&{FORM_BYTES}&&"}, {"params": FORM_PARAMS})
    ]
    + [
        read_curl(f"curl {HOST}/login -d '{FORM_BYTES}&'", "commands"),
        read_postman(
            json.dumps(
                {
                    "item": [
                        {
                            "request": {
                                "method": "POST",
                                "url": f"{HOST}/login",
                                "body": {
                                    "mode": "urlencoded",
                                    "urlencoded": [{"key": one["name"], **one} for one in FORM_PARAMS],
                                },
                            }
                        }
                    ]
                }
            ).encode(),
            "x.json",
        )[0],
    ],
)
def test_a_form_that_has_a_name_twice_is_held_back_as_any_other(session: list[Recorded]) -> None:
    script = session_script(session, "Session", "data")
    assert "unter2" not in repr(script)
    (sent,) = played(script, {})
    made_up = "made-up-000001"
    held = [("user[password]", made_up), ("contraseña", made_up), ("user", made_up)]
    assert parse_qsl(sent.data) == [*held, ("remember", "0"), ("remember", "1")]
    assert sent.headers == {"Content-Type": FORM}


@pytest.mark.parametrize("body", ["size=s&", "&&size=s", "size=s"])
def test_a_form_is_one_whatever_ampersands_it_has(body: str) -> None:
    one = Recorded("POST", f"{HOST}/filter", **body_of(body, FORM))
    assert played(session_script([one], "Session", "data"), {})[0].data == {"size": "s"}


def test_a_file_that_is_no_json_is_named_in_plain_words() -> None:
    with pytest.raises(ImportingError, match=r"shop.har: expected a HAR file: JSON is malformed"):
        read_har(b"203.0.113.7 - - [x]", "shop.har")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"operationName": "Cart", "query": "query Cart { id }"}, "name='/graphql Cart'"),
        ({"query": "mutation Pay($n: Int!) { pay(n: $n) }", "variables": {"n": 1}}, "name='/graphql Pay'"),
        ({"query": "{ cart }"}, ""),
        ({"query": "red shoes"}, ""),
        ({"operationName": "x'y", "query": "query Q { a }"}, "name='/graphql Q'"),
    ],
)
def test_operations_of_graphql_are_measured_by_their_names(body: dict[str, Any], name: str) -> None:
    one = Recorded("POST", f"{HOST}/graphql", json_body=body)
    text = session_script([one], "Session", "data").text
    assert name in text
    assert bool(name) == ("name=" in text)


PART = "Content-Disposition: form-data; name"


@pytest.mark.parametrize(
    "body",
    [
        f"--x\r\n{PART}=password\r\n\r\nhunter2\r\n--x--\r\n",
        f'--x\n{PART}="meta"\n\n{{"language": "as is", "user": "hunter2", "password": "hunter2"}}\n--x--\n',
        f'--x\r\n{PART}="password"\r\n\r\nhunt\r\n--hunter2\r\n--x--\r\n',
        f'--x\r\n{PART}="user"\r\n\r\nhunter2\r\n--x\r\n{PART}="password"\r\n\r\nabc\r\n--x--\r\n',
        f'--x\r\nContent-Type: text/plain\r\n{PART}="pin"\r\n\r\nhunter2',
        f'Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n{PART}="pin"\r\n\r\nhunter2\r\n--x--\r\n',
        "user=hunter2&password=a",
        "user%5Bpassword%5D=hunter2&&",
    ],
)
def test_a_secret_in_any_part_of_a_form_that_is_text_is_held_back(body: str) -> None:
    one = Recorded("POST", f"{HOST}/a", (("Content-Type", "x/y"),), text=body)
    script = session_script([one], "Session", "data")
    (sent,) = played(script, {})
    assert "hunter2" not in repr(script)
    assert "made-up-000001" in sent.data
    assert ("as is" in body) == ("as is" in sent.data)


def test_a_file_beside_a_password_is_kept() -> None:
    text = multipart([("photo", "made up", "a.png"), ("password", "hunter2", "")])
    (sent,) = played(session_script([Recorded("POST", f"{HOST}/a", text=text)], "Session", "data"), {})
    assert sent.data == text.replace("hunter2", "made-up-000001")
