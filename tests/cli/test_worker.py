"""`singlesday worker` and the flags of a run with workers elsewhere, as far as what is wrong with them."""

import contextlib
import io
import socket
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from loadtest.cli import worker
from loadtest.cli.children import Child, wait_until
from loadtest.cli.crew import MOST_REPLACED, Crew
from loadtest.cli.main import app
from loadtest.cli.place import listening_place, place_of
from loadtest.cli.run import how_to_join
from loadtest.cli.worker import listens, serve
from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.environment import MASTER_LOST
from loadtest.exit_codes import ExitCode
from loadtest.fleet import joining
from loadtest.fleet.joining import JoiningError, Master
from loadtest.place import Place
from loadtest.plan.plan_file import Plan
from tests.ports import free_port

HERE = ["--master", "127.0.0.1:9"]
IMPAIRED = {
    "latency": 'delay = "200ms"',
    "loss": "share = 0.5",
    "bandwidth": "bytes_per_s = 1000",
    "half-open": "share = 0.5",
}
"""The kinds of faults of the network, with what each needs."""
CUT = """
peak_tps = 5
duration = "40s"
[profile]
curve = "constant"
[[scenario]]
user = "loadtest.scenarios.shop:OrderOnly"
[[fault]]
name = "cut"
at = "10s"
for = "2s"
kind = "{kind}
"""
RUN = ["run", "smoke", "--peak-tps", "5", "--target", "http://127.0.0.1:9", "--expect-workers", "1"]


def refused(*arguments: str) -> str:
    ended = CliRunner(env={"LOADTEST_TOKEN": ""}).invoke(app, list(arguments))
    assert ended.exit_code == 2, ended.output
    return " ".join(ended.output.split())


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":1",
        "host:port",
        "host:70000",
        "tcp://host:1",
        "a b",
        "user@host:1",
        "[::1]5:7",
        "a[::1]:7",
        "fe80::x",
        "::1%a:7",
    ],
)
def test_a_master_that_is_no_address_is_refused(text: str) -> None:
    assert "--master" in refused("worker", "--master", text)
    with pytest.raises(ConfigError, match=r"expected HOST:PORT, for example 10\.0\.0\.1:5557"):
        place_of(text, "--master")


def test_port_0_is_no_port_that_workers_could_be_told() -> None:
    assert "--master host:0: expected a port from 1 to 65535" in refused("worker", "--master", "host:0")
    assert "--bind host:0: expected a port from 1 to 65535" in refused(*RUN, "--bind", "host:0")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("10.0.0.1:7", ("10.0.0.1", 7)),
        ("run", ("run", 5557)),
        ("[::1]:7", ("::1", 7)),
        ("::1", ("::1", 5557)),
    ],
)
def test_an_address_may_leave_the_port_out(text: str, place: tuple[str, int]) -> None:
    assert place_of(text, "--master") == place


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "*"])
def test_where_a_master_listens_is_not_where_it_is_reached(host: str) -> None:
    assert f"--master {host}:7: is where a master listens" in refused("worker", "--master", f"{host}:7")


def test_a_folder_that_cannot_be_made_is_told_before_a_master_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = refused("worker", *HERE, "--out", str(tmp_path / "file" / "runs"))
    assert "expected a folder to write into" in said
    assert "is a file" in said


def test_a_master_on_another_machine_needs_a_token() -> None:
    assert "is another machine and needs the run's token: --token-file" in refused(
        "worker", "--master", "10.0.0.1"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"short\n", "expected at least 16 characters, got 5"),
        (b"a token with two lines\nof text\n", "got 2 lines"),
    ],
)
@pytest.mark.parametrize("command", [["worker", *HERE], ["run", "smoke"]], ids=["worker", "run"])
def test_a_token_file_that_is_none_is_refused_by_name(
    command: list[str], content: bytes | None, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    text = refused(*command, "--token-file", str(file))
    assert said in text
    assert "token-file" in text


def test_a_master_that_is_not_there_is_waited_for_and_then_named(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        assert f"no master answered at {address} within 1 s" in refused(
            "worker", "--master", address, "--wait", "1s", "--out", str(tmp_path)
        )


@pytest.mark.parametrize("talks", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["nothing", "http"])
def test_what_listens_and_is_no_master_is_told_from_one(
    talks: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        joining, "REFUSED_FOR_S", 60.0
    )  # what talks HTTP breaks off, which a wrong token does too
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        threading.Thread(target=answer_once, args=(server, talks), daemon=True).start()
        text = refused("worker", "--master", address, "--wait", "3s", "--out", str(tmp_path))
    assert f"what listens at {address} does not answer as a master does" in text
    assert "of this release; one that is still starting may need a longer --wait" in text


def answer_once(server: socket.socket, words: bytes) -> None:
    """Take whoever comes and say something to each, until the socket is closed."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            connection.sendall(words)
            KEPT.append(connection)


KEPT: list[socket.socket] = []
"""Connections that stay open, as an idle server's do."""


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--bind", "0.0.0.0:1"], "--bind 0.0.0.0: is reachable from outside and needs a token"),
        (
            ["--min-workers", "9", "--workers", "1"],
            "--min-workers 9: expected 1 to 1, the number of workers",
        ),
        (["--expect-workers", "2"], "--expect-workers: expected together with --target"),
        (["--bind", "nonsense:x"], "--bind nonsense:x: expected HOST:PORT"),
        (["--bind", "127.0.0.1:7"], "--bind: expected together with --expect-workers"),
    ],
)
def test_a_run_whose_workers_could_not_come_does_not_begin(
    flags: list[str], said: str, tmp_path: Path
) -> None:
    assert said in refused("run", "smoke", "--peak-tps", "5", "--out", str(tmp_path), *flags)


@pytest.mark.parametrize("kind", [f'{kind}"\n{more}' for kind, more in IMPAIRED.items()], ids=list(IMPAIRED))
def test_a_fault_of_the_network_is_refused_where_workers_elsewhere_cannot_reach_its_proxies(
    kind: str, tmp_path: Path
) -> None:
    plan = tmp_path / "cut.toml"
    plan.write_text(CUT.format(kind=kind))
    at_9 = ["run", str(plan), "--out", str(tmp_path), "--target", "http://127.0.0.1:9"]
    assert "workers on other machines (--expect-workers) cannot reach" in refused(
        *at_9, "--expect-workers", "1"
    )
    assert "Connection refused" in refused(*at_9)


def test_whoever_starts_a_run_is_told_what_to_type_elsewhere_and_that_loopback_is_here_alone() -> None:
    config = RunConfig(
        plan=Plan.load("smoke"), plan_name="smoke", workers=2, workers_elsewhere=2, control_port=7
    )
    assert "can connect only if this run is started with --bind ADDRESS:PORT" in how_to_join(config)
    assert "singlesday worker --master 10.0.0.1:7 --token-file FILE" in how_to_join(
        config.but(bind="10.0.0.1")
    )
    for everywhere in ("0.0.0.0", "::", "*"):
        assert "ADDRESS-OF-THIS-MACHINE:7" in how_to_join(config.but(bind=everywhere))
    assert "singlesday worker --master [fd00::1]:7 " in how_to_join(config.but(bind="fd00::1"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "*"])
def test_a_master_may_listen_where_this_machine_is_and_the_port_is_free(host: str) -> None:
    place = listening_place(Place(host, free_port()), "--bind")
    assert place.host in {"127.0.0.1", "::1", "0.0.0.0", "::", "*"}


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("192.0.2.7", "--bind 192.0.2.7:5557: is not an address of this machine"),
        ("nowhere.invalid", "--bind nowhere.invalid:5557: nowhere.invalid is not known on this machine"),
    ],
)
def test_a_master_listens_at_no_address_of_others(host: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        listening_place(Place(host, 5557), "--bind")


def test_a_master_listens_at_no_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = Place("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(ConfigError, match="the port is in use, perhaps by another run"):
            listening_place(place, "--bind")


def test_workers_whose_master_is_gone_end_with_a_sentence_instead_of_being_replaced(tmp_path: Path) -> None:
    said = io.StringIO()

    def start(name: str) -> Child:
        return Child(name, [sys.executable, "-c", "raise SystemExit(1)"], log=tmp_path / name)

    crew = Crew(1, start, lambda text: print(text, file=said))
    with socket.create_server(("127.0.0.1", 0)) as there, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # so that nobody listens there
        assert listens(Place("127.0.0.1", there.getsockname()[1]))
        place = Place("127.0.0.1", taken.getsockname()[1])
        assert not listens(place)
        assert serve(crew, place, Console(file=said, width=300)) == MASTER_LOST
    assert "takes its place" not in said.getvalue()


def test_workers_that_have_lost_their_master_are_not_replaced_and_say_no_more(tmp_path: Path) -> None:
    said = io.StringIO()

    def start(name: str) -> Child:
        code = MASTER_LOST if name == "worker-1" else 0
        return Child(name, [sys.executable, "-c", f"raise SystemExit({code})"], log=tmp_path / name)

    with socket.create_server(("127.0.0.1", 0)) as server:
        place = Place("127.0.0.1", server.getsockname()[1])
        crew = Crew(2, start, lambda text: print(text, file=said))
        assert serve(crew, place, Console(file=said, width=300)) == MASTER_LOST
    assert said.getvalue() == ""


@pytest.mark.parametrize("kept", [True, False], ids=["reported", "nothing reported"])
def test_workers_whose_master_stays_away_say_where_their_books_lie_and_what_to_do(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, plays = io.StringIO(), iter([MASTER_LOST, MASTER_LOST])
    records = tmp_path / "a-run" / "workers"

    def once(*_: object) -> int:
        if kept:
            records.mkdir(parents=True, exist_ok=True)
            (records / "w-7-0000000.reports").touch()
        if (code := next(plays, None)) is None:
            raise JoiningError("no master answered at 10.0.0.1:7 within 3 s")
        return code

    monkeypatch.setattr(worker, "work_once", once)
    console = Console(file=said, width=2000)
    assert worker.work(Master("10.0.0.1", 7), 4, tmp_path, 3, console) == ExitCode.ABORTED
    lost, lost_again, ending = said.getvalue().splitlines()
    assert lost == lost_again
    assert "the master at 10.0.0.1:7 is gone" in lost
    assert "waiting 3 s for its run to be resumed" in lost
    assert "error: no master answered at 10.0.0.1:7 within 3 s; start this command again" in ending
    assert (str(records) in lost, str(records) in ending) == (kept, kept)
    assert ("singlesday report" in ending) == kept


def test_a_crashed_worker_is_replaced_a_few_times_and_one_that_ended_well_is_not(tmp_path: Path) -> None:
    said: list[str] = []
    code = 3

    def start(name: str) -> Child:
        return Child(name, [sys.executable, "-c", f"raise SystemExit({code})"], log=tmp_path / name)

    def ended() -> bool:
        return not crew.running

    crew = Crew(1, start, said.append)
    for _ in range(MOST_REPLACED + 2):
        assert wait_until(ended, 100)
        crew.tend()
    assert len(said) == MOST_REPLACED
    assert "worker-1 crashed (exit code 3" in said[0]
    assert "worker-2 takes its place" in said[0]
    code = 0
    crew = Crew(1, start, said.append)
    assert wait_until(ended, 100)
    crew.tend()
    assert len(said) == MOST_REPLACED


def test_a_worker_that_has_said_what_is_wrong_with_its_script_is_not_started_again(tmp_path: Path) -> None:
    said = io.StringIO()

    def start(name: str) -> Child:
        script = "print('error: shop.py: no such class'); raise SystemExit(2)"
        return Child(name, [sys.executable, "-c", script], log=tmp_path / name)

    crew = Crew(1, start, lambda text: print(text, file=said))
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = Place("127.0.0.1", server.getsockname()[1])
        assert serve(crew, place, Console(file=said, width=300)) == 2
    assert said.getvalue() == "worker-1: exit code 2: error: shop.py: no such class\n"
