"""Bodies and answers however deep and whatever numbers they have: sent as they were, by a script that runs."""

import json
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.correlation import correlated
from loadtest.importing.curl_command import read_curl
from loadtest.importing.har import read_har
from loadtest.importing.postman import read_postman
from loadtest.importing.recorded import JSON, Recorded, body_of, named_values
from loadtest.importing.session_script import session_script
from tests.importing.played_session import Sent, played
from tests.importing.test_har import har_of

HOST = "http://shop.test"


def nested(levels: int, inner: str = "1") -> str:
    return '{"a": [' * (levels // 2) + "[" * (levels % 2) + inner + "]" * (levels % 2) + "]}" * (levels // 2)


def sent_by_script(recorded: list[Recorded]) -> Sent:
    (sent,) = played(session_script(recorded, "Session", "data"), {})
    return sent


def by_har(body: str) -> list[Recorded]:
    sent = {
        "postData": {"mimeType": JSON, "text": body},
        "headers": [{"name": "Content-Type", "value": JSON}],
    }
    return read_har(har_of(("POST", f"{HOST}/a", sent, {})), "x.har")[0]


def by_curl(body: str) -> list[Recorded]:
    return read_curl(f"curl {HOST}/a --json '{body}'", "x.txt")


def by_postman(body: str) -> list[Recorded]:
    raw = {"mode": "raw", "raw": body, "options": {"raw": {"language": "json"}}}
    item = {"request": {"method": "POST", "url": f"{HOST}/a", "body": raw}}
    return read_postman(json.dumps({"item": [item]}).encode(), "x.json")[0]


DOORS = pytest.mark.parametrize("door", [by_har, by_curl, by_postman])


@DOORS
@pytest.mark.parametrize("body", [nested(1), nested(50), nested(99)], ids=len)
def test_a_nested_body_is_json(door: Callable[[str], list[Recorded]], body: str) -> None:
    assert sent_by_script(door(body)).json == json.loads(body)


@DOORS
@pytest.mark.parametrize(
    "body",
    [nested(102), nested(400), nested(20_000), '{"a": 1e999}', "[-1e999]", '{"a": [NaN]}', "[Infinity]"],
    ids=lambda body: body[:12] + str(len(body)),
)
def test_a_body_that_python_cannot_write_is_sent_as_the_text_it_was(
    door: Callable[[str], list[Recorded]], body: str
) -> None:
    sent = sent_by_script(door(body))
    assert (sent.json, sent.data) == (None, body)
    assert sent.headers == {"Content-Type": JSON}


@given(st.integers(0, 130), st.sampled_from(["1", "1e308", "1e309", "NaN", '"x"', "-0.0"]))
def test_any_body_is_sent_as_json_or_as_its_text(levels: int, inner: str) -> None:
    body = nested(levels, inner)
    sent = sent_by_script([Recorded("POST", f"{HOST}/a", **body_of(body, JSON))])
    is_text = levels > 100 or inner in {"1e309", "NaN"}
    assert (sent.json, sent.data) == ((None, body) if is_text else (json.loads(body), None))


@pytest.mark.parametrize("text", ["[" * 3000, nested(3000), nested(200)], ids=len)
def test_an_answer_nested_too_deeply_says_nothing(text: str) -> None:
    har = json.loads(har_of(("GET", f"{HOST}/a", {}, {})))
    har["log"]["entries"][0]["response"]["content"]["text"] = text
    (one,), _ = read_har(json.dumps(har).encode(), "x.har")
    assert one.answer is None


def test_an_answer_with_a_number_that_is_none_still_says_the_rest() -> None:
    answer = {"order_id": "sku-000017-a", "rate": float("nan")}
    session, _ = read_har(
        har_of(("GET", f"{HOST}/a", {}, answer), ("GET", f"{HOST}/orders/sku-000017-a", {}, {})), "x.har"
    )
    assert [taken.variable for taken in correlated(session).values()] == ["order_id"]


def test_a_form_within_parts_of_forms_ends_somewhere() -> None:
    parts = [f"--b{number:06d}\r\nContent-Disposition: form-data; name=a\r\n\r\n" for number in range(2000)]
    named = list(named_values("".join(parts)))
    assert 5 <= len(named) < 10_000


NAMED = re.compile(
    r"""<([\w:.-]+)(?:\s[^<>]*)?>([^<]+)</"""
    r"""|([\w.-]{1,64})\\?["']?\s*[=:]\s*\\?"([^"\\]+)"""
    r"""|([\w.-]{1,64})["']?\s*[=:]\s*'([^']+)'"""
    r"""|([\w.-]{1,64})["']?\s*[=:]\s*([^\s"'&,;<>{}()\[\]\\]+)"""
)
"""What has a name, looked for from each character on."""
piece = st.sampled_from(
    ["a", "b-1", ".", "=", ":", " ", "\n", '"', "'", "\\", "<", ">", "</", "&", ",", "{", "pin"]
)


@given(st.lists(piece, max_size=20).map("".join))
def test_names_are_found_where_they_begin(text: str) -> None:
    text = f"- {text}"  # no form
    wanted = [[group for group in found.groups() if group is not None] for found in NAMED.finditer(text)]
    assert [[one.name, one.value] for one in named_values(text)] == wanted


def script_of_text(text: str) -> None:
    session_script([Recorded("POST", f"{HOST}/a", text=text)], "Session", "data")


def commands_of(text: str) -> None:
    read_curl(f"curl {HOST}/a --data-raw '{text}'", "x.txt")


def collection_of(text: str) -> None:
    test = {"listen": "test", "script": {"exec": [text]}}
    item = {"event": [test], "request": {"method": "POST", "url": f"{HOST}/{{{{{text}"}}
    read_postman(json.dumps({"item": [item]}).encode(), "x.json")


@pytest.mark.parametrize("read", [script_of_text, commands_of, collection_of])
@pytest.mark.parametrize("part", ["a", "a-1.", " ", "\n", "\t", "$", "a: ", "<a ", "{{ "])
def test_a_long_text_is_looked_through_once(read: Callable[[str], None], part: str) -> None:
    """By the square of its length it takes minutes."""
    begun_s = time.process_time()
    read(part * (200_000 // len(part)))
    assert time.process_time() - begun_s < 10
