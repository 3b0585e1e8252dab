"""Tests that judge times: they fail only where the cores were theirs.

A short run on a machine that others use may rightly come out late. What must hold on any machine (books that
balance, exit codes, who was told what) is asserted as ever; what is a matter of time is asserted within the
fixture `timing`:

    def test_a_stall_is_seen(timing: Timing) -> None:
        ...
        with timing:
            assert longest_ms == pytest.approx(2_000, rel=0.02)

An assertion that fails within it is a failure of the test, unless the cores were taken meanwhile, be it by the tests
beside it: then the test is played again, at last with no other beside it, and if they were taken even then it skips
and says by whom. (pytest's --reruns, as in CI, plays any test again, at last alone.) Cores are taken where a run's
own books say so (`heard`), or where processes that are not the test's used a good part of them. A skip for this
reason stays one under `REQUIRE_ALL=1`: no program is missing. What others would always spoil is marked `alone`, and
plays last.
"""

import contextlib
import fcntl
import os
import re
import resource
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import psutil
import pytest

from loadtest.judge.validity import INVALID
from loadtest.measure.run_result import RunResult

TAKEN = 0.15
"""Share of all cores used by others from which on they explain a time that was missed: a third of one of two."""
ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}")
LONGEST_NAME = 500
"""Letters of a test's name: each worker of pytest-xdist tells all names, and the name again with each step."""
WAITING = {"system", "deploy", "examples"}
"""The folders whose tests start whole runs and wait for them."""
WAITING_UNTIL = 0.7
"""The share of a session in which they begin: a long one that began last would keep the other workers waiting."""
LOCKED = Path(__file__).parent
"""A folder that exists; nothing is written there. Who plays holds a lock on it."""
GATE = "conftest.py"
"""A file in it, locked by who waits for a place: one that waits to be alone holds up those that come later."""
LATE_FOR_OTHERS = "other programs used"
"""How `judge/validity` says it."""
LAST_LOST = "the last worker was lost"
"""How `fleet/coordinator` says it: a worker that has no core for two seconds is silent for as long."""


class CoreTakenError(AssertionError):
    """A time was missed while others used the cores: play the test again."""


def taken_by_others(result: RunResult) -> str | None:
    """The reason for which a run calls itself INVALID, where that is that others used its cores."""
    return next((reason for reason in result.validity.reasons if LATE_FOR_OTHERS in reason), None)


class Others:
    """How much of the machine's cores others have used since a moment: all but this process and its children."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._all_s, self._own_s = _used_by_all_s(), _used_by_us_s()

    def share(self) -> float:
        """Of all cores together, from 0 to 1."""
        lasted_s = max(time.monotonic() - self._began_s, 0.01)
        others_s = (_used_by_all_s() - self._all_s) - (_used_by_us_s() - self._own_s)
        return min(max(others_s / lasted_s / (os.cpu_count() or 1), 0.0), 1.0)

    def taken(self) -> str | None:
        """A sentence, where they used enough to make a run late."""
        share = self.share()
        return f"others used {share:.0%} of the machine's cores meanwhile" if share > TAKEN else None


def _used_by_all_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _used_by_us_s() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = time.process_time() + ended.ru_utime + ended.ru_stime
    return used_s + _used_below_s(os.getpid()) + sum(_ORPHANS_S)


def _used_below_s(pid: int) -> float:
    used_s = 0.0
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            used_s += sum(child.cpu_times())
    return used_s


_ORPHANS_S: list[float] = []


def note_orphans(pid: int) -> None:
    """Count as ours what those below a process have used that is about to be killed: nobody reaps them for us."""
    with contextlib.suppress(psutil.NoSuchProcess):
        _ORPHANS_S.append(_used_below_s(pid))


def unless_taken(result: RunResult, others: Others | None = None) -> None:
    """Raise `CoreTakenError` for a run that is INVALID because others used its cores: it proves nothing.

    The run says so itself, or `others`, which were watched since it began, used enough to explain any other reason.
    They alone explain why a run ended early: its last worker had no core for so long that it was taken for lost.
    """
    if others is not None:
        unless_ended(result, others)
    if (reason := _excuse(result, others)) is not None:
        raise CoreTakenError(reason)


def unless_ended(result: RunResult, others: Others) -> None:
    """Raise `CoreTakenError` for a run that ended early since others used the cores of its last worker.

    For where no time is judged: the books of a run that is INVALID for others' sake are of use.
    """
    if (reason := _lost_to(result, others)) is not None:
        raise CoreTakenError(reason)


def _excuse(result: RunResult, others: Others | None) -> str | None:
    if result.verdict != INVALID:
        return None
    return taken_by_others(result) or (others.taken() if others is not None else None)


def _lost_to(result: RunResult, others: Others) -> str | None:
    """By whom the cores of a run's last worker were taken, where the run ended since that was silent."""
    told = [*result.validity.reasons, *(text for _, text in result.events)]
    if result.verdict != "ABORTED" or not any(LAST_LOST in text for text in told):
        return None
    return others.taken()


def ended_well(result: RunResult, others: Others) -> bool:
    """Whether a run passed, or was INVALID only where others used its cores: of use where no time is judged.

    Raises `CoreTakenError` where they made it end early, which is of no use.
    """
    unless_ended(result, others)
    return result.verdict == "PASS" or _excuse(result, others) is not None


def plays(item: pytest.Item) -> int:
    """Which of a test's plays this is, from 1."""
    return getattr(item, "execution_count", 1)


def plays_again(item: pytest.Item) -> bool:
    """Whether this is not a test's first play."""
    return plays(item) > 1


def plays_last(item: pytest.Item) -> bool:
    """Whether this is the last play that a test has."""
    mark = item.get_closest_marker("flaky")
    return mark is None or plays(item) > mark.kwargs["reruns"]


@contextlib.contextmanager
def skipped_at_last(item: pytest.Item) -> Iterator[None]:
    """Skip a test whose cores were taken in each of its plays."""
    try:
        yield
    except CoreTakenError as taken:
        if plays_last(item):
            pytest.skip(f"no time can be judged: {taken}")
        raise


class Timing:
    """Assertions about time, within `with timing:`, of one play of one test."""

    def __init__(self, *, again: bool) -> None:
        self.again = again
        self._others = Others()
        self._heard: str | None = None
        self._excuses = True

    @classmethod
    def on_a_quiet_machine(cls) -> "Timing":
        """One that excuses nothing, to show that a test's assertions can fail."""
        quiet = cls(again=False)
        quiet._excuses = False
        return quiet

    def heard(self, result: RunResult) -> None:
        """Take note of what a run says of its own cores."""
        self.told(taken_by_others(result))

    def told(self, reason: str | None) -> None:
        """Take note of what was seen while something played that a test judges afterwards; None is no reason."""
        self._heard = self._heard or reason

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._excuses or not isinstance(error, AssertionError):
            return
        reason = self._heard or self._others.taken()
        if reason is None:
            return
        missed = str(error).partition("\n")[0]
        raise CoreTakenError(f"{reason} ({missed})") from error


@pytest.fixture
def timing(request: pytest.FixtureRequest) -> Timing:
    """What the module says."""
    return Timing(again=plays_again(request.node))


def plays_alone(item: pytest.Item) -> bool:
    """Whether others beside a test would always spoil it: it plays after them."""
    return item.get_closest_marker("alone") is not None


def arrange(items: list[pytest.Item]) -> None:
    """Order tests for several workers.

    Those that play alone come last, as one group. Any may be played a second time. Of the others, those that share
    something (a service, a database, a browser) stay with it on one worker, and so do those of one file that wait for
    no process: pytest-xdist's scheduler takes time in proportion to the square of the number of groups.
    """
    for item in items:
        if ADDRESS.search(item.nodeid):
            raise pytest.UsageError(
                f"{item.nodeid}: the name of a test may hold no address: it differs by process"
            )
        if len(item.nodeid) > LONGEST_NAME:
            raise pytest.UsageError(
                f"{item.nodeid[:LONGEST_NAME]}…: expected a name of at most {LONGEST_NAME} letters"
            )
        asked = item.config.getoption("reruns", None)
        item.add_marker(played_again(asked, alone=plays_alone(item)))
        if plays_alone(item):
            item.add_marker(pytest.mark.xdist_group("alone"))
        elif owner := shared(item):
            item.add_marker(pytest.mark.xdist_group(owner))
        elif not waits(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    places = mixed(items) if "PYTEST_XDIST_WORKER" in os.environ else {}
    items.sort(key=lambda item: (plays_alone(item), places.get(item, 0.0)))


def waits(item: pytest.Item) -> bool:
    """Whether a test mostly waits for processes that it started."""
    return item.path.parent.name in WAITING


def mixed(items: list[pytest.Item]) -> dict[pytest.Item, float]:
    """The place of each test from 0 to 1, so that some wait while others compute, and none waits at the end.

    Of the others those that share something begin, then the files with most tests: a file stays on one worker, and at
    the end all should have little left.
    """
    sizes = Counter(item.path for item in items)
    waiting = [item for item in items if waits(item)]
    others = [item for item in items if not waits(item)]
    others.sort(key=lambda item: (shared(item) is None, -sizes[item.path]))
    return {
        item: until * number / len(alike)
        for alike, until in ((waiting, WAITING_UNTIL), (others, 1.0))
        for number, item in enumerate(alike)
    }


def played_again(asked: int | None, *, alone: bool) -> pytest.MarkDecorator:
    """How often a test is played again: as --reruns asks for any failure, else where cores were taken.

    That is once as before, since all others have to wait for a test that is to be alone, and then once alone.
    """
    if asked:
        return pytest.mark.flaky(reruns=asked)
    return pytest.mark.flaky(reruns=1 if alone else 2, only_rerun=[CoreTakenError.__name__])


def shared(item: pytest.Item) -> str | None:
    """The file or folder of ours whose fixture this test shares with others, if it does."""
    if not isinstance(item, pytest.Function):
        return None
    fixtures = [fixtures[-1] for fixtures in item._fixtureinfo.name2fixturedefs.values()]
    owners = [
        fixture.baseid for fixture in fixtures if fixture.scope in {"module", "session"} and fixture.baseid
    ]
    return min(owners, key=len, default=None)


class Place:
    """A test's place among those that run side by side: together with others, or alone.

    Workers of pytest-xdist are processes. Those that play together share a lock; one that plays alone has it for
    itself.
    """

    def __init__(self) -> None:
        self._gate = os.open(LOCKED / GATE, os.O_RDONLY)
        self._folder = os.open(LOCKED, os.O_RDONLY)

    def take(self, *, alone: bool) -> None:
        """Wait for it, and hold it until `leave`; one that is held already is left first."""
        fcntl.flock(self._folder, fcntl.LOCK_UN)
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        fcntl.flock(self._folder, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(self._gate, fcntl.LOCK_UN)

    def leave(self) -> None:
        """Let others have it."""
        os.close(self._folder)
        os.close(self._gate)


_PLACE = pytest.StashKey[Place]()
_LIMIT = pytest.StashKey[object]()


@contextlib.contextmanager
def place(item: pytest.Item) -> Iterator[None]:
    """Hold a place for a test, however often it is played."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield  # no test beside this one
        return
    held = item.stash[_PLACE] = Place()
    try:
        held.take(alone=plays_alone(item))
        yield
    finally:
        held.leave()


def begin_again(item: pytest.Item) -> None:
    """Give a test that is played again as long as the first play had, and for its last the machine for itself."""
    if not plays_again(item):
        return
    item.ihook.pytest_timeout_cancel_timer(item=item)
    if _PLACE in item.stash and plays_last(item):
        item.stash[_PLACE].take(alone=True)
    limit_again(item)


def limit_again(item: pytest.Item) -> None:
    """Begin a test's time limit anew: pytest-timeout's ends with a failure, and what comes after would have none."""
    item.ihook.pytest_timeout_cancel_timer(item=item)
    if _LIMIT in item.stash:
        item.ihook.pytest_timeout_set_timer(item=item, settings=item.stash[_LIMIT])


def note_limit(item: pytest.Item, settings: object) -> None:
    """Remember what pytest-timeout was asked for."""
    item.stash[_LIMIT] = settings
