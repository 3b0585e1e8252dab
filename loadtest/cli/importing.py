"""`singlesday import`: makes a plan, a script and its data from real traffic; says what it left out or guessed."""

import csv
import io
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from loadtest.cli.app import refuse
from loadtest.importing.import_error import ImportingError, one_line, printable
from loadtest.importing.log_format import FORMATS
from loadtest.plan.plan_error import PlanError
from loadtest.plan.plan_file import Plan
from loadtest.publish.paragraph import print_paragraph

if TYPE_CHECKING:
    from loadtest.importing.log_plan import Written
    from loadtest.importing.recorded import Recorded
    from loadtest.importing.traffic import Traffic

NAME = "import"
app = typer.Typer(
    help="Make a plan, a script and its data from real traffic: logs, a browser session, an API description.",
    epilog="Example: singlesday import log access.log",
    no_args_is_help=True,
)
console = Console(highlight=False, emoji=False)

OutFolder = Annotated[
    Path, typer.Option("--out", help="Folder to write into; created if missing.", metavar="DIR")
]
PlanName = Annotated[
    str | None, typer.Option("--name", help="Name of the plan and the script. Default: the file's name.")
]
Transaction = Annotated[
    str | None,
    typer.Option(
        help='Endpoint whose requests are the transactions, for example "POST /orders". Default: guessed.'
    ),
]
LogFiles = Annotated[
    list[Path], typer.Argument(help="Access logs; .gz and .zst are unpacked.", metavar="FILE…")
]
FormatName = Annotated[
    str | None, typer.Option("--format", help=f"One of {', '.join(FORMATS)}; default: detected.")
]
Visits = Annotated[
    bool,
    typer.Option(
        "--visits",
        help="One arrival is a whole visit: the requests of one client, in order and with its pauses.",
    ),
]
Visitor = Annotated[
    str | None,
    typer.Option(
        help="With --visits: the field of JSON lines that identifies a visitor. Default: address and browser.",
        metavar="FIELD",
    ),
]
Exact = Annotated[
    bool, typer.Option("--exact", help="Replay the rate of each second, instead of a fitted curve.")
]
Assets = Annotated[
    bool,
    typer.Option(
        "--assets", help="Keep images, styles and scripts too, which browsers mostly have in their cache."
    ),
]


@app.command(epilog="Example: singlesday import log access.log.1.gz access.log")
def log(
    files: LogFiles,
    log_format: FormatName = None,
    out: OutFolder = Path(),
    name: PlanName = None,
    transaction: Transaction = None,
    visits: Visits = False,
    visitor: Visitor = None,
    exact: Exact = False,
) -> None:
    """Make a plan and a script from access logs: rate over time, mix of endpoints, popularity of keys."""
    from loadtest.importing.log_plan import plan_of, plan_of_visits  # noqa: PLC0415 - what only this command needs
    from loadtest.importing.log_reader import read_logs  # noqa: PLC0415

    try:
        _check_log_options(log_format, transaction, visits=visits, visitor=visitor, exact=exact)
        named = plan_name(name, files[0])
        check_free(out, named)
        traffic = read_logs(files, log_format, visits=visits, field=visitor)
        if traffic.visits is not None:
            written = plan_of_visits(traffic, traffic.visits, named)
        else:
            written = plan_of(traffic, named, transaction=transaction, exact=exact)
        write(out, named, written)
    except ImportingError as error:
        refuse(error)
    _print_traffic(traffic)
    print_written(out, named, written)


def _check_log_options(
    log_format: str | None, transaction: str | None, *, visits: bool, visitor: str | None, exact: bool
) -> None:
    """Raise `ImportingError` naming the flag that is wrong, or that goes with no other that is given."""
    if log_format is not None and log_format not in FORMATS:
        raise ImportingError(f'--format: expected one of {", ".join(FORMATS)}, got "{log_format}"')
    if visitor is not None and not visits:
        raise ImportingError("--visitor: expected together with --visits")
    if visits and (exact or transaction is not None):
        flag = "--exact" if exact else "--transaction"
        raise ImportingError(
            f"{flag}: cannot be given together with --visits, where each visit is a transaction"
        )


@app.command(epilog="Example: singlesday import har shop.har")
def har(
    file: Annotated[
        Path, typer.Argument(help="HAR file, as saved by a browser's developer tools.", metavar="FILE")
    ],
    out: OutFolder = Path(),
    name: PlanName = None,
    assets: Assets = False,
) -> None:
    """Make a script from a browser session (HAR): one arrival is the whole session."""
    from loadtest.importing.har import read_har  # noqa: PLC0415 - what only this command needs

    def read(named: str) -> "Written":
        recorded, notes = read_har(_bytes_of(file), str(file))
        return _session(recorded, str(file), named, assets=assets, notes=notes)

    _import(read, out, lambda: plan_name(name, file))


@app.command(epilog="Example: singlesday import curl commands.txt")
def curl(
    file: Annotated[
        Path, typer.Argument(help="File with curl commands; - reads standard input.", metavar="FILE")
    ],
    out: OutFolder = Path(),
    name: PlanName = None,
) -> None:
    """Make a script from curl commands, as browsers copy them: one arrival sends all of them."""
    from loadtest.importing.curl_command import read_curl  # noqa: PLC0415

    def read(named: str) -> "Written":
        return _session(read_curl(_text_of(file), str(file)), str(file), named, assets=True)

    _import(read, out, lambda: plan_name(name, Path("commands") if str(file) == "-" else file))


@app.command(epilog="Example: singlesday import postman shop.postman_collection.json")
def postman(
    file: Annotated[Path, typer.Argument(help="Exported collection, format 2.1.", metavar="FILE")],
    out: OutFolder = Path(),
    name: PlanName = None,
) -> None:
    """Make a script from a Postman collection: one arrival sends its requests in order."""
    from loadtest.importing.postman import read_postman  # noqa: PLC0415

    def read(named: str) -> "Written":
        recorded, notes = read_postman(_bytes_of(file), str(file))
        return _session(recorded, str(file), named, assets=True, notes=notes)

    _import(read, out, lambda: plan_name(name, file))


@app.command(epilog="Example: singlesday import openapi http://127.0.0.1:8080/openapi.json")
def openapi(
    document: Annotated[
        str, typer.Argument(help="OpenAPI document, version 3, or Swagger 2.", metavar="FILE|URL")
    ],
    out: OutFolder = Path(),
    name: PlanName = None,
) -> None:
    """Make a script from an OpenAPI document: whatever creates something is followed by the requests about it."""
    from loadtest.importing.document import document_text, without_login  # noqa: PLC0415
    from loadtest.importing.openapi import read_openapi  # noqa: PLC0415
    from loadtest.importing.openapi_plan import plan_of_operations  # noqa: PLC0415

    shown = without_login(document)

    def read(named: str) -> "Written":
        return plan_of_operations(read_openapi(document_text(document), shown), shown, named)

    _import(read, out, lambda: plan_name(name, Path(shown.rpartition("/")[2] or "api")))


@app.command(
    epilog="Example: singlesday import prometheus http://127.0.0.1:9090 'sum(rate(http_requests_total[1m]))'"
)
def prometheus(
    url: Annotated[str, typer.Argument(help="Address of the Prometheus server.", metavar="URL")],
    query: Annotated[
        str, typer.Argument(help="The rate as PromQL: sum(rate(http_requests_total[1m])).", metavar="QUERY")
    ],
    begin: Annotated[
        str | None,
        typer.Option("--from", help="Start, for example 2025-11-10T23:50:00Z. Default: an hour ago."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="End. Default: now.")] = None,
    step: Annotated[str, typer.Option("--step", help="Time between two values of the rate.")] = "15s",
    user: Annotated[
        str,
        typer.Option(
            help="Class that serves the arrivals, module:Class; a rate does not say what to request."
        ),
    ] = "loadtest.scenarios.shop:OrderOnly",
    out: OutFolder = Path(),
    name: PlanName = None,
) -> None:
    """Make a plan from a rate that Prometheus recorded, to play with a script of your own."""
    from loadtest.importing.prometheus_query import fetched, query_url, rates_of, time_range  # noqa: PLC0415
    from loadtest.importing.short_plan import plan_of_rates  # noqa: PLC0415

    def read(named: str) -> "Written":
        from_s, to_s, step_s = time_range(begin, end, step, time.time())
        asked = query_url(url, query, from_s, to_s, step_s)
        return plan_of_rates(rates_of(fetched(asked), url, step_s), query, user, named)

    _import(read, out, lambda: plan_name(name, Path("recorded")))


def _import(read: Callable[[str], "Written"], out: Path, name: Callable[[], str]) -> None:
    """Read and write, and say what was left out or guessed; exit with code 2 on an `ImportingError`."""
    try:
        named = name()
        check_free(out, named)
        written = read(named)
        write(out, named, written)
    except ImportingError as error:
        refuse(error)
    except RecursionError:
        refuse("what was read is nested too deeply to make a script of")
    except UnicodeEncodeError as error:
        refuse(f"what was read holds half a character, which nobody can send: {error.object[error.start]!a}")
    print_written(out, named, written)


def _session(
    recorded: list["Recorded"], source: str, name: str, *, assets: bool, notes: Sequence[str] = ()
) -> "Written":
    from loadtest.importing.recorded import of_one_host  # noqa: PLC0415
    from loadtest.importing.session_script import session_script  # noqa: PLC0415
    from loadtest.importing.short_plan import plan_of_session  # noqa: PLC0415

    kept, host, left_out = of_one_host(recorded, source, assets=assets)
    script = session_script(kept, "Session", f"{name}-data")
    made_of = f"Made by `singlesday import` of {source}: {len(kept)} requests to {host}."
    return plan_of_session(script, name, made_of, [*notes, *left_out])


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImportingError(f"{path}: cannot be read: {error.strerror}") from error


def _text_of(path: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ImportingError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ImportingError(f"{path}: expected UTF-8") from error


def plan_name(asked: str | None, file: Path) -> str:
    """What the plan is called: a name that a Python module can have too. Raises `ImportingError`."""
    if asked is not None:
        if not re.fullmatch(r"[A-Za-z]\w{0,60}", asked, re.ASCII):
            raise ImportingError(
                f'--name: expected a Python module name (letters, digits and _), got "{asked}"'
            )
        return asked
    stem = re.sub(r"\W+", "_", file.name.split(".")[0], flags=re.ASCII).strip("_").lower()[:60]
    named = stem if re.match("[a-z]", stem) else f"traffic_{stem}".rstrip("_")
    taken = named in sys.stdlib_module_names or named in {"locust", "loadtest", "gevent", "target_service"}
    return f"{named}_traffic" if taken else named


def check_free(out: Path, name: str) -> None:
    """Refuse to overwrite. Raises `ImportingError`."""
    for path in (out / f"{name}.toml", out / f"{name}.py", out / f"{name}-data"):
        if path.exists():
            raise ImportingError(
                f"{path}: exists already and is not overwritten; choose another --name or --out"
            )


def write(out: Path, name: str, written: "Written") -> None:
    """Write plan, script and data. Raises `ImportingError`, before anything is written for a script that is none."""
    _check_is_python(written.script or "", f"{name}.py")
    files = {
        **({} if written.script is None else {f"{name}.py": written.script}),
        **{each.path: _rows(each.columns, each.rows, each.is_json) for each in written.files},
        f"{name}.toml": written.plan,
    }
    if written.curve_csv is not None:
        files = {f"{name}-data/curve.csv": written.curve_csv, **files}
    for place, text in files.items():
        path = out / place
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ImportingError(f"{error.filename or path}: cannot be written ({error.strerror})") from error
    try:
        Plan.load(out / f"{name}.toml")
    except PlanError as error:
        raise ImportingError(f"too little traffic for a plan: {error}") from error


def _check_is_python(script: str, name: str) -> None:
    """Raise `ImportingError` for a script that Python cannot read: one that would fail on every worker."""
    try:
        compile(script, name, "exec")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        place = f"line {error.lineno}: " if isinstance(error, SyntaxError) else ""
        told = getattr(error, "msg", None) or str(error) or type(error).__name__
        raise ImportingError(
            f"{name}: what was read makes no Python script, so nothing is written: {place}{told}"
        ) from error


def _rows(columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...], is_json: bool) -> str:
    if is_json:
        return "".join(f"{line}\n" for (line,) in rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _print_traffic(traffic: "Traffic") -> None:
    from loadtest.importing.recorded import counted  # noqa: PLC0415
    from loadtest.importing.script_text import keys_told  # noqa: PLC0415

    total = sum(traffic.counts)
    console.print(
        f"{counted(total, 'request', 'requests')} in {len(traffic.counts):,} s, "
        f"at most {max(traffic.counts):,} in one second",
        markup=False,
    )
    for each in traffic.endpoints:
        keys = f"  {keys_told(each.keys)}" if each.keys else ""
        console.print(
            f"  {each.requests / total:7.2%}  {printable(each.name)}{keys}", markup=False, soft_wrap=True
        )


def print_written(out: Path, name: str, written: "Written") -> None:
    """Print what was left out or guessed, which files were written, and the command to play them."""
    if written.notes:
        console.print("left out or guessed:", markup=False)
    for note in written.notes:
        print_paragraph(console, f"  - {one_line(note)}", hang=4)
    plan = out / f"{name}.toml"
    data = f", {out / f'{name}-data'}" if written.files or written.curve_csv else ""
    script = f", {out / f'{name}.py'}" if written.script is not None else ""
    console.print(f"wrote {plan}{script}{data}", markup=False, soft_wrap=True)
    console.print(f"  singlesday run {plan} --target http://127.0.0.1:8080", markup=False, soft_wrap=True)
