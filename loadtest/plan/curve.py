"""The shape of a plan's traffic: a curve by name or knots of its own, and the `[profile]` table they come from.

Rates are fractions of the peak, or, as `knots_tps`, transactions per second; times are durations such as "30s", or
numbers of seconds.
"""

from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path
from typing import Annotated

from msgspec import Struct

from loadtest.plan import singles_day, whole_day
from loadtest.plan.duration import parse_duration
from loadtest.plan.plan_error import PlanError, suggestion
from loadtest.plan.plan_key import key
from loadtest.plan.profile import Phase, Piecewise, constant, knots

CURVES: dict[str, Callable[[], Piecewise]] = {
    "singles-day": singles_day.midnight_orders,
    "singles-day-payments": singles_day.midnight_payments,
    "rehearsal": singles_day.rehearsal,
    "day": singles_day.day,
    "whole-day": whole_day.orders,
    "whole-day-pages": whole_day.pages,
    "whole-day-resubmits": whole_day.resubmits,
    "whole-day-payments": whole_day.payments,
    "parcels": whole_day.parcels,
}
"""The curves a plan file can name."""
NAMED_CURVES = (*CURVES, "constant")
LONGEST_S = 366 * 86400.0
"""The longest that a plan may play, in seconds: beyond it a number is a slip."""
_MOST_BYTES = 10_000_000
_MOST_WITHOUT_OVERSHOOT = 2.0

Knots = tuple[tuple[float, float], ...]


class Curve(Struct, frozen=True, forbid_unknown_fields=True):
    """The shape of the traffic, in fractions of the peak over seconds: a named curve, or knots."""

    name: str | None = None
    knots: Knots = ()
    phases: tuple[Phase, ...] = ()
    """Of the knots; a named curve has its own."""

    def profile(self, at_least_s: float = 0.0) -> Piecewise:
        """The curve. "constant" and knots hold their last rate until `at_least_s`. Raises ValueError."""
        if self.name == "constant":
            return constant(1.0, max(at_least_s, 1.0))
        if self.name is not None:
            return CURVES[self.name]()
        return Piecewise(knots(self.knots).segments, self.phases).hold(at_least_s)


class ProfileTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The curve of the traffic: exactly one of `curve`, `knots`, `knots_tps` and `csv`."""

    curve: Annotated[
        str | None,
        key(f"A curve by name: {', '.join(NAMED_CURVES)}.", example="singles-day"),
    ] = None
    knots: Annotated[
        list[tuple[str | float, float]] | None,
        key(
            "Points of the curve, joined by straight lines; two points at the same time make a jump.",
            unit="[duration, fraction of the peak]",
            example=[["0s", 0.1], ["30s", 1.0]],
        ),
    ] = None
    knots_tps: Annotated[
        list[tuple[str | float, float]] | None,
        key(
            "Points of the curve as rates; the highest is the peak.",
            unit="[duration, transactions/s]",
            example=[["0s", 20], ["30s", 200]],
        ),
    ] = None
    csv: Annotated[
        str | None,
        key(
            "A CSV file beside the plan with the points, one `seconds,fraction` a line.", example="curve.csv"
        ),
    ] = None
    overshoot: Annotated[
        bool,
        key(
            "Allow fractions above 2, which are mostly rates written by mistake (see `knots_tps`).",
            example=True,
        ),
    ] = False
    phases: Annotated[
        tuple[tuple[str | float, str | float, str], ...],
        key(
            "Named parts of the curve, for objectives with `during NAME`; a named curve has its own.",
            unit="[from, to, name]",
            example=[["0s", "30s", "ramp"]],
        ),
    ] = ()


def read_curve(table: ProfileTable, path: Path, table_name: str = "profile") -> tuple[Curve, float | None]:
    """The curve in a table of the plan file at `path`, and the highest rate in `knots_tps`, if it has those.

    Raises `PlanError`, which names the file and the key.
    """
    where = f"{path}: {table_name}"
    sources = ("curve", "knots", "knots_tps", "csv")
    given = [key for key in sources if getattr(table, key) is not None]
    if len(given) != 1:
        found = f"got {' and '.join(given)}" if given else "got none"
        raise PlanError(f"{where}: expected exactly one of curve, knots, knots_tps and csv, {found}")
    phases = tuple(_phase(written, f"{where}.phases[{i}]") for i, written in enumerate(table.phases))
    if table.curve is not None:
        named = _named(table.curve, f"{where}.curve")
        if phases:
            raise PlanError(
                f"{where}.phases: expected only with knots, knots_tps or csv; a named curve has its own phases"
            )
        return named, None
    if table.csv is not None:
        where = f"{where}.csv: {table.csv if table.csv.isprintable() else repr(table.csv)}"
        points = _read_csv(path.parent / table.csv, where)
    else:
        where = f"{where}.{given[0]}"
        points = tuple((seconds(t, where), rate) for t, rate in table.knots or table.knots_tps or ())
    _check_knots(points, where)
    highest = max(rate for _, rate in points)
    if table.knots_tps is not None:
        if highest == 0:
            raise PlanError(f"{where}: expected a rate above 0")
        return Curve(knots=tuple((t, rate / highest) for t, rate in points), phases=phases), highest
    if highest > _MOST_WITHOUT_OVERSHOOT and not table.overshoot:
        raise PlanError(
            f"{where}: expected fractions of peak_tps, where 1.0 is the peak, got {highest:g}; write rates as "
            f"knots_tps, or set overshoot = true if {highest:g} times the peak is meant"
        )
    return Curve(knots=points, phases=phases), None


def seconds(written: str | float, where: str) -> float:
    """A duration such as "1m30s", or a number of seconds. Raises `PlanError` beginning with `where`."""
    if isinstance(written, str):
        try:
            written = parse_duration(written)
        except (ValueError, OverflowError) as error:
            raise PlanError(f"{where}: {error}") from error
    if not isfinite(written):
        raise PlanError(f"{where}: expected a finite number of seconds, got {written:g}")
    if not 0 <= written <= LONGEST_S:
        raise PlanError(f"{where}: expected 0 s to 366 days, got {written:g} s")
    return float(written)


def read_text(path: Path, where: str) -> str:
    """The text of a file somebody wrote, without a byte order mark. Raises `PlanError` beginning with `where`."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise PlanError(f"{where}: expected at most {_MOST_BYTES // 1_000_000} MB of text")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanError(f"{where}: expected UTF-8, got another encoding at byte {error.start}") from error
    except (OSError, ValueError) as error:
        if isinstance(error, PlanError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise PlanError(f"{where}: cannot be read: {reason}") from error


def check_curve(curve: Curve, where: str) -> None:
    """Check what the types cannot express. Raises `PlanError` beginning with `where`."""
    for phase in curve.phases:
        if phase.to_s <= phase.from_s:
            raise PlanError(f"{where}.phases: expected {phase.name} to end after it starts")
    if curve.name is not None:
        _named(curve.name, f"{where}.curve")
    else:
        _check_knots(curve.knots, f"{where}.knots")


def _named(name: str, where: str) -> Curve:
    if name not in NAMED_CURVES:
        raise PlanError(
            f'{where}: unknown curve "{name}"{suggestion(name, NAMED_CURVES)}; '
            f"expected one of {', '.join(NAMED_CURVES)}"
        )
    return Curve(name=name)


def _phase(written: tuple[str | float, str | float, str], where: str) -> Phase:
    from_s, to_s, name = written
    return Phase(seconds(from_s, where), seconds(to_s, where), name)


def _check_knots(points: Sequence[tuple[float, float]], where: str) -> None:
    if len(points) < 2:
        raise PlanError(
            f'{where}: expected at least two points, got {len(points)}; for a constant rate write curve = "constant"'
        )
    try:
        knots(points)
    except ValueError as error:
        raise PlanError(f"{where}: {error}") from error


def _read_csv(path: Path, source: str) -> Knots:
    """Knots from lines of `seconds,fraction`; a first line without a number is a heading."""
    points = []
    for number, line in enumerate(read_text(path, source).splitlines(), start=1):
        cells = [cell.strip() for cell in line.split(",")]
        if not line.strip() or (number == 1 and not any(map(_is_number, cells))):
            continue
        where = f"{source}, line {number}"
        if len(cells) != 2 or not _is_number(cells[1]):
            raise PlanError(f'{where}: expected "seconds,fraction", got "{line[:80]}"')
        points.append((seconds(cells[0], where), float(cells[1])))
    return tuple(points)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
