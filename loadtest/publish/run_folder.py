"""Writes everything a run leaves behind, the most important file first.

`result.json` comes first and alone decides the run: every other file can be drawn from it again (`singlesday
report`). A file that cannot be written is logged and does not keep the others from being written.
"""

import contextlib
import logging
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec

from loadtest.measure.hlog import write_hlog
from loadtest.measure.regions import histogram_of
from loadtest.measure.run_result import RESULT, RunResult
from loadtest.measure.whole_file import write_whole
from loadtest.publish import junit, summary

REPORT = "report.html"

logger = logging.getLogger(__name__)


def new_run_folder(out: Path, plan: str) -> Path:
    """A name for the folder of a run that starts now, from UTC time and plan; never one that exists."""
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{plan}"
    folder, number = out / name, 2
    while folder.exists():
        folder, number = out / f"{name}-{number}", number + 1
    return folder


def deliver(result: RunResult, folder: Path) -> None:
    """Write the result and all that is drawn from it into `folder`. Raises `OSError` for the result only."""
    folder.mkdir(parents=True, exist_ok=True)
    result.write(folder / RESULT)
    draw(result, folder)


def rescue(result: RunResult, say: IO[str]) -> None:
    """Save a result that its run folder has no room for: in the system's temporary folder, else through `say`.

    `say` is told where it is. Nothing is raised, even if `say` is on the same full disk: this is the last resort.
    """
    try:
        place = Path(tempfile.mkdtemp(prefix=f"{result.run.id}-")) / RESULT
        result.write(place)
        words = f"the result was kept in {place}: draw its report with `singlesday report {place.parent}`"
    except OSError:
        words = "the result fits nowhere; here it is:\n" + msgspec.json.encode(result).decode()
    with contextlib.suppress(OSError):
        say.write(words + "\n")
        say.flush()


def draw(result: RunResult, folder: Path) -> None:
    """Write report.html, junit.xml, summary.md and latency.hlog, drawn from a result, into `folder`."""
    from loadtest.publish import html  # noqa: PLC0415 - templates take a fifth of the time in which a command starts

    _try("report.html", lambda: html.write(result, folder / REPORT))
    _try("junit.xml", lambda: junit.write(result, folder / "junit.xml"))
    _try(
        "summary.md",
        lambda: write_whole(summary.markdown(result), folder / "summary.md"),
    )
    _try("latency.hlog", lambda: _write_hlog(result, folder / "latency.hlog"))


def _write_hlog(result: RunResult, path: Path) -> None:
    """Response and service times of every endpoint, for HdrHistogram's own tools."""
    kinds = {"response": "response_buckets", "service": "service_buckets"}
    histograms = {
        f"{name} {kind}": histogram_of([getattr(endpoint, attribute)])
        for name, endpoint in result.endpoints.items()
        for kind, attribute in kinds.items()
    }
    started_at_s = datetime.fromisoformat(result.run.started_at).timestamp()
    write_hlog(path, histograms, started_at_s=started_at_s, duration_s=result.run.duration_s)


def _try(name: str, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        logger.error("could not write %s: %s", name, error)  # the reason is enough: no traceback
