"""What `singlesday resume` refuses, with a sentence that says why, before anything starts."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from loadtest.cli.main import app
from loadtest.cli.resume import ResumeError, resumable, where_it_goes_on
from loadtest.configuration.run_config import RunConfig
from loadtest.configuration.run_document import held, write_document
from loadtest.exit_codes import ExitCode
from loadtest.fleet import checkpoint as checkpoints
from loadtest.fleet.checkpoint import Checkpoint
from loadtest.fleet.history import History
from loadtest.fleet.merge import Merge
from loadtest.fleet.worker_totals import PackedWorker
from loadtest.measure import codec
from loadtest.measure.histogram import Histogram
from loadtest.measure.run_result import Arrivals, RunInfo, RunResult, Transactions
from loadtest.measure.second import COUNTERS
from loadtest.plan.plan_file import Plan

SOAK = Plan.load("soak")
CONFIG = RunConfig(
    plan=SOAK, plan_name="soak", workers=3, service_workers=2, checkpoint_s=30.0, conducted=True
)
INFO = RunInfo(
    id="soak-1",
    plan="soak",
    started_at="2026-11-11T00:00:00+00:00",
    duration_s=1.0,
    seed=1,
    versions={},
    machine={},
)


def checkpoint(plan: bytes = SOAK.to_json()) -> bytes:
    """Of a run that played 83 minutes."""
    served = PackedWorker("w", 0, 0.1, 0.0, codec.encode(Histogram()), [1] * len(COUNTERS))
    return checkpoints.encode(
        Checkpoint(
            info=INFO,
            plan=plan,
            slos=[],
            periods=[],
            history=History(4980 * 10**9, [], {"w": "worker 1"}, []),
            totals=msgspec.structs.replace(Merge().pack(), workers=[served]),
            gauges={},
            written_wall_ns=0,
        )
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder that can be resumed."""
    write_document(CONFIG, tmp_path)
    checkpoints.write(checkpoint(), tmp_path)
    (tmp_path / "orders.db").touch()
    return tmp_path


def resume(folder: Path, store: str | None = None) -> str:
    """The line that says where it goes on."""
    with resumable(folder, store=store, console="auto", metrics_port=None) as run:
        config = run.config
        assert (config.plan, config.workers, config.service_workers) == (SOAK, 3, 2)
        assert (config.checkpoint_s, config.folder, config.auto_peak) == (30.0, str(folder), False)
        return where_it_goes_on(run)


def test_a_killed_run_goes_on_with_its_own_plan_and_settings(folder: Path) -> None:
    assert resume(folder) == "resuming at 1:23:00 of 2:00:00 …"


def test_a_run_is_held_while_it_goes_on(folder: Path) -> None:
    with held(folder), pytest.raises(ResumeError, match="still going on"):
        resume(folder)
    with resumable(folder, store=None, console="auto", metrics_port=None), pytest.raises(ResumeError):
        resume(folder)
    resume(folder)


def test_it_goes_on_in_the_directory_that_it_was_started_in(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("at-first"))
    write_document(CONFIG, folder)
    at_first = Path.cwd()
    monkeypatch.chdir(folder.parent)
    with resumable(Path(folder.name), store=None, console="auto", metrics_port=None) as run:
        assert Path.cwd() == at_first
        assert run.config.folder == str(folder)


def test_where_that_directory_is_gone_it_goes_on_from_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "gone").mkdir()
    monkeypatch.chdir(folder / "gone")
    write_document(CONFIG, folder)
    monkeypatch.chdir(folder)
    (folder / "gone").rmdir()
    with resumable(Path(), store=None, console="auto", metrics_port=None):
        assert Path.cwd() == folder


@pytest.mark.parametrize(
    ("at_first", "given", "then"),
    [
        (None, None, None),
        ("http://metrics.test/push", None, "http://metrics.test/push"),
        ("http://metrics.test/push", "", None),
        ("http://me:secret@metrics.test/push", "http://me:other@metrics.test/push", None),
    ],
)
def test_metrics_go_where_they_went_unless_it_is_said_otherwise(
    folder: Path, at_first: str | None, given: str | None, then: str | None
) -> None:
    write_document(CONFIG.but(remote_write=at_first), folder)
    with resumable(folder, store=None, console="auto", metrics_port=None, remote_write=given) as run:
        assert run.config.remote_write == (then or given or None)


def ended(folder: Path) -> None:
    (folder / checkpoints.CHECKPOINT).unlink()
    result = RunResult(run=INFO, arrivals=Arrivals(), transactions=Transactions(), verdict="FAIL")
    result.write(folder / "result.json")


def rewritten(**changes: object) -> Callable[[Path], None]:
    return lambda folder: write_document(CONFIG.but(**changes), folder)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no settings": (lambda folder: (folder / "run.json").unlink(), "expected the folder of a run"),
    "a run that has ended": (ended, "has ended .FAIL., so there is nothing to resume; `singlesday audit`"),
    "nothing was played": (
        lambda folder: (folder / "checkpoint.bin").unlink(),
        "sent anything; start a new one",
    ),
    "a damaged checkpoint": (
        lambda folder: (folder / "checkpoint.bin").write_bytes(checkpoint()[:-9]),
        "checkpoint.bin: a checkpoint that is damaged",
    ),
    "a checkpoint of another version": (
        lambda folder: (folder / "checkpoint.bin").write_bytes(b"singlesday checkpoint 7\n"),
        "expected a checkpoint of version 2, got version 7",
    ),
    "a plan that cannot be played": (
        lambda folder: checkpoints.write(checkpoint(b'{"name": "x"}'), folder),
        "plan sent as JSON",
    ),
    "its metrics went to an address with a password": (
        rewritten(remote_write="http://me:secret@metrics.test/push"),
        "--remote-write: expected http://me@metrics.test/push with its password",
    ),
    "its database is gone": (
        lambda folder: (folder / "orders.db").unlink(),
        "orders.db: not found; expected",
    ),
    "a password that is not written down": (
        rewritten(store="postgresql://u:secret@127.0.0.1/orders"),
        "--store: expected postgresql://u@127.0.0.1/orders with its password",
    ),
    "a target with a password": (rewritten(targets=["http://u:secret@127.0.0.1:1"]), "had a password"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_gone_on_with_is_refused_as_usage(case: str, folder: Path) -> None:
    spoil, named = REFUSED[case]
    spoil(folder)
    before = sorted(path.name for path in folder.iterdir())
    done = CliRunner().invoke(app, ["resume", str(folder)])
    assert done.exit_code == ExitCode.USAGE
    with pytest.raises(ValueError, match=named):
        resume(folder)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_run_of_an_older_version_goes_on_with_what_its_settings_were(folder: Path) -> None:
    (folder / "run.json").write_text(
        '{"version": 1, "workers": 3, "service_workers": 2, "store": null, "targets": [], "allow_hosts": [],'
        ' "service_metrics": null, "csv": false, "checkpoint_s": 30.0, "withheld": []}'
    )
    assert resume(folder) == "resuming at 1:23:00 of 2:00:00 …"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="nowhere"):
        resume(tmp_path / "nowhere")


def test_a_store_given_again_must_be_the_same_but_for_its_password(folder: Path) -> None:
    rewritten(store="postgresql://u:secret@127.0.0.1/orders")(folder)
    resume(folder, "postgresql://u:secret@127.0.0.1/orders")
    with pytest.raises(ResumeError, match="the database of this run"):
        resume(folder, "postgresql://u:secret@127.0.0.1/others")
    rewritten()(folder)
    with pytest.raises(ResumeError, match=r"orders\.db"):
        resume(folder, "sqlite:///others.db")
