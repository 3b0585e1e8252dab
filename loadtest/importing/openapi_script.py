"""Operations of an OpenAPI document as user classes: what creates something is followed by what is asked of it."""

import json
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from loadtest.importing.openapi import BEARER, Login, Operation
from loadtest.importing.script_text import (
    FeederFile,
    ScriptClass,
    call_text,
    class_name,
    escaped,
    file_stem,
    method_text,
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


_OWN_NAMES = {"self", "answer", "told", "login", "row"}


def python_name(name: str) -> str:
    """A parameter's name as a variable."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    plain = f"_{plain}" if plain[:1].isdigit() else plain
    return f"{plain}_" if keyword.iskeyword(plain) or plain in _OWN_NAMES else plain


def logins_of(operations: Iterable[Operation]) -> dict[str, str]:
    """The columns of the file of logins of all these, each with a made-up value."""
    return {login.column: login.made_up for one in operations for login in _logins(one)}


def _logins(one: Operation) -> tuple[Login, ...]:
    return (one.logins or (BEARER,)) if one.needs_login else ()


def chain_class(
    chain: Chain, folder: str, taken: set[str], logins: Mapping[str, str] | None = None
) -> ScriptClass:
    """The class of a chain; its feeders' files lie in `folder`. `logins` are those of the whole document."""
    logins = logins_of((chain.first, *chain.others)) if logins is None else logins
    name = class_name(chain.first.method, chain.first.path, taken)
    stem = file_stem(name)
    constants: list[str] = []
    files: list[FeederFile] = []
    body: list[str] = []
    if chain.needs_login:
        files.append(FeederFile(f"{folder}/logins.csv", tuple(logins), (tuple(logins.values()),)))
        constants.append(f'LOGINS = feeders.csv("{folder}/logins.csv")')
        body.append("login = LOGINS.next()")
    *before, call = _request(chain.first, stem, folder, constants, files, variable="")
    body += before
    if chain.others:
        body += [f"answer = {call}", "if not answer.ok:", "    return  # what follows needs what it says"]
        body += ["told = answer.json()", f'{python_name(chain.variable)} = told["{escaped(chain.key)}"]']
    else:
        body.append(call)
    for number, other in enumerate(chain.others, start=2):
        told_before = answered(other, chain.first.answers)
        place = f"{stem}_{number}"
        body += _request(other, place, folder, constants, files, variable=chain.variable, told=told_before)
    told = f"{chain.first.method} {chain.first.called}"
    then = ", and then what is asked of its answer" if chain.others else ""
    text = [
        f"class {name}(FastHttpUser):",
        f'    """{escaped(told)}{then}."""',
        "",
        *method_text("send", body),
    ]
    return ScriptClass(name, "\n".join(text), tuple(constants), tuple(files))


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
    folder: str,
    constants: list[str],
    files: list[FeederFile],
    *,
    variable: str,
    told: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """The lines that send an operation's request; the last one is the call."""
    lines = []
    url = escaped(one.path)
    if one.parameters and variable:
        url = url.replace(f"{{{variable}}}", f"{{{python_name(variable)}}}")
    elif one.parameters:
        constant, file = f"{stem}_keys".upper(), f"{folder}/{stem}.csv"
        constants.append(f'{constant} = feeders.csv("{file}", order="random")')
        files.append(FeederFile(file, one.parameters, one.rows))
        lines.append(f"row = {constant}.next()")
        for name in one.parameters:
            url = url.replace(f"{{{name}}}", f"{{row['{escaped(name)}']}}", 1)
    query = [f"{escaped(name)}={escaped(value)}" for name, value in one.query]
    query += [f"{escaped(each.name)}={_login(each)}" for each in _logins(one) if each.place == "query"]
    if query:
        url += "?" + "&".join(query)
    is_made = bool(one.parameters) or any(each.place == "query" for each in _logins(one))
    arguments = [f'{"f" if is_made else ""}"{url}"']
    if one.bodies:
        constant, file = f"{stem}_bodies".upper(), f"{folder}/{stem}_body.jsonl"
        constants.append(f'{constant} = feeders.json_lines("{file}")')
        files.append(FeederFile(file, (), tuple((json.dumps(body),) for body in one.bodies), is_json=True))
        known = [f'"{escaped(name)}": told["{escaped(there)}"]' for name, there in told.items()]
        row = f"{constant}.next()"
        sent = "json" if "json" in one.body_type else "data"
        arguments.append(f"{sent}={{**{row}, {', '.join(known)}}}" if known else f"{sent}={row}")
    if one.body_type == "multipart/form-data" and one.bodies:
        made_up = [f'"{escaped(name)}": ("made-up.bin", b"made up")' for name in one.file_fields]
        arguments.append(f"files={{{', '.join(made_up)}}}" if made_up else "files={}")
    if headers := _headers(one):
        arguments.append("headers={" + ", ".join(headers) + "}")
    if one.parameters or query:
        arguments.append(f'name="{escaped(one.called)}"')
    return [*lines, call_text(one.method, arguments)]


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
        pairs = "; ".join(f"{escaped(each.name)}={_login(each)}" for each in cookies)
        headers.append(f'"Cookie": f"{pairs}"')
    return headers


def _login(login: Login) -> str:
    """What stands for a login in an f-string."""
    return f"{{login['{escaped(login.column)}']}}"
