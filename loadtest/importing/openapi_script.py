"""Operations of an OpenAPI document as user classes: what creates something is followed by what is asked of it."""

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote

from loadtest.importing.openapi import BEARER, PARAMETER, Login, Operation
from loadtest.importing.script_text import (
    FeederFile,
    ScriptClass,
    call_text,
    class_name,
    escaped,
    file_stem,
    for_f_string,
    method_text,
    variable_name,
)

_ORDER = {"GET": 0, "HEAD": 0, "POST": 1, "PUT": 2, "PATCH": 2, "OPTIONS": 3, "DELETE": 4}


class Chain(NamedTuple):
    """An operation, and those whose path takes what it answers, in the order in which they can be asked."""

    first: Operation
    variable: str
    """The parameter of the others; empty without any."""
    key: str
    """The name that it has in the answer."""
    others: tuple[Operation, ...]

    @property
    def needs_login(self) -> bool:
        """Whether any of it does."""
        return any(one.needs_login for one in (self.first, *self.others))


def chains(operations: Sequence[Operation]) -> list[Chain]:
    """Every operation in one chain; those that create what others need come first, the longest before the others."""
    used: set[int] = set()
    found = []
    for first in operations:
        if first.method != "POST" or first.parameters:
            continue
        variable, key, numbers = _needed(first, operations, used)
        if numbers:
            used |= {*numbers, operations.index(first)}
            others = sorted((operations[n] for n in numbers), key=lambda one: _ORDER.get(one.method, 3))
            found.append(Chain(first, variable, key, tuple(others)))
    found.sort(key=lambda chain: -len(chain.others))
    rest = [Chain(one, "", "", ()) for number, one in enumerate(operations) if number not in used]
    return [*found, *sorted(rest, key=lambda chain: chain.first.method != "POST")]


def _needed(first: Operation, operations: Sequence[Operation], used: set[int]) -> tuple[str, str, list[int]]:
    """The parameter that others need of an operation's answer, its name there, and their numbers.

    `/orders` creates what `/orders/{order_id}` asks for if its answer has an `order_id`, or an `id`.
    """
    below = first.path.rstrip("/") + "/{"
    for one in operations:
        if len(one.parameters) != 1 or not one.path.startswith(below):
            continue
        (name,) = one.parameters
        key = next((each for each in (name, "id") if each in first.answers), "")
        start = f"{below}{name}}}"
        numbers = [
            number
            for number, other in enumerate(operations)
            if number not in used and other.path.startswith(start) and other.parameters == (name,)
        ]
        if key and numbers:
            return name, key, numbers
    return "", "", []


def python_name(name: str, taken: Container[str] = ()) -> str:
    """A parameter's name as a variable, or a column, that is not taken."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII) or "value"
    return variable_name(f"_{plain}" if plain[0].isdigit() else plain, taken)


def logins_of(operations: Iterable[Operation]) -> dict[str, str]:
    """The columns of the file of logins of all these, each with a made-up value."""
    return {login.column: login.made_up for one in operations for login in _logins(one)}


def _logins(one: Operation) -> tuple[Login, ...]:
    return (one.logins or (BEARER,)) if one.needs_login else ()


class _Data:
    """The constants of a class and the files of rows that they read, as its requests ask for them."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.constants: list[str] = []
        self.files: list[FeederFile] = []

    def _feeder(self, constant: str, kind: str, file: str, options: str = "") -> str:
        self.constants.append(f'{constant} = feeders.{kind}("{file}"{options})')
        return f"{constant}.next()"

    def login(self, logins: Mapping[str, str]) -> str:
        """What gives the next login."""
        file = f"{self._folder}/logins.csv"
        self.files.append(FeederFile(file, tuple(logins), (tuple(logins.values()),)))
        return self._feeder("LOGINS", "csv", file)

    def row(self, one: Operation, columns: Sequence[str], stem: str) -> str:
        """What gives the next values of an operation's path."""
        file = f"{self._folder}/{stem}.csv"
        self.files.append(FeederFile(file, tuple(columns), one.rows))
        return self._feeder(f"{stem}_keys".upper(), "csv", file, ', order="random"')

    def body(self, one: Operation, stem: str) -> str:
        """What gives an operation's next body."""
        file = f"{self._folder}/{stem}_body.jsonl"
        rows = tuple((json.dumps(body),) for body in one.bodies)
        self.files.append(FeederFile(file, (), rows, is_json=True))
        return self._feeder(f"{stem}_bodies".upper(), "json_lines", file)


def chain_class(
    chain: Chain, folder: str, taken: set[str], logins: Mapping[str, str] | None = None
) -> ScriptClass:
    """The class of a chain; its feeders' files lie in `folder`. `logins` are those of the whole document."""
    logins = logins_of((chain.first, *chain.others)) if logins is None else logins
    name = class_name(chain.first.method, chain.first.path, taken)
    data = _Data(folder)
    told = f"{chain.first.method} {chain.first.called}"
    then = ", and then what is asked of its answer" if chain.others else ""
    text = [
        f"class {name}(FastHttpUser):",
        f'    """{escaped(told)}{then}."""',
        "",
        *method_text("send", list(_sent(chain, file_stem(name), logins, data))),
    ]
    return ScriptClass(name, "\n".join(text), tuple(data.constants), tuple(data.files))


def _sent(chain: Chain, stem: str, logins: Mapping[str, str], data: _Data) -> Iterator[str]:
    """The lines that send a chain's requests."""
    if chain.needs_login:
        yield f"login = {data.login(logins)}"
    *before, call = _request(chain.first, stem, data)
    yield from before
    if not chain.others:
        yield call
        return
    variable = python_name(chain.variable)
    yield f"answer = {call}"
    yield "if not answer.ok:"
    yield "    return  # what follows needs what it says"
    yield "told = answer.json()"
    yield f'{variable} = told["{escaped(chain.key)}"]'
    for number, other in enumerate(chain.others, start=2):
        told = answered(other, chain.first.answers)
        yield from _request(other, f"{stem}_{number}", data, variable=variable, told=told)


def answered(one: Operation, answers: Mapping[str, str]) -> dict[str, str]:
    """Which fields of an operation's body an earlier answer has told, each with its name there.

    That of the same name; for a number also the only one whose last word is the same and is none of an identifier,
    as in `amount_cents` and `total_cents`: what is asked for is what was told.
    """
    body = one.bodies[0] if one.bodies and isinstance(one.bodies[0], dict) else {}
    found = {}
    for name, value in body.items():
        unit = _last_word(name)
        alike = [
            other
            for other, kind in answers.items()
            if kind in {"integer", "number"} and _last_word(other) == unit != "id"
        ]
        if name in answers:
            found[name] = name
        elif isinstance(value, int | float) and not isinstance(value, bool) and len(alike) == 1:
            found[name] = alike[0]
    return found


def _last_word(name: str) -> str:
    """`cents` of `amount_cents` and `amountCents`; nothing of a name of one word."""
    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)
    return words[-1].lower() if len(words) > 1 else ""


def _request(
    one: Operation,
    stem: str,
    data: _Data,
    *,
    variable: str = "",
    told: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """The lines that send an operation's request, by the variable or a row of its own; the last one is the call."""
    lines = []
    values = [variable] * len(one.parameters)
    if one.parameters and not variable:
        columns = _columns(one.parameters)
        lines.append(f"row = {data.row(one, columns, stem)}")
        values = [f"row['{column}']" for column in columns]
    url, is_made = _url(one, values)
    arguments = [url, *_body(one, told, stem, data)]
    if headers := _headers(one):
        arguments.append("headers={" + ", ".join(headers) + "}")
    if is_made or one.query:
        arguments.append(f'name="{escaped(one.called)}"')
    return [*lines, call_text(one.method, arguments)]


def _columns(parameters: Sequence[str]) -> list[str]:
    """A column for each parameter of a path, in its order."""
    columns: list[str] = []
    for name in parameters:
        columns.append(python_name(name, columns))
    return columns


def _url(one: Operation, values: Sequence[str]) -> tuple[str, bool]:
    """An operation's address as a literal, and whether it is made anew for each request.

    `values` are the expressions for its parameters. Whatever else there is comes from somebody's document.
    """
    literals = PARAMETER.split(one.path)[::2]
    logins = [each for each in _logins(one) if each.place == "query"]
    if not values and not logins:
        pairs = "&".join(f"{name}={value}" for name, value in one.query)
        return f'"{escaped(one.path)}{escaped("?" + pairs if pairs else "")}"', False
    path = for_f_string(literals[0])
    path += "".join(
        f"{{{value}}}{for_f_string(text)}" for value, text in zip(values, literals[1:], strict=True)
    )
    query = [f"{for_f_string(name)}={for_f_string(value)}" for name, value in one.query]
    query += [
        f"{for_f_string(quote(each.name, safe='', errors='replace'))}={_login(each)}" for each in logins
    ]
    return f'f"{path}{"?" if query else ""}{"&".join(query)}"', True


def _body(one: Operation, told: Mapping[str, str], stem: str, data: _Data) -> Iterator[str]:
    """The arguments that send an operation's body; what an earlier answer told is put into it."""
    if not one.bodies:
        return
    row = data.body(one, stem)
    known = [f'"{escaped(name)}": told["{escaped(there)}"]' for name, there in told.items()]
    sent = "json" if "json" in one.body_type else "data"
    yield f"{sent}={{**{row}, {', '.join(known)}}}" if known else f"{sent}={row}"
    if one.body_type == "multipart/form-data":
        made_up = [f'"{escaped(name)}": ("made-up.bin", b"made up")' for name in one.file_fields]
        yield f"files={{{', '.join(made_up)}}}"


def _headers(one: Operation) -> list[str]:
    headers = [f'"{escaped(name)}": "made-up"' for name in one.headers]
    if one.takes_key:
        headers.append('"Idempotency-Key": str(uuid.uuid4())')
    headers += [
        f'"{escaped(each.name)}": login["{escaped(each.column)}"]'
        for each in _logins(one)
        if each.place == "header"
    ]
    if cookies := [each for each in _logins(one) if each.place == "cookie"]:
        pairs = "; ".join(f"{for_f_string(each.name)}={_login(each)}" for each in cookies)
        headers.append(f'"Cookie": f"{pairs}"')
    return headers


def _login(login: Login) -> str:
    """What stands for a login in an f-string; its column is a word."""
    return f"{{login['{login.column}']}}"
