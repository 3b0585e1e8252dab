"""Locust scripts as text: one class for each endpoint of a log, or one for a session of requests.

Whatever was read is written as Python literals, so that nothing in somebody's traffic becomes code.
"""

import keyword
import re
from collections.abc import Container, Sequence
from typing import NamedTuple

from loadtest.importing.import_error import printable
from loadtest.importing.keys import QUERY
from loadtest.importing.recorded import counted
from loadtest.importing.traffic import Endpoint, Keys, Step

WITH_BODY = {"POST", "PUT", "PATCH"}
_MOST_STEPS_TOLD = 10
_LONGEST_CALL = 96
_VERBS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
_OWN_NAMES = frozenset(
    """self answer said told row login secret uuid str urlencode feeders task open_loop time choice choices
    __debug__""".split()  # noqa: SIM905 - reads better
)
"""What scripts use themselves, and what Python lets nobody name."""
_OWN_CLASSES = frozenset({"FastHttpUser", "WaitTime"})
"""What the base of all classes is called, and a class whose method would be called like their `wait_time`."""


class FeederFile(NamedTuple):
    """A file of rows beside the script."""

    path: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """None of them is a file of JSON lines, whose one column is the line."""
    is_json: bool = False


class ScriptClass(NamedTuple):
    """A user class: its name, its text, the constants it needs and their files."""

    name: str
    text: str
    constants: tuple[str, ...]
    files: tuple[FeederFile, ...]


def script_py(
    made_of: str, steps: Sequence[Step], classes: Sequence[ScriptClass], imports: Sequence[str] = ()
) -> str:
    """The script's text; `imports` are lines for the standard library."""
    told = [
        f"    {step.before} -> {step.after}: {step.share:.0%}, after {step.median_s:g} s"
        for step in steps[:_MOST_STEPS_TOLD]
    ]
    order = ["", "How customers went on, of all who had asked for the first:", "", *told] if told else []
    constants = list(dict.fromkeys(constant for one in classes for constant in one.constants))
    uses_feeders = any("feeders." in constant for constant in constants)
    imported = "FastHttpUser, feeders, open_loop" if uses_feeders else "FastHttpUser, open_loop"
    opening = [f'"""{prose(made_of)}', *map(prose, order), '"""'] if order else [f'"""{prose(made_of)}"""']
    head = [*opening, "", *imports, *([""] if imports else [])]
    head += ["from locust import task", ""]
    head += [f"from loadtest import {imported}", ""]
    body = [*constants, ""] if constants else []
    return "\n".join([*head, *body, *("\n" + one.text for one in classes)])


def endpoint_class(endpoint: Endpoint, share: float, folder: str, taken: set[str]) -> ScriptClass:
    """The class that sends one endpoint's requests; files of feeders lie in `folder`, `taken` names are added to."""
    name = class_name(endpoint.method, endpoint.template, taken)
    call = endpoint_call(endpoint, file_stem(name), folder)
    text = [
        f"class {name}(FastHttpUser):",
        f'    """{prose(f"{endpoint.name}: {share:.2%} of the requests.")}"""',
        "",
        *method_text("send", call.body),
    ]
    return ScriptClass(name, "\n".join(text), call.constants, call.files)


class EndpointCall(NamedTuple):
    """What sends one request of an endpoint: the lines of a method, the constants they need and their files."""

    body: tuple[str, ...]
    constants: tuple[str, ...]
    files: tuple[FeederFile, ...]


def endpoint_call(endpoint: Endpoint, stem: str, folder: str) -> EndpointCall:
    """The call for one endpoint, with feeders whose files are called by `stem` and lie in `folder`."""
    constants, files, arguments = [], [], []
    url, called = for_f_string(endpoint.template), endpoint.called  # parameters are put in below
    dynamic = False
    body = []
    if endpoint.keys is not None:
        constant = f"{stem}_keys".upper()
        file = f"{folder}/{stem}.csv"
        skew = endpoint.keys.skew
        drawn = f"skew={skew.theta:.3f}" if skew and skew.theta >= 0.01 else 'order="random"'
        told = f"  # +- {skew.error:.3f}" if skew and skew.theta >= 0.01 else ""
        constants.append(f'{constant} = feeders.csv("{file}", {drawn}){told}')
        files.append(FeederFile(file, endpoint.keys.names, endpoint.keys.rows))
        body.append(f"row = {constant}.next()")
        for parameter in endpoint.keys.names:
            url = url.replace(f"{{{{{parameter}}}}}", f"{{row['{parameter}']}}", 1)
        dynamic = True
    if endpoint.query is not None:
        constant = f"{stem}_queries".upper()
        file = f"{folder}/{stem}_query.csv"
        constants.append(f'{constant} = feeders.csv("{file}", order="random")')
        files.append(FeederFile(file, endpoint.query.names, endpoint.query.rows))
        url += f"{{{constant}.next()['{QUERY}']}}"
        dynamic = True
    if endpoint.method in WITH_BODY:
        constant = f"{stem}_bodies".upper()
        file = f"{folder}/{stem}_body.jsonl"
        constants.append(f'{constant} = feeders.json_lines("{file}")')
        files.append(FeederFile(file, (), (("{}",),), is_json=True))
        arguments.append(f"json={constant}.next()")
    literal = f'f"{url}"' if dynamic else f'"{url.replace("{{", "{").replace("}}", "}")}"'
    if dynamic:
        arguments.append(f'name="{escaped(called)}"')
    body.append(call_text(endpoint.method, [literal, *arguments]))
    return EndpointCall(tuple(body), tuple(constants), tuple(files))


def call_text(method: str, arguments: Sequence[str]) -> str:
    """The call that sends a request; a long one has a line for each argument."""
    named = f"self.client.{method.lower()}" if method in _VERBS else "self.client.request"
    arguments = list(arguments) if method in _VERBS else [repr(method), *arguments]
    call = f"{named}({', '.join(arguments)})"
    return (
        call
        if len(call) <= _LONGEST_CALL
        else "\n".join([f"{named}(", *(f"    {one}," for one in arguments), ")"])
    )


def method_text(name: str, body: Sequence[str]) -> list[str]:
    """The one task of a class, as the class's lines."""
    lines = "\n".join(body).split("\n")
    return [
        "    wait_time = open_loop()",
        "",
        "    @task",
        f"    def {name}(self):",
        *(f"        {one}" for one in lines),
        "",
    ]


def file_stem(name: str) -> str:
    """What a class's files are called: GetProductsSku has get_products_sku."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def class_name(method: str, path: str, taken: set[str]) -> str:
    """A name for an endpoint's class that no other has: `GET /products/{sku}` is GetProductsSku."""
    words = re.findall(r"[A-Za-z0-9]+", path) or ["Root"]
    name = method.capitalize() + "".join(word[:1].upper() + word[1:] for word in words)
    name = re.sub(r"[^A-Za-z0-9]", "", name)[:60]
    unique, number = name, 2
    while unique in taken or unique in _OWN_CLASSES or keyword.iskeyword(unique):
        unique, number = f"{name}{number}", number + 1
    taken.add(unique)
    return unique


def variable_name(name: str, taken: Container[str] = ()) -> str:
    """A name for a variable that is not taken, and none that scripts use; their constants are all upper case."""
    if name in _OWN_NAMES or keyword.iskeyword(name) or name.isupper():
        name = f"{name}_"
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique


def escaped(text: str) -> str:
    """Text for between double quotes."""
    return printable(text.replace("\\", "\\\\").replace('"', '\\"'))


def for_f_string(text: str) -> str:
    """Text for between the double quotes of an f-string: nothing in it is an expression."""
    return escaped(text).replace("{", "{{").replace("}", "}}")


def prose(text: str) -> str:
    """Text for a docstring."""
    return escaped(text).replace('\\"', "'")


def keys_told(keys: Keys) -> str:
    """How many keys there are and how unequally they are wanted, for the console."""
    skew = f", Zipf exponent {keys.skew.theta:.3f} +- {keys.skew.error:.3f}" if keys.skew else ""
    return f"{counted(keys.distinct, 'key', 'keys')}{skew}"
