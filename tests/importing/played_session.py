"""A generated script, played without a network: what it sends to a client that answers as it is told."""

import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtest.importing.script_text import FeederFile
from loadtest.importing.session_script import SessionScript


@dataclass
class Sent:
    """One request of a script."""

    asked: str
    name: str | None = None
    json: Any = None
    data: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class _Answer:
    def __init__(self, body: Any) -> None:
        self.ok, self._body = True, body

    def json(self) -> Any:
        return self._body


class _Client:
    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.sent: list[Sent] = []
        self._answers = answers

    def request(self, method: str, url: str, **given: Any) -> _Answer:
        self.sent.append(Sent(f"{method} {url}", **given))
        return _Answer(self._answers.get(f"{method} {url}", {}))

    def __getattr__(self, verb: str) -> Any:
        return lambda url, **given: self.request(verb.upper(), url, **given)


class _Feeders(types.SimpleNamespace):
    def __init__(self, files: tuple[FeederFile, ...]) -> None:
        super().__init__()
        self._rows = {file.path: dict(zip(file.columns, file.rows[0], strict=True)) for file in files}

    def csv(self, path: str, **_: Any) -> Any:
        return types.SimpleNamespace(next=lambda: self._rows[path])


def played(script: SessionScript, answers: Mapping[str, Any]) -> list[Sent]:
    """What one arrival sends."""
    names: dict[str, Any] = {
        "FastHttpUser": object,
        "open_loop": lambda: None,
        "task": lambda method: method,
        "feeders": _Feeders(script.files),
    }
    exec(compile("\n".join([*script.imports, *script.constants, script.text]), "script", "exec"), names)  # noqa: S102 - what is tested
    user = names["Session"]()
    user.client = client = _Client(answers)
    user.session()
    return client.sent
