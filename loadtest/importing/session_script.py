"""A recorded session as a Locust script: one arrival is the session, its requests in their order.

What a request sent that an earlier answer had said first is taken from the new answer (`correlation`). Secrets are
columns of a feeder with a made-up row. Whatever was recorded is written as Python literals, so that nothing of it
becomes code.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from loadtest.importing.correlation import Taken, correlated, leaves
from loadtest.importing.keys import made_up
from loadtest.importing.path_tree import is_data, parameter_names
from loadtest.importing.recorded import FORM, Recorded, is_multipart, named_values
from loadtest.importing.script_text import FeederFile, call_text, for_f_string, method_text
from loadtest.importing.secrets import (
    is_login_path,
    is_password_name,
    is_personal_beside_a_password,
    is_secret_name,
    is_secret_value,
)

KEPT_HEADERS = {"content-type", "x-requested-with"}
_PAUSE_TOLD_S = 0.5
_GRAPHQL_NAME = re.compile(r"[A-Za-z_]\w{0,60}", re.ASCII)
_GRAPHQL_OPERATION = re.compile(r"\s*(?:query|mutation|subscription)\s+([A-Za-z_]\w{0,60})", re.ASCII)
_MOST_REQUESTS = 500


class SessionScript(NamedTuple):
    """The class's text, and what goes with it."""

    text: str
    constants: tuple[str, ...]
    imports: tuple[str, ...]
    files: tuple[FeederFile, ...]
    notes: tuple[str, ...]


class _Pieces(NamedTuple):
    """Text of an f-string: literal pieces and names in turn."""

    parts: tuple[tuple[bool, str], ...]
    """(whether it is an expression, text)."""

    def python(self) -> str:
        """A literal, an f-string only if it needs to be one."""
        if not any(is_name for is_name, _ in self.parts):
            return repr("".join(text for _, text in self.parts)) if self.parts else "''"
        inner = "".join(f"{{{text}}}" if is_name else for_f_string(text) for is_name, text in self.parts)
        return f'f"{inner}"'


class _Writer:
    """Writes one session; knows which values are taken from answers, and collects secrets."""

    def __init__(self, session: Sequence[Recorded]) -> None:
        self.session = session
        self.taken = correlated(session)
        self.logins = {number for number, one in enumerate(session) if _is_login(one)}
        self.secrets: dict[str, str] = {}
        """Columns of the feeder, by their secret's name."""
        self.imports: set[str] = set()
        self.notes: dict[str, None] = {}

    def secret(self, name: str) -> str:
        """The expression that reads a secret from the feeder's row."""
        column = (
            "".join(c if c.isalnum() and c.isascii() else "_" for c in name.lower()).strip("_") or "secret"
        )
        if column not in self.secrets:
            self.secrets[column] = name
            self.notes[f"{name} was not copied, since it looks like a secret: made up instead"] = None
        return f"secret['{column}']"

    def known(self, value: str, request: int) -> str | None:
        """The variable that has a value by the time of a request."""
        found = self.taken.get(value)
        return found.variable if found is not None and found.request < request else None

    def value(self, value: Any, name: str, request: int) -> str:
        """A JSON value as a Python expression."""
        if isinstance(value, dict):
            inner = (f"{key!r}: {self.value(one, key, request)}" for key, one in value.items())
            return "{" + ", ".join(inner) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(self.value(one, name, request) for one in value) + "]"
        if isinstance(value, str | int) and not isinstance(value, bool):
            is_field = isinstance(value, str)
            return self.instead_of(str(value), name, request, is_field=is_field) or repr(value)
        return repr(value)

    def instead_of(self, value: str, name: str, request: int, *, is_field: bool) -> str | None:
        """The expression in the place of a value that is told by an answer, or a secret; None for any other."""
        if known := self.known(value, request):
            return known
        if value and (is_secret_name(name) or is_secret_value(value)):
            return self.secret(name or "secret")
        if value and is_field and request in self.logins and is_personal_beside_a_password(name):
            return self.secret(name or "login")
        return None

    def form(self, form: Sequence[tuple[str, str]], request: int) -> str:
        """A form as a dict, which the client encodes; where a name comes twice, as text that is encoded here."""
        pairs = [(name, self.value(value, name, request)) for name, value in form]
        if not _has_a_name_twice(form):
            return "{" + ", ".join(f"{name!r}: {value}" for name, value in pairs) + "}"
        self.imports.add("from urllib.parse import urlencode")
        return "urlencode([" + ", ".join(f"({name!r}, {value})" for name, value in pairs) + "])"

    def text(self, text: str, request: int) -> str:
        """A body that is neither JSON nor a form, without the secrets that stand in it under their names."""
        pieces: list[tuple[bool, str]] = []
        end = 0
        for one in named_values(text):
            if one.begin < end:
                continue  # within what is held back already
            if instead := self.instead_of(one.value, one.name, request, is_field=one.is_field):
                pieces += [(False, text[end : one.begin]), (True, instead)]
                end = one.end
        pieces.append((False, text[end:]))
        left = "".join(piece for is_name, piece in pieces if not is_name)
        if not is_multipart(text) and is_secret_value(left):
            return self.secret("body")
        return _Pieces(tuple(piece for piece in pieces if piece[1])).python()

    def url(self, url: str, request: int) -> tuple[_Pieces, str]:
        """What is asked for, and the name it is measured by."""
        parts = urlsplit(url)
        pieces: list[tuple[bool, str]] = []
        segments = (parts.path or "/").removeprefix("/").split("/")
        is_key = [self.known(unquote(one), request) is not None or is_data(unquote(one)) for one in segments]
        template = "/" + "/".join("{}" if key else one for key, one in zip(is_key, segments, strict=True))
        values = [[one] for key, one in zip(is_key, segments, strict=True) if key]
        names = iter(parameter_names(template, values))
        called = []
        for segment, key in zip(segments, is_key, strict=True):
            pieces.append((False, "/"))
            name = next(names) if key else ""
            known = self.known(unquote(segment), request)
            if known:
                pieces.append((True, known))
                name = known
            elif is_secret_value(unquote(segment)):
                pieces.append((True, self.secret(name or "path")))
            else:
                pieces.append((False, segment))
            called.append(f"[{name}]" if name else segment)
        pieces += self.query(parts.query, request)
        return _Pieces(tuple(pieces)), "/" + "/".join(called)

    def query(self, query: str, request: int) -> list[tuple[bool, str]]:
        pieces: list[tuple[bool, str]] = []
        logins = self.session[request].logins
        for number, (name, value) in enumerate(parse_qsl(query, keep_blank_values=True)):
            shown = made_up("", 1) if is_secret_value(name) else name
            pieces.append((False, ("&" if number else "?") + _quoted(shown) + "="))
            known = self.known(value, request)
            if known:
                pieces.append((True, known))
            elif value and (name in logins or is_secret_name(name) or is_secret_value(value)):
                pieces.append((True, self.secret(shown)))
            else:
                pieces.append((False, _quoted(value)))
        return pieces

    def headers(self, one: Recorded, request: int) -> dict[str, str]:
        """Headers that are sent again, as expressions."""
        found: dict[str, str] = {}
        for name, value in one.headers:
            low = name.lower()
            if low == "cookie":
                self.notes["cookies left out: the client keeps those that the service sets"] = None
            elif low == "idempotency-key":
                self.imports.add("import uuid")
                found[name] = "str(uuid.uuid4())"
            elif low == "authorization":
                scheme, space, last = value.rpartition(" ")
                known = self.known(last, request)
                told = _Pieces(((False, scheme + space), (True, known or ""))).python()
                found[name] = told if known else self.secret(name)
            elif name in one.logins:
                found[name] = self.known(value, request) or self.secret(name)
            elif low in {"x-forwarded-for", "x-real-ip", "forwarded"} or low.startswith(("sec-", "proxy-")):
                continue
            elif low.startswith("x-") and (known := self.known(value, request)):
                found[name] = known
            elif is_secret_name(name) or (low.startswith("x-") and is_secret_value(value)):
                found[name] = self.secret(name)
            elif (low in KEPT_HEADERS or low.startswith("x-")) and not (
                low == "content-type" and one.text is None
            ):
                found[name] = repr(value)
        return found

    def request(self, number: int) -> list[str]:
        """The lines that send one request and take what later ones need."""
        one = self.session[number]
        pieces, called = self.url(one.url, number)
        if operation := _graphql_operation(one):
            called = f"{called} {operation}"
        arguments = [pieces.python()]
        if one.json_body is not None:
            arguments.append(f"json={self.value(one.json_body, '', number)}")
        elif one.form:
            arguments.append(f"data={self.form(one.form, number)}")
        elif one.text is not None:
            arguments.append(f"data={self.text(one.text, number)}")
        headers = self.headers(one, number)
        if _has_a_name_twice(one.form):  # which is sent as text
            headers["Content-Type"] = repr(FORM)
        if headers:
            arguments.append(
                "headers={" + ", ".join(f"{name!r}: {value}" for name, value in headers.items()) + "}"
            )
        if pieces.python() != repr(called):
            arguments.append(f"name={called!r}")
        call = call_text(one.method, arguments)
        taken = [found for found in self.taken.values() if found.request == number]
        if not taken:
            return [call]
        lines = [
            f"answer = {call}",
            "if not answer.ok:",
            "    return  # what follows needs what it says",
            "said = answer.json()",
        ]
        return [*lines, *(f"{found.variable} = said{_place(found)}" for found in taken)]


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _has_a_name_twice(form: Sequence[tuple[str, str]]) -> bool:
    return len(dict(form)) < len(form)


def _graphql_operation(one: Recorded) -> str:
    """What a request in GraphQL asks for, by its name: all of them are POSTs to one path."""
    body = one.json_body
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        return ""
    named = body.get("operationName")
    if isinstance(named, str) and _GRAPHQL_NAME.fullmatch(named):
        return named
    found = _GRAPHQL_OPERATION.match(body["query"])
    return found[1] if found else ""


def _is_login(one: Recorded) -> bool:
    """Whether somebody says who they are: with a password, at a path of that name, or for a token."""
    fields = [*one.form, *((str(place[-1]), value) for place, value in leaves(one.json_body) if place)]
    fields += [(field.name, field.value) for field in named_values(one.text or "")]
    if not fields:
        return False
    if any(is_password_name(name) for name, _ in fields) or is_login_path(urlsplit(one.url).path):
        return True
    told = any(is_secret_name(str(place[-1])) for place, _ in leaves(one.answer) if place)
    return told and any(is_secret_value(value) for _, value in fields)


def _place(found: Taken) -> str:
    return "".join(f"[{part!r}]" for part in found.place)


def session_script(session: Sequence[Recorded], name: str, folder: str) -> SessionScript:
    """The class of a session; `folder` is where its feeder lies."""
    writer = _Writer(session[:_MOST_REQUESTS])
    body: list[str] = []
    at_s = 0.0
    for number, one in enumerate(writer.session):
        if one.at_s - at_s > _PAUSE_TOLD_S:
            body.append(f"# {one.at_s - at_s:.1f} s later")
        at_s = one.at_s
        body += writer.request(number)
    notes = dict(writer.notes)
    if len(session) > _MOST_REQUESTS:
        notes[f"the requests after the first {_MOST_REQUESTS} left out"] = None
    failed = sum(one.status >= 400 for one in writer.session)
    if failed:
        notes[f"{failed} of the requests were answered with an error when they were recorded"] = None
    if at_s > _PAUSE_TOLD_S:
        notes[f"pauses between requests ({at_s:.1f} s in all) left out: the script says where they were"] = (
            None
        )
    constants, files = [], []
    if writer.secrets:
        file = f"{folder}/secrets.csv"
        row = tuple(made_up(secret, 1) for secret in writer.secrets.values())
        files.append(FeederFile(file, tuple(writer.secrets), (row,)))
        constants.append(f'SECRETS = feeders.csv("{file}")')
        body.insert(0, "secret = SECRETS.next()")
    requests = f"{len(writer.session)} request{'s' if len(writer.session) > 1 else ''}"
    text = [
        f"class {name}(FastHttpUser):",
        f'    """One arrival is the whole session: {requests}."""',
        "",
        *method_text("session", body),
    ]
    imports = tuple(sorted(writer.imports, reverse=True))  # `import` before `from`
    return SessionScript("\n".join(text), tuple(constants), imports, tuple(files), tuple(notes))
