"""Random plans with faults: what each seed's plan is, and what is known of its verdict before it is played.

A plan has one or two groups of faults that overlap, kinds and lengths drawn at random. Each fault has expectations,
and for most of them physics says beforehand whether they can hold: with every second request an error nobody gets a
goodput of 80 %, and a store that is stalled by 400 ms answers nobody's p99 in 100 ms.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

RATE = 60
USERS = "noted_orders:Noted"
DISK = "{disk}"
"""Stands for the folder of a small tmpfs in a plan's text."""
HOOKS = "{hooks}"
"""Stands for the address of somebody's own switch."""
Keys = dict[str, object]


@dataclass(frozen=True)
class Drawn:
    """One fault, and what is known of it."""

    name: str
    kind: str
    at_s: float
    for_s: float
    recovers_within_s: float
    keys: Keys
    detected_within_s: float | None = None
    expect: dict[str, bool | None] = field(default_factory=dict)
    """Each expectation, and whether it holds; None where only the run can tell."""
    is_broken: bool = False
    """It cannot be played, which makes the run INVALID."""

    @property
    def end_s(self) -> float:
        """When it is undone."""
        return self.at_s + self.for_s

    @property
    def window(self) -> tuple[float, float]:
        """What its expectations are about."""
        return self.at_s, self.end_s if self.for_s else self.at_s + self.recovers_within_s


@dataclass(frozen=True)
class FaultPlan:
    """One seed's plan."""

    seed: int
    duration_s: float
    time_scale: float
    faults: list[Drawn]

    @property
    def text(self) -> str:
        """The plan as a file."""
        lines = [
            f'name = "seed-{self.seed}"',
            f"peak_tps = {RATE}",
            f"duration = {self.duration_s / self.time_scale!r}",
            "virtual_users = 600",
            '[profile]\ncurve = "constant"',
            f'[[scenario]]\nuser = "{USERS}"',
        ]
        for fault in self.faults:
            keys: Keys = {
                "name": fault.name,
                "kind": fault.kind,
                "at": fault.at_s / self.time_scale,
                "for": fault.for_s,
                "recovers_within": fault.recovers_within_s,
                "expect": list(fault.expect),
                **fault.keys,
            }
            if fault.detected_within_s is not None:
                keys["detected_within"] = fault.detected_within_s
            lines += ["[[fault]]", *(f"{key} = {_toml(value)}" for key, value in keys.items())]
        return "\n".join(lines) + "\n"

    @property
    def flags(self) -> list[str]:
        """Of the command line."""
        scale = [] if self.time_scale == 1 else ["--time-scale", f"{self.time_scale:g}"]
        store = ["--store", f"sqlite:///{DISK}/orders.db"] if self.needs_disk else []
        return ["--workers", "1", "--service-workers", "1", *scale, *store]

    @property
    def needs_disk(self) -> bool:
        """Whether it fills a disk, which is made for it."""
        return any(fault.kind == "disk-full" for fault in self.faults)


def _toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_toml(part) for part in value)}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def draw(seed: int) -> FaultPlan:
    """The plan of a seed."""
    dice = Random(seed)
    faults: list[Drawn] = []
    # What lasts keeps its length, whatever the scale: faults that overlap would not do so in the file as it stands.
    time_scale = dice.choice([1.0, 1.0, 0.5])
    begins_s = dice.uniform(3.0, 4.5)
    for _ in range(dice.choice([1, 1, 2])):
        group = [_drawn(dice, faults, begins_s)]
        if dice.random() < 0.4 and group[0].for_s > 0.4 and time_scale == 1:
            within_s = dice.uniform(0.1, group[0].for_s - 0.2)
            group.append(_drawn(dice, [*faults, *group], begins_s + within_s))
        faults += group
        # The next group begins when all is normal again, at the latest.
        begins_s = max(fault.end_s + fault.recovers_within_s + 3.0 for fault in faults)
        begins_s = round(begins_s + dice.uniform(0.01, 1.0), 2)
    alone = len(faults) == 1
    return FaultPlan(seed, begins_s, time_scale, [_known(one, alone) for one in faults])


def _known(fault: Drawn, alone: bool) -> Drawn:
    """Of faults that meet, only the run can tell which did what."""
    if alone or not fault.expect:
        return fault
    return Drawn(**{**vars(fault), "expect": dict.fromkeys(fault.expect)})


def _drawn(dice: Random, others: list[Drawn], at_s: float) -> Drawn:
    kind = dice.choice([*KINDS])
    if kind == "overload" and any(other.kind == kind for other in others):
        kind = "mark"  # the oracle's curve has one overload
    number = len(others)
    for_s = round(dice.uniform(1.2, 2.5), 1)
    keys, sure, unsure = KINDS[kind](dice)
    if keys.pop("at once", False):
        for_s = 0.0
    is_broken = bool(keys.pop("broken", False))
    expect: dict[str, bool | None] = {}
    known: list[tuple[str, bool | None]] = [*sure.items(), *((expr, None) for expr in unsure)]
    for expr, holds in dice.sample(known, dice.randint(0, min(3, len(known)))):
        if not (expr.startswith("goodput") and any(other.startswith("goodput") for other in expect)):
            expect[expr] = holds  # a fault has one share of goodput
    return Drawn(
        name=f"f{number}-{kind}",
        kind=keys.pop("kind", kind),  # type: ignore[arg-type]  # a word
        at_s=round(at_s, 2),
        for_s=for_s,
        recovers_within_s=dice.choice([0.5, 1.0, 3.0, 6.0]),
        detected_within_s=dice.choice([None, None, 0.5, 2.0]),
        keys=keys,
        expect=expect,
        is_broken=is_broken,
    )


Expected = tuple[Keys, dict[str, bool], list[str]]
"""(keys of the table, expectations and whether they hold, expectations that only the run can tell of)."""
P99 = "p99(POST /orders) < "
ERRORS = "errors(POST /orders) < "


def _delay(dice: Random) -> Expected:
    delay_ms = dice.randint(300, 900)
    share = round(dice.uniform(0.3, 1.0), 2)
    sure = {f"{P99}{delay_ms * 0.8:.0f}ms": False, "goodput > 50%": True, f"{P99}10s": True}
    return {"delay": f"{delay_ms}ms", "share": share}, sure, [f"{P99}{delay_ms * 1.2:.0f}ms"]


def _failing(dice: Random) -> Expected:
    share = round(dice.uniform(0.3, 0.8), 2)
    most = min(99, round(100 * (1 - share) + 40))  # half a second of its period may lie beside it
    sure = {f"goodput > {most}%": False, f"{ERRORS}3%": False, "goodput > 1%": True}
    return {"share": share}, sure, [f"goodput > {100 - share * 100:.0f}%", f"{ERRORS}{share * 100:.0f}%"]


def _all_failing(_dice: Random) -> Expected:
    return {"share": 1.0}, {"goodput > 60%": False, f"{ERRORS}30%": False}, []


def _stall(dice: Random) -> Expected:
    delay_ms = dice.randint(200, 600)
    sure = {f"{P99}{delay_ms * 0.8:.0f}ms": False, f"{P99}10s": True}
    return {"delay": f"{delay_ms}ms"}, sure, ["goodput > 50%", f"{P99}{delay_ms * 2:.0f}ms"]


def _slow_body(dice: Random) -> Expected:
    longer_ms = dice.randint(300, 900)
    sure = {f"{P99}{longer_ms * 0.8:.0f}ms": False, f"{P99}10s": True}
    return {"delay": f"{longer_ms}ms"}, sure, ["goodput > 50%"]


def _killed_worker(_dice: Random) -> Expected:
    return {"kind": "kill", "at once": True}, {"goodput > 1%": True}, ["goodput > 80%", f"{ERRORS}5%"]


def _restarted_worker(_dice: Random) -> Expected:
    return {"kind": "restart", "at once": True}, {"goodput > 1%": True}, ["goodput > 80%", f"{ERRORS}5%"]


def _stopped_worker(_dice: Random) -> Expected:
    return {"kind": "stop"}, {f"{P99}500ms": False}, ["goodput > 80%"]


def _crash(dice: Random) -> Expected:
    kind = dice.choice(["kill", "restart"])
    return {"kind": kind, "process": "supervisor"}, {"goodput > 70%": False, f"{ERRORS}10%": False}, []


def _stopped_supervisor(_dice: Random) -> Expected:
    return {"kind": "stop", "process": "supervisor"}, {"goodput > 50%": True, f"{ERRORS}20%": True}, []


def _latency(dice: Random) -> Expected:
    delay_ms = dice.randint(100, 500)
    sure = {f"{P99}{delay_ms * 0.9:.0f}ms": False, "goodput > 50%": True}
    return {"delay": f"{delay_ms}ms"}, sure, [f"{P99}{delay_ms + 50}ms"]


def _bandwidth(dice: Random) -> Expected:
    return {"bytes_per_s": dice.randint(1500, 4000)}, {f"{P99}200ms": False}, ["goodput > 50%", f"{P99}2s"]


def _lossy(dice: Random) -> Expected:
    share = round(dice.uniform(0.3, 0.9), 2)
    return {"kind": "loss", "share": share}, {}, ["goodput > 50%", f"{ERRORS}10%", "goodput > 95%"]


def _half_open(dice: Random) -> Expected:
    share = round(dice.uniform(0.3, 0.9), 2)
    return {"kind": "half-open", "share": share}, {}, ["goodput > 50%", f"{ERRORS}30%"]


def _cpu(_dice: Random) -> Expected:
    return {}, {"goodput > 20%": True}, ["goodput > 90%"]


def _disk_full(_dice: Random) -> Expected:
    return {"folder": DISK}, {}, ["goodput > 50%", f"{ERRORS}10%"]


def _overload(dice: Random) -> Expected:
    times = dice.randint(2, 6)
    return (
        {"times": times},
        {f"goodput > {times * 100 + 50}%": False, "goodput > 50%": True},
        ["goodput > 150%"],
    )


def _mark(_dice: Random) -> Expected:
    return {}, {"goodput > 50%": True, f"{ERRORS}20%": True}, []


def _hook(dice: Random) -> Expected:
    """Somebody's own switch, or their command; now and then one that fails."""
    if dice.random() < 0.5:
        fails = dice.random() < 0.3
        url = f"{HOOKS}/{'missing' if fails else 'on'}"
        return (
            {"kind": "hook", "url": url, "undo_url": f"{HOOKS}/off", "broken": fails},
            {},
            ["goodput > 50%"],
        )
    fails = dice.random() < 0.3
    command = [sys.executable, "-c", f"raise SystemExit({int(fails)})"]
    undo = [sys.executable, "-c", ""]
    return {"kind": "hook", "command": command, "undo": undo, "broken": fails}, {}, ["goodput > 50%"]


KINDS: dict[str, Callable[[Random], Expected]] = {
    "delay": _delay,
    "error": _failing,
    "reset": _failing,
    "hang": _failing,
    "stall": _stall,
    "slow-body": _slow_body,
    "kill-worker": _killed_worker,
    "restart-worker": _restarted_worker,
    "stop": _stopped_worker,
    "crash": _crash,
    "stop-supervisor": _stopped_supervisor,
    "latency": _latency,
    "loss": _all_failing,
    "lossy": _lossy,
    "bandwidth": _bandwidth,
    "half-open": _all_failing,
    "half-open-some": _half_open,
    "cpu": _cpu,
    "disk-full": _disk_full,
    "overload": _overload,
    "mark": _mark,
    "hook": _hook,
}
