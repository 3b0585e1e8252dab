"""The doors by which a run is asked for, each in this process as far as its check of the configuration."""

import re
import socket
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from locust import task
from locust.argument_parser import LocustArgumentParser, setup_parser_arguments, ui_extra_args_dict
from locust.env import Environment
from locust.event import Events
from typer.testing import CliRunner

from loadtest import FastHttpUser, open_loop
from loadtest.cli import main
from loadtest.configuration import inspection
from loadtest.configuration.check import inspect_here
from loadtest.configuration.run_config import RunConfig
from loadtest.configuration.run_document import write_document
from loadtest.fleet import checkpoint as checkpoints
from loadtest.plan.plan_file import Plan
from loadtest.plugin.leading import Leading
from loadtest.plugin.wiring import Plugin
from tests.cli.test_resume import checkpoint

SCRIPT = """
from locust import between, tag, task
from loadtest import FastHttpUser, open_loop

class Shopper(FastHttpUser):
    wait_time = open_loop()

    @task
    @tag("look")
    def look(self):
        self.client.get("/ok")
"""
PLAN = """
peak_tps = 5
duration = "3s"
virtual_users = 5
[profile]
curve = "constant"
[[scenario]]
user = "{module}:Shopper"
"""
FORM_FIELDS = {"plan", "peak_tps", "duration", "time_scale", "seed", "host"}


class OfLocustsFile(FastHttpUser):
    """A class of the `-f` file, which may be another than the plan's."""

    wait_time = open_loop()

    @task
    def look(self) -> None:
        self.client.get("/ok")


class Sink:
    """A target that accepts connections and keeps what it is sent."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def received(self) -> bytes:
        """Everything that was sent, over every connection that was made."""
        self._server.setblocking(False)
        parts: list[bytes] = []
        while True:
            try:
                connection, _ = self._server.accept()
            except BlockingIOError:
                return b"".join(parts)
            with connection:
                connection.settimeout(2)
                parts.append(connection.recv(4096))

    def close(self) -> None:
        self._server.close()


@dataclass
class Asked:
    """A run as somebody asks for it, in the words of Locust's options."""

    plan: Path
    options: dict[str, str] = field(default_factory=dict)
    """Options of any door by their name: `host`, `peak_tps`, `slo` …"""
    available: dict[str, Any] = field(default_factory=lambda: {"OfLocustsFile": OfLocustsFile})
    """The classes that Locust's own file has."""

    @property
    def every(self) -> dict[str, str]:
        return {"plan": str(self.plan), **self.options}


@dataclass
class Refusal:
    """How a door refused a run."""

    code: int
    said: str


Door = Callable[[Asked, pytest.MonkeyPatch], Refusal]
FLAGS_OF_SINGLESDAY = {"host": "--target"}
NOT_OF_SINGLESDAY = {"tags", "exclude_tags", "user_classes", "audit_store"}


def singlesday_run(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Refusal:
    """`singlesday run PLAN --target …`."""
    options = {name: text for name, text in asked.every.items() if name != "plan"}
    return invoke(["run", asked.every["plan"]], options, monkeypatch)


def singlesday_capacity(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Refusal:
    """`singlesday capacity --target …`."""
    return invoke(["capacity"], {k: v for k, v in asked.every.items() if k != "plan"}, monkeypatch)


def singlesday_watch(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Refusal:
    """`singlesday watch`, whose plans are chosen in its web form."""
    monkeypatch.setattr("loadtest.cli.watch.Service", lambda *_, **__: pytest.fail("the service was started"))
    return invoke(["watch"], {k: v for k, v in asked.every.items() if k not in {"plan", "host"}}, monkeypatch)


def singlesday_resume(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Refusal:
    """`singlesday resume RUN`, where something has become wrong since the run was begun."""
    folder = asked.plan.parent / "begun"
    options = dict(asked.every)
    config = RunConfig(
        plan=Plan.load(options.pop("plan")),
        plan_name=str(asked.plan),
        targets=[options.pop("host")],
        out=options.pop("out"),
        conducted=True,
    ).but(**options)
    folder.mkdir()
    write_document(config, folder)
    books = msgspec.structs.replace(checkpoints.decode(checkpoint()), plan=config.plan.to_json())
    checkpoints.write(checkpoints.encode(books), folder)
    return invoke(["resume", str(folder)], {}, monkeypatch)


def invoke(command: list[str], options: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Refusal:
    monkeypatch.setattr(
        inspection, "inspect_apart", inspect_here
    )  # the same code, without a process for each
    monkeypatch.setattr(main, "_play", lambda *_: pytest.fail("the run was begun"))
    for name, text in options.items():
        command += [FLAGS_OF_SINGLESDAY.get(name, f"--{name.replace('_', '-')}"), text]
    ended = CliRunner().invoke(main.app, command)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return Refusal(ended.exit_code, plain(ended.output))


def locust_headless(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Refusal:
    """`locust --headless --plan PLAN -H …`."""
    return start_locust(asked, monkeypatch, ["--headless"])


def locust_autostart(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Refusal:
    """`locust --autostart --plan PLAN -H …`, where Locust has a web UI too."""
    return start_locust(asked, monkeypatch, ["--autostart"], web=True)


def locust_master(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Refusal:
    """`locust --master --headless`, or the parent of `--processes`."""
    return start_locust(asked, monkeypatch, ["--headless", "--master"])


def start_locust(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, flags: list[str], *, web: bool = False
) -> Refusal:
    said: list[str] = []
    monkeypatch.setattr("sys.stderr.write", said.append)
    try:
        located(asked, monkeypatch, flags, asked.every, web=web)
    except SystemExit as refused:
        return Refusal(int(refused.code or 0), "".join(said))
    return Refusal(0, "".join(said))


def web_form(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Refusal:
    """POST /swarm, as the start form or a program sends it.

    What the form does not have stands on the command line, where some of it ends the process at once.
    """
    options = {name: text for name, text in asked.every.items() if name not in FORM_FIELDS}
    said: list[str] = []
    monkeypatch.setattr("sys.stderr.write", said.append)
    try:
        environment = located(asked, monkeypatch, [], options, web=True)
    except SystemExit as refused:
        return Refusal(int(refused.code or 0), "".join(said))
    assert environment.web_ui is not None
    assert environment.web_ui.app is not None
    form = {name: text for name, text in asked.every.items() if name in FORM_FIELDS}
    client = environment.web_ui.app.test_client()
    answer = client.post("/swarm", data={**form, "user_count": "1", "spawn_rate": "1"})
    told: Any = answer.json
    assert answer.status_code == 200
    assert told["success"] is False
    assert told["field"]
    assert environment.runner is not None
    assert environment.runner.shape_greenlet is None
    return Refusal(2, told["message"])


def located(
    asked: Asked,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    options: Mapping[str, str],
    *,
    web: bool = False,
) -> Environment:
    """Locust's environment as its `main` makes it, with our listeners, up to the end of `init`."""
    monkeypatch.setattr(Leading, "_hear_signals", lambda *_: None)
    monkeypatch.setattr("loadtest.plugin.wiring.secure", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["locust"])  # Locust reads it again for each page
    monkeypatch.setattr("locust.argument_parser.ui_extra_args_dict", _extra_arguments)
    plugin, parser = Plugin(), LocustArgumentParser()
    setup_parser_arguments(parser)
    plugin.add_options(parser)
    command = [*flags, *(part for name, text in options.items() for part in flag(name, text))]
    parsed: Namespace = parser.parse_args(command)
    made = Environment(
        user_classes=list(asked.available.values()),
        parsed_options=parsed,
        host=parsed.host,
        events=Events(),
        available_user_classes=asked.available,
    )
    made.events.quitting.add_listener(plugin.on_quitting)
    runner: Any = made.create_master_runner("127.0.0.1", 0) if parsed.master else made.create_local_runner()
    if web:
        made.create_web_ui("127.0.0.1", 0, delayed_start=True)
    plugin.on_init(made, runner)
    plugin.after_init(made)
    return made


@cache
def _extra_arguments() -> dict[str, dict[str, Any]]:
    """What Locust shows of a script's own arguments: the same for all, and as dear as the rest of its web UI."""
    return ui_extra_args_dict()


def flag(name: str, text: str) -> list[str]:
    if not text:
        return [f"--{name}"]
    return [text] if name == "user_classes" else [f"--{name.replace('_', '-')}", text]


def plain(text: str) -> str:
    """Without colours and the frames that Typer draws."""
    return re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]|\s+", " ", text)


DOORS: dict[str, Door] = {
    "singlesday run": singlesday_run,
    "locust --headless": locust_headless,
    "locust --autostart": locust_autostart,
    "locust --master": locust_master,
    "the web form": web_form,
    "singlesday capacity": singlesday_capacity,
    "singlesday watch": singlesday_watch,
    "singlesday resume": singlesday_resume,
}
_number = time.time_ns() % 10**9


def write_run(folder: Path, plan: str = PLAN, script: str = SCRIPT) -> tuple[Path, str]:
    """A plan file and its script beside it, whose module has a name of its own; both."""
    global _number  # noqa: PLW0603 - modules stay imported, so no name comes twice in a process
    _number += 1
    module = f"script_{_number}"
    (folder / f"{module}.py").write_text(script, encoding="utf-8")
    path = folder / "plan.toml"
    path.write_text(plan.replace("{module}", module), encoding="utf-8")
    return path, module
