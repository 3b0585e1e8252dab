"""What a dashboard says, apart from how Grafana writes it down.

One description has three readers: `grafana` turns it into the JSON that Grafana loads, the tests run every
query against a real Prometheus, and `picture` draws the answers for the documentation. Queries use Grafana's macros
(`$__rate_interval`, `$__range`) and the variables of their dashboard (`$run`, `$endpoint` ...), which
`promql.substituted` replaces as Grafana does.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """How a panel shows its values."""

    LINES = "timeseries"
    FIGURE = "stat"
    HEATMAP = "heatmap"
    STATES = "state-timeline"
    TABLE = "table"


class Unit(StrEnum):
    """Grafana's names for units."""

    SECONDS = "s"
    ORDERS_PER_S = "suffix: orders/s"
    PER_S = "reqps"
    SHARE = "percentunit"
    COUNT = "short"
    BYTES = "bytes"
    BYTES_PER_S = "Bps"
    INSTANT = "dateTimeAsLocal"
    """Milliseconds since 1970."""


@dataclass(frozen=True)
class Link:
    """An address to open; `$name` stands for a variable, `${__data.fields.NAME}` for a cell of the row."""

    title: str
    url: str


@dataclass(frozen=True)
class Query:
    """One PromQL expression and what its series are called; `{{label}}` stands for a label's value."""

    expr: str
    legend: str
    exemplars: bool = False
    """Whether to draw the traced requests that stand for buckets."""
    column: str = ""
    """In a table, the heading of its values."""
    unit: Unit | None = None
    """In a table, the unit of its values."""


@dataclass(frozen=True)
class Panel:
    """One picture. `width` is in Grafana's grid of 24 columns, `height` in its rows of 30 pixels."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: Unit
    kind: Kind = Kind.LINES
    width: int = 12
    height: int = 8
    logarithmic: bool = False
    limit: float | None = None
    """A threshold that is bad to exceed, drawn as a line."""
    limit_from: str = ""
    """Of a figure: the query of such a threshold, where the plan decides it."""
    named: bool = False
    """Of a figure: show the series' name instead of its value."""
    joined_by: str = ""
    """Of a table: the label whose values are its rows, joined over all queries; else each series is a row."""
    hidden: tuple[str, ...] = ()
    """Of a table: columns that only links use."""
    links: tuple["Link", ...] = ()
    """Of a table: what the cells of its first column open."""


@dataclass(frozen=True)
class Variable:
    """A choice at the top: the values of a label, or a fixed list."""

    name: str
    label: str
    query: str = ""
    values: tuple[str, ...] = ()
    """Instead of a query; the first is the default."""
    several: bool = False
    """Several at once, and all of them to begin with."""
    typed: str = ""
    """Instead of a query: the default of a text that is typed in."""


@dataclass(frozen=True)
class Annotation:
    """Periods of time marked in every picture, while `expr` has a series."""

    name: str
    expr: str
    title: str
    colour: str = "blue"


@dataclass(frozen=True)
class Dashboard:
    """One page; `uid` is the end of its address and the name of its file."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    """(heading, panels) from top to bottom."""
    since: str = "now-15m"
    refresh: str = "5s"
    annotations: tuple[Annotation, ...] = field(default=())
    links: tuple[Link, ...] = ()
    """Beside the links to all other dashboards, which keep run and time."""

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, from top to bottom."""
        return tuple(panel for _, panels in self.rows for panel in panels)


RUN = Variable("run", "run", query="label_values(loadtest_run_info, run)")
ENDPOINT = Variable(
    "endpoint", "endpoint", query='label_values(loadtest_requests_total{run="$run"}, endpoint)', several=True
)
WINDOW = Variable("window", "window", values=("5m", "1m", "15m", "1h", "6h"))
TRAFFIC = Variable("traffic", "traffic", values=("live", "shadow"), several=True)
WEB = Variable("web", "web UI", typed="http://127.0.0.1:8089")
"""Where the web UI of the load test is, as the reader's browser reaches it."""
LIVE_PAGE = Link("Live page", "$web/peak")
REPORT = Link("Report of this run", "$web/peak/runs/$run/report.html")
PHASES = Annotation("Phases", 'loadtest_phase{run="$run"}', "{{phase}}")
ANY_RUNS_PHASES = Annotation("Phases", "loadtest_phase", "{{phase}}")
"""For a dashboard that is about no run, but shows what a run does to its subject."""
VERDICT = Annotation("Verdict", 'loadtest_verdict{run="$run"}', "verdict: {{verdict}}", "purple")
LOST_WORKERS = Annotation(
    "Lost workers",
    '(loadtest_workers{run="$run"} offset 5s > loadtest_workers{run="$run"}) and on (run) '
    '(loadtest_planned_tps{run="$run"} > 0)',
    "a worker was lost",
    "red",
)
FAULTS = Annotation("Faults", 'loadtest_fault{run="$run"}', "fault: {{fault}}", "orange")
OF_A_RUN = (PHASES, VERDICT, LOST_WORKERS, FAULTS)
