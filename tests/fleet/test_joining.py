"""A worker that greets a master: what it brings home, and what stands in the way, each in one sentence."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import zmq

from loadtest.fleet import joining
from loadtest.fleet.greeting import (
    GREETING,
    Answered,
    Chunk,
    Greeter,
    SentFile,
    Welcome,
    encode,
    plan_files_of,
)
from loadtest.fleet.joining import Joining, JoiningError, Master

BUILD = {"singlesday": "0.2.0", "locust": "2.47.0"}
Answer = Callable[[object], Answered | bytes | None]


@contextmanager
def master(answer: Answer) -> Iterator[Master]:
    """Something that answers greetings, at an address of loopback."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.linger = 0
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            if not socket.poll(20):
                continue
            sender, frame = socket.recv_multipart()
            _, data, name = msgspec.msgpack.decode(frame, type=tuple[str, bytes, str])
            answered = answer(data)
            if isinstance(answered, bytes):
                socket.send_multipart([sender, answered])
            elif answered is not None:
                socket.send_multipart([sender, msgspec.msgpack.encode((GREETING, encode(answered), name))])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Master("localhost", port)
    finally:
        over.set()
        thread.join(60)
        socket.close()
        context.term()


def bring(answer: Answer, folder: Path, build: dict[str, str] = BUILD) -> Welcome:
    folder.mkdir(exist_ok=True)
    with master(answer) as there, Joining(there, 30, lambda _: None) as visitor:
        return visitor.bring(build, folder)


def test_the_plans_files_are_brought_home_chunk_by_chunk(tmp_path: Path) -> None:
    plan, rows = tmp_path / "shop.toml", tmp_path / "rows.csv"
    plan.write_text("name = 'shop'")
    rows.write_bytes(b"sku\n" * 600_000)
    greeter = Greeter(BUILD)
    greeter.plan_files = plan_files_of(plan, [rows])
    welcome = bring(greeter.answer, tmp_path / "home")
    assert welcome.plan == "shop.toml"
    assert (tmp_path / "home" / "rows.csv").read_bytes() == rows.read_bytes()
    assert (tmp_path / "home" / "shop.toml").read_text() == plan.read_text()


def test_a_disk_without_room_for_a_file_is_told_with_the_files_name(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "a").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: .*home/a"):
        bring(welcome_of(SentFile("a", 6, "")), tmp_path / "home")


def test_a_file_is_hashed_again_only_when_it_has_changed(tmp_path: Path) -> None:
    plan = tmp_path / "shop.toml"
    plan.write_text("name = 'shop'")
    files = plan_files_of(plan, [])
    first = files.welcome().files[0].sha256
    assert files.welcome().files[0].sha256 == first
    plan.write_text("name = 'another'")
    assert files.welcome().files[0].sha256 != first


def test_another_release_is_refused_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(
        JoiningError, match=r"refuses this worker: .* pip install singlesday-loadtest==0\.2\.0"
    ):
        bring(Greeter(BUILD).answer, tmp_path / "home", {"singlesday": "0.1.0"})


def welcome_of(*files: SentFile) -> Answer:
    """A master that offers files and sends other bytes, once."""
    said: list[Answered] = [
        Welcome("shop.toml", list(files), []),
        Chunk("a", 0, b"others"),
        Chunk("a", 6, b""),
    ]
    return lambda _: said.pop(0) if said else None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (welcome_of(SentFile("../a", 6, "")), "sends a file of an unusable name"),
        (welcome_of(SentFile("a", 6, "0" * 64)), "a was changed on the master's machine while it was sent"),
        (welcome_of(SentFile("a", 9, "0" * 64)), "a was changed on the master's machine while it was sent"),
        (lambda _: b"\xc1\xc1\xc1", "is no master of this release"),
        (lambda _: msgspec.msgpack.encode((GREETING, b"\xc1", "w")), "is no master of this release"),
    ],
    ids=["a name above the folder", "other bytes", "too few bytes", "no message", "no answer"],
)
def test_what_a_master_may_not_say_is_one_sentence(answer: Answer, said: str, tmp_path: Path) -> None:
    with pytest.raises(JoiningError, match=said):
        bring(answer, tmp_path / "home")


def test_a_name_without_an_address_is_told_from_a_master_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[str] = []
    with (
        Joining(Master("nowhere.invalid", 5557), 1.2, told.append) as visitor,
        pytest.raises(
            JoiningError, match=r"within 1\.2 s: this machine knows no address of nowhere\.invalid"
        ),
    ):
        visitor.bring(BUILD, tmp_path)
    assert told == [
        "waiting for the master at nowhere.invalid:5557: this machine knows no address of nowhere.invalid …"
    ]


def test_all_addresses_of_a_name_are_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(joining, "NEXT_ADDRESS_S", 0.2)
    monkeypatch.setattr(joining, "addresses_of", lambda _: ["127.0.0.3", "::1", "127.0.0.1"])
    greeter = Greeter(BUILD)
    greeter.plan_files = plan_files_of(Path(__file__), [])
    with master(greeter.answer) as there, Joining(there, 30, lambda _: None) as visitor:
        assert visitor.bring(BUILD, tmp_path / "home").plan == "test_joining.py"
        assert visitor.place.host == "127.0.0.1"
