"""What a run with faults must say, worked out from a script's own notes and from the service's database.

It shares no code with the harness: arrivals are planned by arithmetic, seconds are counted from the notes, and
each rule is written down anew from docs/faults.md. Only two things are taken from the record: at which instants
the faults were made and undone, and whether the generator calls itself INVALID.

Notes and record read clocks one after the other, so a second whose p99 is near the edge of the band may be judged
either way. Whatever hangs on one is left open (`None`).
"""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, inf
from pathlib import Path

from tests.system.fault_plans import RATE, FaultPlan
from tests.system.noted_orders import NOTES

NEAR, NEAR_MS = 0.03, 12.0
"""How far off a p99 may be: a bucket is 0.8 % wide, and a script is resumed a little after its answer."""
FEW = 2
"""So many orders end so near the edge of a second that the record may have them on its other side."""
CALM_S = 3
_EXPR = re.compile(r"(?:(p99|errors)\(POST /orders\)|goodput) ([<>]) ([\d.]+)(ms|s|%)")


@dataclass(frozen=True)
class Order:
    """One arrival, as the script noted it. Instants are offsets from the plan's time zero."""

    due_s: float
    began_s: float
    ended_s: float
    status: int
    key: str

    @property
    def is_ok(self) -> bool:
        """Whether it was promised."""
        return self.status == 201

    @property
    def took_ms(self) -> float:
        """From when it was due."""
        return (self.ended_s - self.due_s) * 1000


@dataclass(frozen=True)
class Spell:
    """When a fault was there, by the record."""

    name: str
    began_s: float
    ended_s: float


def dues(plan: FaultPlan) -> list[float]:
    """When each arrival is due: the n-th where the curve has made n + 1/2."""
    pieces = [(0.0, 1.0)]
    for fault in plan.faults:
        if fault.kind == "overload":
            pieces += [(fault.at_s, float(str(fault.keys["times"]))), (fault.end_s, 1.0)]
    ends = [*(from_s for from_s, _ in pieces[1:]), plan.duration_s]
    found: list[float] = []
    made = 0.0
    for (from_s, times), to_s in zip(pieces, ends, strict=True):
        rate = RATE * times
        while (due_s := from_s + (len(found) + 0.5 - made) / rate) < to_s:
            found.append(due_s)
        made += (to_s - from_s) * rate
    return found


def orders(folder: Path, plan: FaultPlan) -> list[Order]:
    """Every arrival that ended: users are handed arrivals in their order, so the n-th to begin was the n-th due."""
    noted = [json.loads(line) for line in (folder / NOTES).read_text().splitlines()]
    noted.sort(key=lambda note: float(note["began_s"]))
    planned = dues(plan)
    assert len(noted) <= len(planned), f"{len(noted)} arrivals for {len(planned)} planned"
    return [Order(due_s, **note) for due_s, note in zip(planned, noted, strict=False)]


def stored(database: Path) -> Counter[str]:
    """The keys in the service's own database, as often as they are there."""
    books = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return Counter(key for (key,) in books.execute("SELECT idempotency_key FROM shadow_orders"))
    finally:
        books.close()


def p99(values: Iterable[float]) -> float:
    """By nearest rank; 0 of none."""
    ordered = sorted(values)
    return ordered[ceil(0.99 * len(ordered) - 1e-9) - 1] if ordered else 0.0


def near(value: float, edge: float, slack: float = NEAR_MS) -> bool:
    """Whether it may lie on either side."""
    return abs(value - edge) <= NEAR * abs(edge) + slack


def counted(window: tuple[float, float]) -> tuple[int, int]:
    """The whole seconds of a window: from the nearest to the nearest, halves to the even one, one at least."""
    first = round(window[0])
    return first, max(round(window[1]), first + 1)


@dataclass(frozen=True)
class Second:
    """One second of the run: what went well in it, and how long those took that were due in it."""

    t_s: int
    planned: float
    ok: int
    p99_ms: float

    @property
    def share(self) -> float:
        """Of what was planned, what went well."""
        return self.ok / self.planned


class Oracle:
    """One run."""

    def __init__(self, plan: FaultPlan, every: list[Order], spells: list[Spell]) -> None:
        self.plan, self.orders, self.spells = plan, every, spells
        of_second: dict[int, list[Order]] = {}
        for order in every:
            of_second.setdefault(int(order.due_s), []).append(order)
        went_well = Counter(int(order.ended_s) for order in every if order.is_ok)
        self.seconds = [
            Second(
                t_s,
                self._planned(t_s, t_s + 1),
                went_well[t_s],
                p99(order.took_ms for order in due),
            )
            for t_s, due in sorted(of_second.items())
        ]
        self.recovered: dict[str, float | None] = {}
        self.detected: dict[str, float | None] = {}
        self.open: set[str] = set()
        """Faults of which too much hangs on the edge of the band."""
        for spell in spells:
            self._follow(spell)

    def _planned(self, from_s: float, to_s: float) -> float:
        """Transactions that the curve makes, overload included."""
        made = RATE * (min(to_s, self.plan.duration_s) - from_s)
        for fault in self.plan.faults:
            if fault.kind == "overload":
                both_s = max(0.0, min(to_s, fault.end_s) - max(from_s, fault.at_s))
                made += RATE * (float(str(fault.keys["times"])) - 1) * both_s
        return made

    def _follow(self, spell: Spell) -> None:
        """When a fault was seen, and when all was normal again."""
        before = [
            second
            for second in self.seconds
            if spell.began_s - 11 < second.t_s <= spell.began_s - 1
            and not any(_meets(second, self._aftermath(other)) for other in self.spells if other != spell)
        ]
        before = [second for second in before if second.t_s >= 1] or before
        least = min(second.share for second in before) - 0.05
        most_ms = 2 * max(second.p99_ms for second in before) + 25

        def normal(second: Second) -> bool:
            if near(second.p99_ms, most_ms) or abs(second.share - least) * second.planned <= FEW:
                self.open.add(spell.name)
            return second.share >= least and second.p99_ms <= most_ms

        over_s = self._over_s(spell)
        until_s = min(
            (other.began_s for other in self.spells if other.began_s > over_s), default=self.plan.duration_s
        )
        since = [s for s in self.seconds if s.t_s + 1 > spell.began_s and s.t_s < until_s]
        bad = [second.t_s for second in since if not normal(second)]
        self.detected[spell.name] = bad[0] + 1 - spell.began_s if bad else None
        # Calm for three whole seconds, of which the first may be the one in which it was undone.
        starts = [s.t_s for s in since if s.t_s + 1 > over_s + 1e-9 and s.t_s + CALM_S <= until_s + 1e-6]
        calm = [t_s for t_s in starts if not any(t_s <= worse < t_s + CALM_S for worse in bad)]
        self.recovered[spell.name] = max(calm[0] - over_s, 0.0) if calm else None

    def _over_s(self, spell: Spell) -> float:
        over_s = spell.ended_s
        for other in sorted(self.spells, key=lambda other: other.began_s):
            if spell.began_s <= other.began_s < over_s:
                over_s = max(over_s, other.ended_s)
        return over_s

    def _aftermath(self, spell: Spell) -> tuple[float, float]:
        """From its beginning until it was recovered from, or had to be."""
        within_s = next(f.recovers_within_s for f in self.plan.faults if f.name == spell.name)
        took_s = self.recovered.get(spell.name)
        return spell.began_s, spell.ended_s + min(within_s, inf if took_s is None else took_s)

    def goodput(self, window: tuple[float, float]) -> float:
        """Transactions of a window that went well, as a share of what the plan without overload has there."""
        first, end = counted(window)
        well = sum(order.is_ok for order in self.orders if first <= int(order.ended_s) < end)
        return well / (RATE * (min(end, self.plan.duration_s) - first))

    def holds(self, expr: str, window: tuple[float, float]) -> bool | None:
        """Whether an expectation was met in a window; None where it is a matter of the last bit."""
        found = _EXPR.fullmatch(expr)
        assert found is not None, expr
        first, end = counted(window)
        due = [order for order in self.orders if first <= order.due_s < end]
        bound = float(found[3]) * (1000 if found[4] == "s" else 1)
        if found[1] == "p99":
            ok = [order.took_ms for order in due if order.is_ok]
            if not ok:
                return False
            seen = max(p99(ok), p99(order.took_ms for order in due))
            return None if near(seen, bound) else seen < bound
        if found[1] == "errors":
            failed = 100 * sum(not order.is_ok for order in due) / max(len(due), 1)
            return None if near(failed, bound, 100 * FEW / max(len(due), 1)) else failed < bound
        well = 100 * self.goodput(window)
        return None if abs(well - bound) < 100 * FEW / max(len(due), 1) else well > bound

    def expectations(self) -> dict[str, bool | None]:
        """Each objective of the faults as the record words it, and whether it was met."""
        said: dict[str, bool | None] = {}
        for fault in self.plan.faults:
            if fault.name not in self.recovered:
                continue
            is_open = fault.name in self.open
            for what, seen_s, within_s in (
                ("recovers_within", self.recovered[fault.name], fault.recovers_within_s),
                ("detected_within", self.detected[fault.name], fault.detected_within_s),
            ):
                if within_s is not None:
                    met = seen_s is not None and seen_s <= within_s + 1e-9
                    said[f"{fault.name} {what} <= {within_s:g}s"] = None if is_open else met
            goodputs = [expr for expr in fault.expect if expr.startswith("goodput")]
            for expr in goodputs:
                said[f"{fault.name} {expr}"] = self.holds(expr, fault.window)
            for expr in fault.expect:
                if expr not in goodputs:
                    said[f"{expr} during {fault.name}"] = self.holds(expr, fault.window)
        return said

    def errors_outside(self) -> list[float]:
        """Failed of all arrivals in seconds that no fault touches: counted when due, and when they ended."""
        spans = [self._aftermath(spell) for spell in self.spells]
        calm = {s.t_s for s in self.seconds if not any(_meets(s, span) for span in spans)}
        due = sum(int(order.due_s) in calm for order in self.orders)
        failed = [order for order in self.orders if not order.is_ok]
        return [
            sum(int(at_s) in calm for at_s in ends) / max(due, 1)
            for ends in ([order.due_s for order in failed], [order.ended_s for order in failed])
        ]


def _meets(second: Second, span: tuple[float, float]) -> bool:
    return span[0] < span[1] and span[0] < second.t_s + 1 and second.t_s < span[1]
