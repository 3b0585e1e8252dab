"""A run whose master was killed: what its workers have written down themselves is added to its last checkpoint."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtest.fleet import checkpoint as checkpoints
from loadtest.fleet.journal import FILE_REPORTS, FOLDER, Journal, forget_reports, read_reports
from loadtest.fleet.messages import Report
from loadtest.fleet.recovered import Recovered, recover
from loadtest.fleet.snapshot import PeriodRecords, broken_off, progress
from loadtest.measure.run_result import Arrivals
from tests.fleet.sample_report import report, second
from tests.fleet.simulated_fleet import RATE, SimulatedFleet, SimulatedWorker
from tests.fleet.test_checkpoint import INFO, run_until_level, take


def keep(worker: SimulatedWorker, folder: Path) -> Journal:
    """Have a worker keep a record of its own, as the real one does."""
    journal, make = Journal(folder, worker.name), worker.reporter.report

    def kept(*seconds: object, **state: object) -> Report:
        made = make(*seconds, **state)  # type: ignore[arg-type]  # passed on
        journal.write(made, worker.zero_wall_ns)
        return made

    worker.reporter.report = kept  # type: ignore[method-assign]
    return journal


def killed_at(folder: Path, saved_s: float, killed_s: float) -> tuple[bytes, Arrivals]:
    """A checkpoint of a run that is killed later, and its books at that moment, which nobody will see."""
    fleet = SimulatedFleet(3, 12, takes_s=0.25)
    journals = [keep(worker, folder) for worker in fleet.workers.values()]
    run_until_level(fleet, saved_s)
    saved = take(fleet)
    fleet.run_until(killed_s)
    for journal in journals:
        journal.close()
    books = progress(fleet.coordinator, INFO, PeriodRecords())
    return saved, broken_off(books.arrivals)


def recovered(saved: bytes, folder: Path) -> Recovered:
    checkpoint = checkpoints.decode(saved)
    reports = read_reports(folder, checkpoint.history.zero_wall_ns)
    return recover(checkpoint, reports, lambda from_s, to_s: RATE * (to_s - from_s))


def test_checkpoint_and_records_together_are_the_books_that_died_with_the_master(tmp_path: Path) -> None:
    saved, books = killed_at(tmp_path, 4.4, 8.9)
    found = recovered(saved, tmp_path)
    assert found.result.arrivals == books
    assert books.ok > 700
    assert books.cancelled > 0
    assert found.workers == 3
    assert f"with {found.reports} later reports of 3 workers" in found.told
    assert found.result.run.duration_s >= 8
    assert sum(point.scheduled for point in found.result.timeline) == books.scheduled + books.lost


def test_records_of_a_part_that_was_taken_up_again_since_do_not_count(tmp_path: Path) -> None:
    saved, books = killed_at(tmp_path, 4.4, 8.9)
    for path in list((tmp_path / FOLDER).iterdir()):
        worker, zero, number = path.name.rsplit("-", 2)
        shutil.copy(path, path.with_name(f"{worker}_before-{int(zero) - 20 * 10**9}-{number}"))
    found = recovered(saved, tmp_path)
    assert (found.result.arrivals, found.workers) == (books, 3)


def test_a_checkpoint_without_records_is_told_as_it_is(tmp_path: Path) -> None:
    saved, _ = killed_at(tmp_path, 4.4, 5.0)
    forget_reports(tmp_path)
    found = recovered(saved, tmp_path)
    assert (found.reports, found.told) == (0, "the master was killed, this is its last checkpoint")
    assert found.result.arrivals.ok > 300


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 5_000), noise=st.binary(max_size=8))
def test_a_record_that_ends_anywhere_counts_as_far_as_it_goes(tmp_path: Path, cut: int, noise: bytes) -> None:
    saved, books = killed_at(tmp_path, 2.4, 4.9)
    path = sorted((tmp_path / FOLDER).iterdir())[0]
    path.write_bytes(path.read_bytes()[:cut] + noise)
    found = recovered(saved, tmp_path).result.arrivals
    assert found.planned == found.scheduled + found.lost
    assert found.started == found.ok + found.cancelled
    assert found.ok <= books.ok
    forget_reports(tmp_path)


def test_reports_that_a_checkpoint_has_are_removed_file_by_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w")
    for number in range(3 * FILE_REPORTS):
        journal.write(report(number, second(number)))
    journal.saved(FILE_REPORTS)
    numbers = [found.number for _, found in read_reports(tmp_path)]
    assert numbers == list(range(FILE_REPORTS, 3 * FILE_REPORTS))
    journal.saved(3 * FILE_REPORTS - 1)
    assert [found.number for _, found in read_reports(tmp_path)] == numbers[FILE_REPORTS:], (
        "the last is written to"
    )
    journal.close()
    assert list(read_reports(tmp_path)), "its last report is in no checkpoint"
    journal.saved(3 * FILE_REPORTS)
    journal.close()
    assert not list(read_reports(tmp_path))


def test_a_disk_that_takes_no_record_ends_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FOLDER).write_text("a file where a folder should be")
    journal = Journal(tmp_path, "w")
    for number in range(3):
        journal.write(report(number))
    journal.close()
    assert caplog.text.count("own record cannot be kept") == 1


def test_a_disk_that_fills_up_ends_no_run_when_the_record_is_closed(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "w-0-0000000.reports").symlink_to("/dev/full")
    journal = Journal(tmp_path, "w")
    journal.write(report(0))
    journal.write(report(1))
    journal.close()
    assert caplog.text.count("own record cannot be kept: [Errno 28]") == 1
