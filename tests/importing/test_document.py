"""Documents by their address: a login is sent and never shown, and a refusal is one line."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from loadtest.importing.document import document_text, fetched, without_login
from loadtest.importing.import_error import ImportingError


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/moved-to?"):
            self.send_response(302)
            self.send_header("Location", self.path.partition("?")[2])
            body = b""
        elif self.path.startswith("/bytes"):
            self.send_response(200)
            body = b"\xff\xfe"
        elif self.path == "/odd":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            return
        elif self.path == "/login":
            self.send_response(200)
            body = (self.headers["Authorization"] or "none").encode()
        else:
            self.send_response(400)
            body = (
                b'{"status": "error",\n "error": "parse error:\\n unclosed"}'
                if "json" in self.path
                else b"a\nb"
            )
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_login_of_an_address_is_sent_as_basic(host: str) -> None:
    assert document_text(f"http://emma:se%20cret@{host}/login") == "Basic ZW1tYTpzZSBjcmV0"


def test_a_login_does_not_follow_to_where_an_answer_leads(host: str) -> None:
    elsewhere = f"http://{host.replace('127.0.0.1', 'localhost')}/login"
    assert document_text(f"http://emma:secret@{host}/moved-to?{elsewhere}") == "none"


def test_what_is_no_text_is_named_without_the_login(host: str) -> None:
    with pytest.raises(ImportingError) as refused:
        document_text(f"http://emma:secret@{host}/bytes?token=abc")
    assert str(refused.value) == f"http://{host}/bytes: expected UTF-8"


def test_a_refusal_is_one_line_without_the_login(host: str) -> None:
    with pytest.raises(ImportingError) as refused:
        document_text(f"http://emma:secret@{host}/json?token=abc")
    assert str(refused.value) == f"http://{host}/json: answered 400: parse error: unclosed"
    with pytest.raises(ImportingError, match=r"answered 400: a b$"):
        fetched(f"http://{host}/text", "shown")


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("https://emma:pw@api.example.com/openapi.json?key=1", "https://api.example.com/openapi.json"),
        ("http://127.0.0.1:9090", "http://127.0.0.1:9090"),
        ("http://127.0.0.1/a@b", "http://127.0.0.1/a@b"),
        ("docs/api?.yaml", "docs/api?.yaml"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(place: str, shown: str) -> None:
    assert without_login(place) == shown


def test_an_answer_that_is_no_http_is_one_line(host: str) -> None:
    with pytest.raises(ImportingError) as refused:
        document_text(f"http://emma:secret@{host}/odd")
    assert str(refused.value) == f"http://{host}/odd: gave no whole answer of HTTP (BadStatusLine)"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (
            "http://emma:hu/sh@127.0.0.1:1/api",
            "http://***: expected an address as SCHEME://USER:PASSWORD@HOST",
        ),
        (
            "http://emma:hu?sh@127.0.0.1:1/api",
            "http://***: expected an address as SCHEME://USER:PASSWORD@HOST",
        ),
        ("http://[hush", "http://***: expected an address as SCHEME://USER:PASSWORD@HOST"),
        (
            "http://127.0.0.1:65536/api?key=hush",
            "http://127.0.0.1:65536/api: expected an address as SCHEME://",
        ),
        (
            "http://127.0.0.1:1/my api?key=hush",
            "http://127.0.0.1:1/my api: expected an address without spaces",
        ),
        ("ftp://emma:hush@127.0.0.1/api", "ftp://127.0.0.1/api: expected an address with http://"),
    ],
)
def test_an_address_that_cannot_be_asked_is_refused_and_shows_no_secret(place: str, said: str) -> None:
    with pytest.raises(ImportingError) as refused:
        document_text(place)
    assert str(refused.value).startswith(said)
    assert "hu" not in str(refused.value)
