"""The process that plays faults: what it began it undoes, whatever ends it or its leader."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import msgspec

from loadtest.faults.machine_faults import FILLER
from loadtest.faults.maker import Maker
from loadtest.faults.messages import (
    Began,
    Begin,
    Ended,
    Failed,
    Order,
    Ready,
    Refused,
    Token,
    ToLeader,
    Undo,
)
from loadtest.faults.player import UNMET, Player
from loadtest.plan.fault import Fault

COMMAND = [sys.executable, "-m", "loadtest.faults"]
LONG_S = 3600.0
SOON_S = 0.05


class Leader:
    """A leader's ends of the pipes."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self._to, self._from = process, process.stdin, process.stdout

    def say(self, message: msgspec.Struct) -> None:
        self._to.write(msgspec.json.encode(message) + b"\n")
        self._to.flush()

    def hear(self) -> ToLeader:
        said: ToLeader = msgspec.json.decode(self._from.readline(), type=ToLeader)
        return said

    def hang_up(self) -> list[ToLeader]:
        """Go without a word; what the player still says."""
        self._to.close()
        said = [msgspec.json.decode(line, type=ToLeader) for line in self._from]
        self.process.wait(60)
        return said


@contextmanager
def playing(*faults: Fault, undo: dict[int, Token] | None = None) -> Iterator[Leader]:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        leader = Leader(process)
        leader.say(Order(list(faults), [], undo=undo or {}))
        yield leader
        process.kill()


def hook(
    folder: Path, for_s: float = LONG_S, *, begin: str = "touch begun", undo: str = "touch undone"
) -> Fault:
    inside = f"cd {folder}; "
    return Fault(
        name="hook",
        kind="hook",
        at_s=SOON_S,
        for_s=for_s,
        command=("sh", "-c", inside + begin),
        undo=("sh", "-c", inside + undo),
    )


def begin(leader: Leader) -> ToLeader:
    zero_time_given(leader)
    return leader.hear()


def zero_time_given(leader: Leader) -> int:
    """Let it begin; the run's time zero, in ns."""
    assert leader.hear() == Ready([])
    zero_ns = time.monotonic_ns()
    leader.say(Begin(zero_ns))
    return zero_ns


def test_a_fault_begins_lasts_and_is_undone(tmp_path: Path) -> None:
    with playing(hook(tmp_path, for_s=SOON_S)) as leader:
        zero_ns = zero_time_given(leader)
        began, ended = leader.hear(), leader.hear()
        assert isinstance(began, Began)
        assert isinstance(ended, Ended)
        # By the schedule: a beginning that is told late makes a fault no longer.
        assert began.at_ns >= zero_ns + SOON_S * 1e9
        assert ended.at_ns >= zero_ns + 2 * SOON_S * 1e9
        assert leader.hang_up() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "undone"]


def test_it_is_undone_when_the_leader_is_gone(tmp_path: Path) -> None:
    with playing(hook(tmp_path)) as leader:
        begin(leader)
        (ended,) = leader.hang_up()
        assert isinstance(ended, Ended)
    assert (tmp_path / "undone").exists()


def test_it_is_undone_when_the_schedule_ends_early(tmp_path: Path) -> None:
    with playing(hook(tmp_path)) as leader:
        begin(leader)
        leader.say(Undo())
        assert isinstance(leader.hear(), Ended)
        assert (tmp_path / "undone").exists()


def test_it_is_undone_when_the_player_is_told_to_end(tmp_path: Path) -> None:
    with playing(hook(tmp_path)) as leader:
        begin(leader)
        leader.process.send_signal(signal.SIGTERM)
        assert isinstance(leader.hear(), Ended)
    assert (tmp_path / "undone").exists()


def test_what_a_killed_player_left_behind_another_undoes(tmp_path: Path) -> None:
    fault = hook(tmp_path)
    with playing(fault) as leader:
        began = begin(leader)
        assert isinstance(began, Began)
        leader.process.kill()
        leader.process.wait()
    assert not (tmp_path / "undone").exists()
    with playing(fault, undo={0: began.token}) as another:
        assert isinstance(another.hear(), Ended)
        assert another.hang_up() == []
    assert (tmp_path / "undone").exists()


def test_a_hook_that_fails_is_told_with_its_last_words_and_is_undone_all_the_same(tmp_path: Path) -> None:
    with playing(hook(tmp_path, begin="echo no such shop >&2; exit 3")) as leader:
        failed = begin(leader)
        assert isinstance(failed, Failed)
        assert "exit code 3: no such shop" in failed.why
        assert isinstance(leader.hear(), Ended)
    assert (tmp_path / "undone").exists()


def test_a_hook_that_cannot_be_undone_is_told(tmp_path: Path) -> None:
    with playing(hook(tmp_path, for_s=SOON_S, undo="exit 4")) as leader:
        assert isinstance(begin(leader), Began)
        failed = leader.hear()
        assert isinstance(failed, Failed)
        assert failed.why.startswith("it could not be undone: ")


def test_what_cannot_be_played_is_refused_before_anything_begins(tmp_path: Path) -> None:
    missing = Fault(name="a", kind="hook", at_s=1, command=("/no/such/program",))
    disk = Fault(name="b", kind="disk-full", at_s=1, for_s=1, folder=str(tmp_path / "nowhere"))
    worker = Fault(name="c", kind="kill", at_s=1)
    for fault, why in (
        (missing, "expected a program"),
        (disk, "expected a folder"),
        (worker, "did not start"),
    ):
        with playing(fault) as leader:
            refused = leader.hear()
            assert isinstance(refused, Refused)
            assert refused.fault == fault.name
            assert why in refused.why


class Crash(Maker):
    """A fault that keeps a service down until it is undone."""

    def __init__(self, is_up: asyncio.Event) -> None:
        self._is_up = is_up

    def check(self) -> None:
        """It can always be made."""

    async def begin(self) -> tuple[str, Token]:
        self._is_up.clear()
        return "it is down", {}

    async def undo(self, _token: Token) -> None:
        self._is_up.set()


class Told(Crash):
    """One that the service has to be up for."""

    async def begin(self) -> tuple[str, Token]:
        await self._is_up.wait()
        return "it was told", {}

    async def undo(self, _token: Token) -> None:
        await self._is_up.wait()


class Missed(Crash):
    """One that nothing meets."""

    async def was_met(self) -> bool:
        return False


def test_a_fault_that_nothing_met_is_undone_and_told_as_no_proof() -> None:
    async def play() -> list[ToLeader]:
        said: list[ToLeader] = []
        player = Player(Order([Fault(name="error", at_s=0, for_s=SOON_S, kind="error")], []), said.append)
        player._makers = [Missed(asyncio.Event())]
        player._begin(time.monotonic_ns())
        async with asyncio.timeout(30):
            await asyncio.gather(*player._tasks)
        return said

    began, ended, failed = asyncio.run(play())
    assert isinstance(began, Began)
    assert isinstance(ended, Ended)
    assert failed == Failed(0, UNMET)


def test_a_run_that_ends_while_the_service_is_down_undoes_what_waits_for_it() -> None:
    async def play() -> list[ToLeader]:
        said: list[ToLeader] = []
        faults = [
            Fault(name="crash", at_s=0, for_s=LONG_S, kind="kill", process="supervisor"),
            Fault(name="stall", at_s=0, for_s=LONG_S, kind="stall"),
        ]
        player, is_up = Player(Order(faults, []), said.append), asyncio.Event()
        player._makers = [Crash(is_up), Told(is_up)]
        player._begin(time.monotonic_ns())
        while not said:
            await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await player.close()
        return said

    said = asyncio.run(play())
    assert [(type(word), word.number) for word in said if isinstance(word, Began | Ended)] == [
        (Began, 0),
        (Ended, 0),
        (Began, 1),
        (Ended, 1),
    ]


class Broken(Crash):
    """One that ends in errors of its own, whatever is asked of it."""

    async def begin(self) -> tuple[str, Token]:
        raise OSError("no memory")

    async def was_met(self) -> bool:
        raise ValueError("no number")

    async def undo(self, _token: Token) -> None:
        raise HTTPException("SSH-2.0")


class Stuck(Broken):
    """One that can be begun."""

    async def begin(self) -> tuple[str, Token]:
        return "it is down", {}


def played(*makers: Maker, for_s: float) -> list[ToLeader]:
    """What is said of a run with these faults, until it is over or, if they go on for ever, is ended."""

    async def play() -> list[ToLeader]:
        said: list[ToLeader] = []
        faults = [Fault(name=f"f{n}", kind="error", at_s=0, for_s=for_s) for n in range(len(makers))]
        player = Player(Order(faults, []), said.append)
        player._makers = list(makers)
        player._begin(time.monotonic_ns())
        async with asyncio.timeout(30):
            if for_s < LONG_S:
                await asyncio.gather(*player._tasks)
            while len(said) < len(makers):
                await asyncio.sleep(0)
            await player.close()
        return said

    return asyncio.run(play())


def test_a_fault_that_breaks_as_it_begins_is_told_with_its_reason_and_no_other_is_left() -> None:
    is_up = asyncio.Event()
    said = played(Broken(is_up), Crash(is_up), for_s=LONG_S)
    assert said[:2] == [Failed(0, "OSError: no memory"), said[1]]
    assert said[2] == Failed(0, "it could not be undone: HTTPException: SSH-2.0")
    assert (type(said[1]), type(said[3]), is_up.is_set()) == (Began, Ended, True)


def test_a_fault_whose_undo_breaks_leaves_no_other_undone() -> None:
    is_up = asyncio.Event()
    said = played(Stuck(is_up), Crash(is_up), for_s=LONG_S)
    assert Failed(0, "it could not be undone: HTTPException: SSH-2.0") in said
    assert isinstance(said[-1], Ended)
    assert is_up.is_set()


def test_a_fault_of_which_nobody_can_tell_whether_it_was_met_is_undone_at_its_end_all_the_same() -> None:
    is_up = asyncio.Event()
    is_up.set()
    unknown = Crash(is_up)
    unknown.was_met = Broken(is_up).was_met  # type: ignore[method-assign]
    began, failed, ended = played(unknown, for_s=SOON_S)
    assert (type(began), type(ended)) == (Began, Ended)
    assert failed == Failed(0, "whether anything met it cannot be told: ValueError: no number")
    assert is_up.is_set()


def test_what_breaks_as_another_undoes_it_leaves_nothing_else_behind(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    (blocked / FILLER / "in it").mkdir(parents=True)
    disk = Fault(name="disk", kind="disk-full", at_s=1, for_s=1, folder=str(blocked))
    with playing(disk, hook(tmp_path), undo={0: {}, 1: {}}) as leader:
        failed, ended = leader.hear(), leader.hear()
        assert isinstance(failed, Failed)
        assert failed.why.startswith("it could not be undone: IsADirectoryError: ")
        assert ended == msgspec.structs.replace(ended, number=1)
        assert leader.hang_up() == []
    assert (tmp_path / "undone").exists()
