"""The examples: all of them in one run, each with its server, and one of them exactly as its README says."""

import contextlib
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.cli.children import wait_until
from loadtest.measure.run_result import RunResult
from loadtest.plan.plan_file import Plan
from loadtest.plan.target_address import target_address
from tests.contract.postgres_server import postgres_server
from tests.ports import free_port
from tests.required import program
from tests.timing import Others, unless_ended

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TO_ITS_END = {0, 10, 11}
"""Exit codes of a run that was played to its end: whether it was fast is the machine's affair."""
ENDPOINTS = {
    "http": {"GET /products/[sku]", "POST /orders"},
    "mtls": {"POST /partners/orders"},
    "login": {"GET /account"},
    "websocket": {"WS message"},
    "grpc": {"gRPC /shop.Orders/Create", "gRPC /shop.Orders/Watch"},
    "postgresql": {"SQL place an order"},
    "redis": {"REDIS HINCRBY", "REDIS HGETALL"},
    "sse": {f"{kind} /orders/[id]/events" for kind in ("GET", "first event", "next event")},
    "graphql": {"POST product", "POST order"},
    "http2": {"GET /pages/[number]"},
}
"""What each example asks for."""
PORT = re.compile(r"\b180\d\d\b")
PLAN = """
name = "every-protocol"
peak_tps = 5
duration = "2s"
virtual_users = 40
[profile]
curve = "constant"
"""


def commands(example: str) -> list[str]:
    """The commands of an example's README."""
    text = (EXAMPLES / example / "README.md").read_text()
    return text.split("```console\n")[1].split("```")[0].splitlines()


def target(example: str) -> str:
    """The address that the last of them loads."""
    words = shlex.split(commands(example)[-1])
    return words[words.index("-H" if "-H" in words else "--target") + 1]


def on_port(text: str, port: int) -> str:
    return PORT.sub(str(port), text)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Folder:
    """An empty folder from which commands find the examples and this environment's programs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "examples").symlink_to(EXAMPLES)
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self._environment = {**os.environ, "PATH": programs, "PGUSER": "shop"}
        self._environment["CERTIFICATES"] = str(path / "certificates")

    @contextlib.contextmanager
    def served(self, *examples: str) -> Iterator[dict[str, int]]:
        """The ports of some examples' servers, which answer."""
        ports = {example: free_port() for example in examples}
        servers = {example: self._start(example, port) for example, port in ports.items()}
        try:
            for example, server in servers.items():
                self._await(example, server, ports[example])
            yield ports
        finally:
            for server in servers.values():
                server.kill()
                server.wait()

    def _start(self, example: str, port: int) -> subprocess.Popen[bytes]:
        words = shlex.split(on_port(commands(example)[0], port).removesuffix("&"))
        command = [program(words[0]), *words[1:]]
        with (self.path / f"{example}.log").open("w") as log:
            return subprocess.Popen(command, cwd=self.path, stdout=log, stderr=log, env=self._environment)

    def _await(self, example: str, server: subprocess.Popen[bytes], port: int) -> None:
        wait_until(lambda: answers(port) or server.poll() is not None, 300, 0.1)
        log = self.path / f"{example}.log"
        assert answers(port), f"{example}: {log.read_text()}"
        assert server.poll() is None, log.read_text()

    def played(self, *words: str) -> RunResult:
        """Run a command that plays a plan to its end."""
        out = self.path / "runs"
        command = [program(words[0]), *words[1:], "--out", str(out)]
        others = Others()
        done = subprocess.run(
            command, cwd=self.path, env=self._environment, capture_output=True, text=True, timeout=300
        )
        results = [RunResult.read(found) for found in out.glob("*/result.json")]
        for result in results:
            unless_ended(result, others)
        assert done.returncode in TO_ITS_END, done.stdout + done.stderr
        (result,) = results
        return result


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def assert_whole(result: RunResult, *examples: str) -> None:
    """Every example asked something and nothing else, nothing failed, and the books balance."""
    asked = {name for name in result.endpoints if not name.startswith(("arrival ", "POST /login"))}
    assert all(asked & ENDPOINTS[example] for example in examples), asked
    assert asked <= set().union(*(ENDPOINTS[example] for example in examples))
    # What is not answered before the drain is over is the machine's affair.
    failures = {name: one.failures - one.unanswered for name, one in result.endpoints.items()}
    assert {name: count for name, count in failures.items() if count} == {}
    arrivals = result.arrivals
    assert arrivals.planned == arrivals.scheduled == arrivals.started + arrivals.dropped > 0
    assert arrivals.started == arrivals.ok + arrivals.cancelled


def test_every_example_is_listed_with_commands_that_name_what_is_there() -> None:
    there = {path.parent.name for path in EXAMPLES.glob("*/plan.toml")}
    listed = set(re.findall(r"^\| \[(\w+)\]", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    assert there == listed == set(ENDPOINTS)
    ports = []
    for example in there:
        text = "\n".join(commands(example))
        assert all((ROOT / path).is_file() for path in re.findall(r"examples/[\w./]+", text)), text
        ports.append(target_address(target(example)).port)
    assert len(set(ports)) == len(there)


def add_to_run(example: str, port: int, folder: Path) -> str:
    """Copy an example's files under names of its own; the scenario and objectives that its plan has."""
    plan = Plan.load(EXAMPLES / example / "plan.toml")
    module, _, user = plan.scenarios[0].user.partition(":")
    for file in (EXAMPLES / example).iterdir():
        if file.suffix in {".csv", ".proto"}:
            shutil.copy(file, folder)
    script = (EXAMPLES / example / f"{module}.py").read_text()
    host = on_port(target(example), port)
    (folder / f"play_{example}.py").write_text(f'{script}\n\n{user}.host = "{host}"\n')
    objectives = "".join(f'[[slo]]\nexpr = "{expr}"\n' for expr in plan.slos)
    first = "transaction = true\n" if example == "http" else ""
    return f'[[scenario]]\nuser = "play_{example}:{user}"\n{first}{objectives}'


def test_all_protocols_play_in_one_run_without_a_failure(folder: Folder) -> None:
    program("psql")
    with postgres_server() as database, folder.served(*ENDPOINTS.keys() - {"postgresql"}) as ports:
        ports["postgresql"] = target_address(database.create_database("shop")).port
        tables = [add_to_run(example, port, folder.path) for example, port in ports.items()]
        (folder.path / "all.toml").write_text(PLAN + "".join(tables))
        assert_whole(folder.played("singlesday", "run", "all.toml"), *ENDPOINTS)


@pytest.mark.slow(held_by="test_all_protocols_play_in_one_run_without_a_failure")
def test_a_script_that_knows_nothing_of_us_plays_as_its_readme_says(folder: Folder) -> None:
    with folder.served("websocket") as ports:
        words = shlex.split(on_port(commands("websocket")[-1], ports["websocket"]))
        assert_whole(folder.played(*words, "--duration", "1s", "--time-scale", "0.1"), "websocket")
