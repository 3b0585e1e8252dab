"""`curl` commands, as browsers copy them, as recorded requests."""

import argparse
import base64
import shlex
from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from loadtest.importing.import_error import ImportingError
from loadtest.importing.recorded import Recorded, body_of

_FORM = "application/x-www-form-urlencoded"


class _Refused(Exception):  # noqa: N818 - never leaves this file
    pass


class _Options(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Refused(message)


def _options() -> _Options:
    """What of curl's options concerns a request; those that do not are read and forgotten."""
    options = _Options(add_help=False, allow_abbrev=False)
    options.add_argument("urls", nargs="*")
    options.add_argument("--url", action="append", default=[])
    options.add_argument("-X", "--request")
    options.add_argument("-H", "--header", action="append", default=[])
    for flags in (("-d", "--data"), ("--data-raw",), ("--data-ascii",), ("--data-binary",), ("--json",)):
        options.add_argument(*flags, action="append", default=[], dest=flags[-1].strip("-").replace("-", "_"))
    options.add_argument("--data-urlencode", action="append", default=[])
    options.add_argument("-G", "--get", action="store_true")
    options.add_argument("-I", "--head", action="store_true")
    for flags in (("-u", "--user"), ("-b", "--cookie"), ("-A", "--user-agent"), ("-e", "--referer")):
        options.add_argument(*flags)
    for flags in (
        ("-o", "--output"),
        ("-m", "--max-time"),
        ("--connect-timeout",),
        ("-x", "--proxy"),
        ("--cacert",),
        ("-w", "--write-out"),
    ):
        options.add_argument(*flags)
    for flags in (
        ("-L", "--location"),
        ("-k", "--insecure"),
        ("-s", "--silent"),
        ("-S", "--show-error"),
        ("-v", "--verbose"),
        ("-i", "--include"),
        ("-f", "--fail"),
        ("--compressed",),
        ("--http1.1",),
        ("--http2",),
    ):
        options.add_argument(*flags, action="store_true")
    return options


def read_curl(text: str, source: str) -> list[Recorded]:
    """The requests of some commands, one after the other. Raises `ImportingError` naming the command."""
    found: list[Recorded] = []
    for number, words in enumerate(_commands(text, source), start=1):
        where = f"{source}: command {number}"
        try:
            given = _options().parse_args(words)
        except _Refused as error:
            raise ImportingError(f"{where}: expected options of curl that send a request: {error}") from error
        urls = [*given.url, *given.urls]
        if not urls:
            raise ImportingError(f"{where}: expected an address")
        found += [_recorded(given, url if "://" in url else f"http://{url}", where) for url in urls]
    if not found:
        raise ImportingError(f"{source}: expected a curl command")
    return found


def _commands(text: str, source: str) -> list[list[str]]:
    """Each command's words without `curl` itself; a line that ends in a backslash goes on."""
    try:
        lexer = shlex.shlex(
            text.replace("\\\r\n", " ").replace("\\\n", " ").replace("$'", "'"),
            posix=True,
            punctuation_chars=";\n",
        )
        lexer.whitespace = " \t\r"
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words = list(lexer)
    except ValueError as error:
        raise ImportingError(f"{source}: expected curl commands as a shell reads them: {error}") from error
    commands: list[list[str]] = [[]]
    for word in words:
        if set(word) <= {";", "\n", "&"}:
            commands.append([])
        else:
            commands[-1].append(word)
    for command in commands:
        if command and command[0].rpartition("/")[2] != "curl":
            raise ImportingError(f'{source}: expected commands that begin with curl, got "{command[0][:40]}"')
    return [command[1:] for command in commands if command]


def _recorded(given: argparse.Namespace, url: str, where: str) -> Recorded:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ImportingError(f'{where}: expected an address with http:// or https://, got "{url[:80]}"')
    headers = []
    for header in given.header:
        name, colon, value = header.partition(":")
        if not colon:
            raise ImportingError(f'{where}: expected a header as "Name: value", got "{header[:60]}"')
        headers.append((name.strip(), value.strip()))
    if given.user:
        headers.append(("Authorization", "Basic " + base64.b64encode(given.user.encode()).decode()))
    if given.cookie:
        headers.append(("Cookie", given.cookie))
    pieces = [
        *given.data,
        *given.data_raw,
        *given.data_ascii,
        *given.data_binary,
        *map(_encoded, given.data_urlencode),
    ]
    files = [piece for piece in (*pieces, *given.json) if piece.startswith("@")]
    if files and not given.data_raw:
        raise ImportingError(f"{where}: expected the body itself, got the file {files[0]}")
    body = "&".join(pieces) or "".join(given.json)
    if given.get and body:
        return Recorded("GET", f"{url}{'&' if parts.query else '?'}{body}", tuple(headers))
    method = given.request or ("HEAD" if given.head else "POST" if body else "GET")
    held: dict[str, Any] = {}
    if body:
        media_type = next((value for name, value in headers if name.lower() == "content-type"), None)
        held = body_of(body, media_type or ("json" if given.json else _FORM))
    return Recorded(method.upper(), url, tuple(headers), **held)


def _encoded(piece: str) -> str:
    name, equals, value = piece.partition("=")
    return urlencode({name: value}) if equals and name else quote(value if equals else piece)
