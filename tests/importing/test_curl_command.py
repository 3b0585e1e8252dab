"""`curl` commands as browsers copy them."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.curl_command import read_curl
from loadtest.importing.import_error import ImportingError
from loadtest.importing.session_script import session_script
from tests.importing.played_session import played

CHROME = """curl 'http://127.0.0.1:8080/orders' \\
  -H 'Accept: */*' \\
  -H 'Content-Type: application/json' \\
  -b 'sid=12345' \\
  --data-raw '{"buyer_id":1,"lines":[{"sku":"sku-000001","quantity":1}]}' \\
  --compressed ;
# and then
curl -s http://127.0.0.1:8080/products/sku-000001 -o /dev/null
"""


def test_what_chrome_copies_is_read() -> None:
    order, page = read_curl(CHROME, "commands")
    assert (order.method, order.url) == ("POST", "http://127.0.0.1:8080/orders")
    assert order.json_body == {"buyer_id": 1, "lines": [{"sku": "sku-000001", "quantity": 1}]}
    assert ("Cookie", "sid=12345") in order.headers
    assert (page.method, page.url) == ("GET", "http://127.0.0.1:8080/products/sku-000001")


@pytest.mark.parametrize(
    ("command", "method", "url", "form"),
    [
        ("curl shop.test/a", "GET", "http://shop.test/a", ()),
        ("curl -X DELETE http://shop.test/a", "DELETE", "http://shop.test/a", ()),
        (
            "curl -XPUT http://shop.test/a -d x=1 -d y=2",
            "PUT",
            "http://shop.test/a",
            (("x", "1"), ("y", "2")),
        ),
        ("curl -G http://shop.test/a -d q=shoes", "GET", "http://shop.test/a?q=shoes", ()),
        ("curl -I http://shop.test/a", "HEAD", "http://shop.test/a", ()),
        ("curl http://shop.test/a --data-raw ''", "POST", "http://shop.test/a", ()),
        ("curl -d '' http://shop.test/a -X PUT", "PUT", "http://shop.test/a", ()),
        ("curl -G -d '' http://shop.test/a", "GET", "http://shop.test/a", ()),
        ("curl --data-urlencode 'q=a b' http://shop.test/a", "POST", "http://shop.test/a", (("q", "a b"),)),
    ],
)
def test_options_that_make_a_request_are_heeded(
    command: str, method: str, url: str, form: tuple[tuple[str, str], ...]
) -> None:
    (one,) = read_curl(command, "commands")
    assert (one.method, one.url, one.form) == (method, url, form)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4))
def test_a_body_is_read_as_a_shell_would_pass_it(body: dict[str, str]) -> None:
    import json  # noqa: PLC0415 - beside the option of that name

    (one,) = read_curl(f"curl http://shop.test/ --json {shlex.quote(json.dumps(body))}", "commands")
    assert one.json_body == body


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a curl command"),
        ("wget http://shop.test", 'begin with curl, got "wget"'),
        ("curl", "command 1: expected an address"),
        ("curl 'http://shop.test", "as a shell reads them"),
        ("curl ftp://shop.test", "http:// or https://"),
        ("curl http://shop.test\ncurl --frobnicate x", "command 2: expected options"),
        ("curl http://shop.test -H nothing", 'expected a header as "Name: value"'),
        ("curl http://shop.test -H ' ;'", 'expected a header as "Name: value"'),
        ("curl http://shop.test -H 'X-A;b'", 'expected a header as "Name: value", got "X-A;b"'),
        ("curl http://shop.test -d @body.json", "expected the body itself, got the file @body.json"),
    ],
)
def test_what_is_no_command_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ImportingError, match=said):
        read_curl(text, "commands")


@given(st.text(max_size=30))
def test_what_bash_quotes_with_escapes_is_what_it_stands_for(value: str) -> None:
    units = value.encode("utf-16-be", "surrogatepass")
    escaped = "".join(
        f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2)
    )  # as Chrome does, half a character at a time
    wanted = units.decode("utf-16-be", "replace")
    (one,) = read_curl(f"curl http://shop.test/ -H 'content-type: text/plain' --data-raw $'x{escaped}'", "c")
    assert one.text == f"x{wanted}"


@pytest.mark.parametrize(
    ("quoted", "text"),
    [
        (r"$'it\'s'", "it's"),
        (r"$'a\nb\tc\\d'", "a\nb\tc\\d"),
        (r"$'\x41\101!'", "AA!"),
        ("'costs $' # it's no quote", "costs $"),
        (r'"a \"b\" $"', 'a "b" $'),
        ("'{\\\n}'", "{\\\n}"),
    ],
)
def test_quotes_are_read_as_bash_reads_them(quoted: str, text: str) -> None:
    commands = (
        f"# it's pasted\ncurl http://shop.test/ \\\r\n -H 'content-type: text/plain' --data-raw {quoted}\n"
    )
    (one,) = read_curl(commands, "commands")
    assert one.text == text


@pytest.mark.parametrize("header", ["X-Empty;", "X-Empty; ", "X-Empty:"])
def test_a_header_without_a_value_is_sent_empty(header: str) -> None:
    """Chrome copies it with a semicolon."""
    recorded = read_curl(f"curl 'http://shop.test/' -H '{header}' -H 'X-A: b;'", "commands")
    assert recorded[0].headers == (("X-Empty", ""), ("X-A", "b;"))
    (sent,) = played(session_script(recorded, "Session", "data"), {})
    assert sent.headers == {"X-Empty": "", "X-A": "b;"}


def test_what_chrome_copies_for_windows_is_read() -> None:
    (one,) = read_curl(
        'curl ^"http://shop.test/a?b=1^&c=^%^20x^" ^\r\n  -H ^"content-type: application/json^" ^\r\n'
        '  --data-raw ^"^{^\\^"user^\\^":^\\^"x^\\^"^}^"\r\n',
        "commands",
    )
    assert one.url == "http://shop.test/a?b=1&c=%20x"
    assert one.json_body == {"user": "x"}


def test_a_form_with_a_file_is_sent_in_parts() -> None:
    (one,) = read_curl("curl shop.test/up -F 'photo=@/tmp/cat.png;type=image/png' -F name=Jo --retry 3", "c")
    assert one.method == "POST"
    assert dict(one.headers)["Content-Type"].startswith("multipart/form-data; boundary=")
    assert one.text is not None
    assert 'name="photo"; filename="cat.png"' in one.text
    assert 'name="name"\r\n\r\nJo\r\n' in one.text


@pytest.mark.parametrize(
    "body", ['{"a":1}', "plain text", '["x"]', "<a>b</a>", ">", "2>&1", "|", "&", ";", "\n", "# no comment"]
)
@pytest.mark.parametrize("quote", ["'", '"', "$'"])
def test_a_body_that_is_no_form_is_sent_as_it_is_written(body: str, quote: str) -> None:
    written = body if quote == "'" else body.replace('"', '\\"')
    quoted = f"{quote}{written}{quote[-1]}"
    (one,) = read_curl(f"curl http://127.0.0.1/filter -d {quoted} > out.txt; ", "commands.txt")
    assert (one.text, one.form) == (body, ())
    assert dict(one.headers)["Content-Type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "command",
    [
        "curl -s http://127.0.0.1/a | jq .",
        "curl http://127.0.0.1/a > out.json",
        "curl http://127.0.0.1/a 2>/dev/null || echo no",
        "TOKEN=x time curl http://127.0.0.1/a &",
        "$ curl http://127.0.0.1/a",
        "curl.exe http://127.0.0.1/a",
    ],
)
def test_what_a_shell_does_around_a_command_is_not_asked_for(command: str) -> None:
    assert [one.url for one in read_curl(command, "commands.txt")] == ["http://127.0.0.1/a"]


def test_requests_of_one_command_are_apart_at_next() -> None:
    found = read_curl("curl http://127.0.0.1/a -d 'x=1' --next http://127.0.0.1/b && curl 127.0.0.1/c", "x")
    assert [(one.method, one.url) for one in found] == [
        ("POST", "http://127.0.0.1/a"),
        ("GET", "http://127.0.0.1/b"),
        ("GET", "http://127.0.0.1/c"),
    ]


def test_a_line_of_windows_goes_on_at_a_caret() -> None:
    text = 'curl "http://127.0.0.1/a" ^\r\n  -H "X-A: b^c" ^\r\n  --data-raw "{\\"a\\":1}"\r\n'
    (one,) = read_curl(text, "commands.txt")
    assert (one.method, one.headers[0], one.text) == ("POST", ("X-A", "b^c"), '{"a":1}')
