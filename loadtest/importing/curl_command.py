"""`curl` commands, as browsers copy them, as recorded requests."""

import argparse
import base64
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

from loadtest.importing.import_error import ImportingError
from loadtest.importing.recorded import (
    FORM,
    JSON,
    MULTIPART,
    Recorded,
    address_parts,
    body_of,
    multipart,
    with_content_type,
)

_QUOTED = re.compile(
    r"""(?m:(?:^|(?<=\s))\#[^\n]*)|\$'(?P<ansi>(?:[^'\\]|\\.)*)'|'[^']*'|"(?:[^"\\]|\\.)*"|(?P<goes_on>\\\r?\n)|\\.""",
    re.DOTALL,
)
"""A comment, `$'…'` (bash calls it ANSI-C quoting), other quotes, a line that goes on: whichever begins first."""
_IN_ITS_PLACE = re.compile("\udc00([0-9]+)\udc01")
"""What stands for a quoted piece: halves of characters, which no text has."""
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = dict(zip("abefnrtv", "\a\b\x1b\f\n\r\t\v", strict=True))
_WINDOWS = re.compile(r'\s*curl(?:\.exe)?\s+\^"')
"""How what browsers copy for the command line of Windows begins."""
_WINDOWS_LINE = re.compile(r"(?<![ \t])[ \t]+\^\r?\n[ \t]*")
"""How a line goes on there."""
_BEFORE_CURL = re.compile(r"[$%>]|time|env|sudo|[A-Za-z_]\w*=.*", re.DOTALL)
"""What may stand before `curl`: a prompt, a variable, a command that starts it."""
_AFTER_CURL = re.compile(r"\|\|?&?|(?:\d|&)?>{1,2}.*|<.*", re.DOTALL)
"""What ends a command's own words: a pipe, a file that its output goes to."""


FORGOTTEN_VALUES = (
    ("-o", "--output"),
    ("-m", "--max-time"),
    ("--connect-timeout",),
    ("-x", "--proxy"),
    ("--cacert",),
    ("-w", "--write-out"),
    ("-D", "--dump-header"),
    ("-c", "--cookie-jar"),
    ("-E", "--cert"),
    ("-r", "--range"),
    ("--key",),
    ("--resolve",),
    ("--retry",),
    ("--retry-delay",),
    ("--max-redirs",),
    ("--limit-rate",),
    ("--ciphers",),
    ("--interface",),
    ("--proxy-user",),
)
"""Options with a value that are read and forgotten: they say how curl asks or what it shows, not what it asks for."""
FORGOTTEN_SWITCHES = (
    ("-L", "--location"),
    ("-k", "--insecure"),
    ("-s", "--silent"),
    ("-S", "--show-error"),
    ("-v", "--verbose"),
    ("-i", "--include"),
    ("-f", "--fail"),
    ("--compressed",),
    ("--http1.0", "-0"),
    ("--http1.1",),
    ("--http2",),
    ("--http2-prior-knowledge",),
    ("--http3",),
    ("--tlsv1.2", "-1"),
    ("--tlsv1.3",),
    ("--ssl-no-revoke",),
    ("--path-as-is",),
    ("--fail-with-body",),
    ("--location-trusted",),
    ("--basic",),
    ("--anyauth",),
    ("--tcp-nodelay",),
    ("--no-progress-meter",),
    ("-g", "--globoff"),
    ("-N", "--no-buffer"),
    ("-#", "--progress-bar"),
    ("-q", "--disable"),
    ("-n", "--netrc"),
    ("-j", "--junk-session-cookies"),
    ("-O", "--remote-name"),
    ("-J", "--remote-header-name"),
    ("-4", "--ipv4"),
    ("-6", "--ipv6"),
)
"""The same without a value."""


class _Refused(Exception):  # noqa: N818 - never leaves this file
    pass


class _Options(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Refused(message)


def _options() -> _Options:
    """Those of curl's options that are understood."""
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
    for flags in FORGOTTEN_VALUES:
        options.add_argument(*flags)
    options.add_argument("--oauth2-bearer")
    options.add_argument("-F", "--form", "--form-string", action="append", default=[])
    for flags in FORGOTTEN_SWITCHES:
        options.add_argument(*flags, action="store_true")
    return options


def read_curl(text: str, source: str) -> list[Recorded]:
    """The requests of some commands, one after the other. Raises `ImportingError` naming the command."""
    found: list[Recorded] = []
    options = _options()
    for number, words in enumerate(_commands(text, source), start=1):
        where = f"{source}: command {number}"
        try:
            given = options.parse_args(words)
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
    quoted: list[str] = []
    try:
        lexer = shlex.shlex(
            _QUOTED.sub(lambda found: _put_aside(found, quoted), _from_windows(text)),
            posix=True,
            punctuation_chars=";\n",
        )
        lexer.whitespace = " \t\r"
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words = list(lexer)
    except ValueError as error:
        raise ImportingError(f"{source}: expected curl commands as a shell reads them: {error}") from error
    commands = [
        [_IN_ITS_PLACE.sub(lambda found: quoted[int(found[1])], word) for word in _own_words(command)]
        for command in _separated(words)
    ]
    for command in commands:
        if command and command[0].rpartition("/")[2] not in {"curl", "curl.exe"}:
            raise ImportingError(f'{source}: expected commands that begin with curl, got "{command[0][:40]}"')
    return [one for command in commands if command for one in _each(command[1:])]


def _separated(words: Iterable[str]) -> list[list[str]]:
    commands: list[list[str]] = [[]]
    for word in words:
        if set(word) <= {";", "\n", "&"}:
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def _own_words(command: Sequence[str]) -> list[str]:
    """A command without what stands before `curl`, and without what happens to its output."""
    first = next((at for at, word in enumerate(command) if not _BEFORE_CURL.fullmatch(word)), len(command))
    words = command[first:]
    end = next((at for at, word in enumerate(words) if _AFTER_CURL.fullmatch(word)), len(words))
    return list(words[:end])


def _each(words: list[str]) -> Iterator[list[str]]:
    """The requests of one command, between which `--next` stands."""
    while "--next" in words:
        at = words.index("--next")
        yield words[:at]
        words = words[at + 1 :]
    yield words


def _put_aside(found: re.Match[str], quoted: list[str]) -> str:
    """What stands for a quoted piece, put beside others: it separates nothing, and long ones take `shlex` long.

    Anything else stays as it is.
    """
    if found["goes_on"]:
        return " "
    if found["ansi"] is not None:
        quoted.append(_unescaped(found["ansi"]))
    elif found[0][0] == "'":
        quoted.append(found[0][1:-1])
    elif found[0][0] == '"':
        quoted.append(re.sub(r'\\(["\\])', r"\1", found[0][1:-1]))
    else:
        return found[0]
    return f"\udc00{len(quoted) - 1}\udc01"


def _unescaped(text: str) -> str:
    """What stands in `$'…'`; halves of characters beyond 16 bits are put together again."""

    def one(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] in "xuU" and len(code) > 1:
            number = int(code[1:], 16)
            return chr(number) if number < 0x110000 else "\N{REPLACEMENT CHARACTER}"
        return chr(int(code, 8) & 0xFF) if code.isdigit() else _ESCAPES.get(code, code)

    return _ESCAPE.sub(one, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _from_windows(text: str) -> str:
    """A command line of Windows without its carets; what they protected is quoted as elsewhere."""
    joined = _WINDOWS_LINE.sub(" ", text)
    return re.sub(r"\^(.)", r"\1", joined) if _WINDOWS.match(text) else joined


def _recorded(given: argparse.Namespace, url: str, where: str) -> Recorded:
    parts = address_parts(url, where)
    headers = _headers(given, where)
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
    is_sending = (pieces or given.json or given.form) and not given.get
    method = given.request or ("HEAD" if given.head else "POST" if is_sending else "GET")
    held: dict[str, Any] = {}
    if given.form:
        headers = with_content_type(headers, MULTIPART)
        held = {"text": multipart(_part(one, where) for one in given.form)}
    if body:
        media_type = next((value for name, value in headers if name.lower() == "content-type"), None)
        held = body_of(body, media_type or ("json" if given.json else FORM))
        if "text" in held and media_type is None:
            headers.append(("Content-Type", JSON if given.json else FORM))  # which curl adds
    return Recorded(method.upper(), url, tuple(headers), **held)


def _headers(given: argparse.Namespace, where: str) -> list[tuple[str, str]]:
    headers = [_header(header, where) for header in given.header]
    if given.user:
        headers.append(("Authorization", "Basic " + base64.b64encode(given.user.encode()).decode()))
    if given.oauth2_bearer:
        headers.append(("Authorization", f"Bearer {given.oauth2_bearer}"))
    if given.cookie:
        headers.append(("Cookie", given.cookie))
    return headers


def _header(written: str, where: str) -> tuple[str, str]:
    """Name and value of a `-H`; `Name;` sends an empty value, where `Name:` would take curl's own header away."""
    name, colon, value = written.partition(":")
    if not colon:
        name, is_empty, value = written.rstrip().partition(";")
        if value or not is_empty or not name.strip():
            raise ImportingError(f'{where}: expected a header as "Name: value", got "{written[:60]}"')
    return name.strip(), value.strip()


def _part(written: str, where: str) -> tuple[str, str, str]:
    """Name, value and file name of a `-F`; a file's content is made up."""
    name, equals, value = written.partition("=")
    if not equals:
        raise ImportingError(f'{where}: expected -F as "name=value", got "{written[:60]}"')
    if value[:1] in {"@", "<"}:
        return name, "made up", value[1:].partition(";")[0].strip('"').rpartition("/")[2]
    return name, value.partition(";type=")[0].strip('"'), ""


def _encoded(piece: str) -> str:
    name, equals, value = piece.partition("=")
    return urlencode({name: value}) if equals and name else quote(value if equals else piece)
