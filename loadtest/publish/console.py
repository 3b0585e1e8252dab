"""Shows a run while it goes on: a live view on a terminal, plain lines in a log, JSON for programs.

`Progress` is given a snapshot whenever there is one and decides by the run's own time what to show, so it
needs no thread and no clock, and runs in any loop. On a terminal the view is redrawn at most four times a
second; elsewhere a line is written every five seconds, which a CI log can bear.
"""

from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadtest.measure.run_result import LATE_MS
from loadtest.publish import wording
from loadtest.publish.mode import Mode
from loadtest.records import TRANSACTION

REDRAW_S = 0.25
LINE_S = 5.0
JSON_S = 1.0
NAME_CHARACTERS = 40
"""Of an endpoint's name, so that its error fits into a line of 80."""


@dataclass(frozen=True, slots=True)
class LiveError:
    """One class of error at one endpoint, so far."""

    endpoint: str
    """`METHOD name`."""
    error: str
    failures: int
    share: float
    """Of the endpoint's requests."""


@dataclass(frozen=True, slots=True)
class LiveView:
    """What a run is doing now. Rates count transactions a second; latencies are of the last seconds, in ms."""

    t_s: float
    """Since the run's start."""
    phase: str
    planned_tps: float
    started_tps: float
    completed_tps: float
    p50_ms: float
    p99_ms: float
    p99_9_ms: float
    dropped: int
    """Arrivals, so far."""
    failed: int
    """Arrivals, so far."""
    backlog: int
    """Arrivals that wait for an idle user."""
    in_flight: int
    workers: int
    dispatch_lag_p99_ms: float
    noun: str = TRANSACTION
    """What one transaction is, by what has been sent so far."""
    errors: tuple[LiveError, ...] = ()
    """The most frequent ones, the most frequent first."""


class Progress:
    """The live display of one run. Use: `update` with each snapshot, `close` at the end."""

    def __init__(self, mode: Mode, total_s: float, console: Console) -> None:
        """`total_s` is the planned length of the run in seconds, > 0."""
        self._mode = _resolved(mode, console)
        self._total_s = total_s
        self._console = console
        self._next_s = float("-inf")
        self._pending: LiveView | None = None
        self._live: Live | None = None
        self._most_workers = 0
        self._told: tuple[LiveError, ...] = ()
        """The errors of the last line that named some."""

    def update(self, view: LiveView) -> None:
        """Show a snapshot, or keep it for later when the last one was shown too recently."""
        self._pending = view
        every_s = {Mode.LIVE: REDRAW_S, Mode.LINES: LINE_S, Mode.JSON: JSON_S}.get(self._mode)
        if every_s is not None and view.t_s >= self._next_s:
            self._next_s = view.t_s + every_s
            self._show(view)

    def close(self) -> None:
        """Show the last state and give the terminal back. May be called twice."""
        if self._pending is not None and self._mode is not Mode.QUIET:
            self._show(self._pending)
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _show(self, view: LiveView) -> None:
        self._pending = None
        if self._mode is Mode.JSON:
            # Not through rich: it would wrap and colour the line.
            self._console.file.write(msgspec.json.encode(asdict(view)).decode() + "\n")
            self._console.file.flush()
        elif self._mode is Mode.LINES:
            self._write_lines(view)
        else:
            self._redraw(view)

    def _write_lines(self, view: LiveView) -> None:
        """A line of figures, and one of errors where there have been new ones."""
        self._most_workers = max(self._most_workers, view.workers)
        lost = self._most_workers - view.workers
        self._console.print(Text(_line(view, self._total_s, lost)), soft_wrap=True)
        if view.errors and view.errors != self._told:
            self._told = view.errors
            said = "; ".join(f"{error.endpoint} {_said(error)}" for error in view.errors)
            self._console.print(Text(f"          errors: {said}"), soft_wrap=True)

    def _redraw(self, view: LiveView) -> None:
        if self._live is None:
            # Redrawn by hand: rich's own refresh is a thread, and threads and gevent do not mix.
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(self._picture(view), refresh=True)

    def _picture(self, view: LiveView) -> RenderableType:
        return Group(_bar(view, self._total_s), _figures(view), *map(_error_line, view.errors))


def _resolved(mode: Mode, console: Console) -> Mode:
    if mode is not Mode.AUTO:
        return mode
    return Mode.LIVE if console.is_terminal else Mode.LINES


def _line(view: LiveView, total_s: float, workers_lost: int) -> str:
    """At most 80 characters while all is well; what is not well makes it longer."""
    parts = [
        f"{view.t_s:4.0f}/{total_s:.0f} s",
        view.phase,
        f"{wording.rate(view.completed_tps)} of {wording.rate(view.planned_tps)} {view.noun}s/s",
        f"p50 {_seen(view.p50_ms)} p99 {_seen(view.p99_ms)}",
        f"failed {view.failed:,}",
        f"dropped {view.dropped:,}" if view.dropped else "",
        f"queued {view.backlog:,}" if view.backlog else "",
        f"generator {wording.latency(view.dispatch_lag_p99_ms)} late"
        if view.dispatch_lag_p99_ms > LATE_MS
        else "",
        f"{wording.things(workers_lost, 'worker')} missing" if workers_lost else "",
    ]
    return "  ".join(part for part in parts if part)


def _seen(ms: float) -> str:
    """A latency, or a dash before the first answer."""
    return wording.latency(ms) if ms else "-"


def _said(error: LiveError) -> str:
    return f"{error.error} x {error.failures:,} ({wording.percent(error.share)})"


def _error_line(error: LiveError) -> Text:
    name = error.endpoint
    if len(name) > NAME_CHARACTERS:
        name = name[: NAME_CHARACTERS - 1] + "…"
    line = Text.assemble(("errors    ", "dim"), f"{name}  ", (_said(error), "red"))
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _bar(view: LiveView, total_s: float) -> Table:
    left_s = max(0.0, total_s - view.t_s)
    row = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=total_s, completed=min(view.t_s, total_s), width=40)
    row.add_row(Text(view.phase or "run", style="bold"), bar, Text(f"{wording.duration(round(left_s))} left"))
    return row


def _figures(view: LiveView) -> Table:
    table = Table.grid(padding=(0, 3))
    rows: list[tuple[str, list[tuple[str, Any]]]] = [
        (
            f"{view.noun}s/s",
            [(n, wording.rate(getattr(view, f"{n}_tps"))) for n in ("planned", "started", "completed")],
        ),
        (
            "response",
            [
                ("p50", _seen(view.p50_ms)),
                ("p99", _seen(view.p99_ms)),
                ("p99.9", _seen(view.p99_9_ms)),
            ],
        ),
        ("arrivals", [("failed", view.failed), ("dropped", view.dropped), ("queued", view.backlog)]),
        (
            "generator",
            [
                ("in flight", view.in_flight),
                ("workers", view.workers),
                ("lag p99", wording.latency(view.dispatch_lag_p99_ms)),
            ],
        ),
    ]
    for name, cells in rows:
        table.add_row(Text(name, style="dim"), *(_cell(label, value) for label, value in cells))
    return table


def _cell(label: str, value: int | str) -> Text:
    """One figure; failures and drops stand out as soon as there are any."""
    alarming = label in ("failed", "dropped") and value != 0
    shown = value if isinstance(value, str) else f"{value:,}"
    return Text.assemble((f"{label} ", "dim"), (shown, "bold red" if alarming else "bold"))
