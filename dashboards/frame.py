"""Where a panel stands, and its axes: values with their unit at the left, UTC below, phases across."""

import math
import time
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from dashboards.legend import CHARACTER_PX
from dashboards.spec import Unit

GAP_PX = 8
TITLE_PX, UNIT_PX, TIME_PX = 26, 18, 20
LEAST_LEFT_PX = 60
"""Room for the values of most panels, so that the time axes of neighbours stand below one another."""
TIME_LABEL_PX = 60
TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
UNIT_WORDS = {Unit.ORDERS_PER_S: "orders/s", Unit.PER_S: "per s"}
"""What stands above an axis whose values are plain numbers; the other units stand behind each value."""


class Phase(NamedTuple):
    """A named stretch of the run, in unix time."""

    name: str
    from_s: float
    to_s: float


class Frame:
    """A panel's rectangle and the plot in it."""

    def __init__(self, x: float, y: float, width: float, height: float) -> None:
        self.x, self.y, self.width, self.height = x + GAP_PX / 2, y, width - GAP_PX, height - GAP_PX
        self.left, self.right = self.x + LEAST_LEFT_PX, self.x + self.width - 10
        self.top, self.bottom = self.y + TITLE_PX + UNIT_PX, self.y + self.height - TIME_PX
        self.from_s, self.to_s = 0.0, 1.0

    def lasting(self, from_s: float, to_s: float) -> None:
        """Have the plot show this stretch of unix time."""
        self.from_s, self.to_s = from_s, to_s

    def leave(self, *, below_px: float = 0, labels: Sequence[str] = ()) -> None:
        """Make room below the time axis, and at the left for the widest label."""
        self.bottom -= below_px
        widest_px = CHARACTER_PX * 1.12 * max(map(len, labels), default=0)  # figures are wider than the mean
        self.left = max(self.left, self.x + widest_px + 12)

    def across(self, at_s: float) -> float:
        """The x of an instant; one beyond the ends stays at the end."""
        share = (at_s - self.from_s) / max(self.to_s - self.from_s, 1e-9)
        return self.left + min(max(share, 0), 1) * (self.right - self.left)

    def up(self, share: float) -> float:
        """The y of a share of the height."""
        return self.bottom - min(max(share, 0), 1) * (self.bottom - self.top)

    def value_axis(self, ticks: Sequence[tuple[float, str]], unit: Unit) -> str:
        """Lines at (share of the height, label), the unit above."""
        parts = [
            f'<path class="grid" d="M{self.left:.1f} {self.up(share):.1f}H{self.right:.1f}"/>'
            f'<text class="e" x="{self.left - 6:.1f}" y="{self.up(share) + 4:.1f}">{escape(label)}</text>'
            for share, label in ticks
        ]
        words = UNIT_WORDS.get(unit, "")
        return "".join(parts) + f'<text x="{self.x + 10:.1f}" y="{self.y + TITLE_PX + 8:.1f}">{words}</text>'

    def time_axis(self) -> str:
        """Marks at round instants, in UTC; a label that would stand beyond the panel is left out."""
        parts = []
        for at_s, words in time_ticks(self.from_s, self.to_s, int((self.right - self.left) / TIME_LABEL_PX)):
            x = self.across(at_s)
            parts.append(f'<path class="mark" d="M{x:.1f} {self.bottom:.1f}v4"/>')
            half_px = CHARACTER_PX * len(words) / 2
            if self.x + half_px <= x <= self.x + self.width - half_px:
                parts.append(f'<text class="m" x="{x:.1f}" y="{self.bottom + 16:.1f}">{words}</text>')
        return "".join(parts)

    def phases(self, phases: Sequence[Phase]) -> str:
        """A band for each, every other one shaded, with its name where there is room."""
        parts, free_x = [], self.left
        for number, phase in enumerate(phases):
            x, end = self.across(phase.from_s), self.across(phase.to_s)
            shade = "band" if number % 2 == 0 else "gap"
            parts.append(
                f'<g><title>{escape(phase.name)}</title><rect class="{shade}" x="{x:.1f}" y="{self.top:.1f}" '
                f'width="{end - x:.1f}" height="{self.bottom - self.top:.1f}"/>'
                f'<path class="phase" d="M{x:.1f} {self.top:.1f}V{self.bottom:.1f}"/></g>'
            )
            wide = CHARACTER_PX * len(phase.name)
            at = min(max(x, free_x), self.right - wide)
            if at >= free_x and at < max(end, x + 12):
                parts.append(
                    f'<text class="p" x="{at + 2:.1f}" y="{self.top - 4:.1f}">{escape(phase.name)}</text>'
                )
                free_x = at + wide + 10
        return "".join(parts)


def time_ticks(from_s: float, to_s: float, most: int) -> list[tuple[float, str]]:
    """At most so many round instants of UTC within [from_s, to_s), each as `14:05`, or `14:05:30` below a minute."""
    most = max(most, 1)
    least_s = (to_s - from_s) / most
    step_s = next((step for step in TIME_STEPS_S if step >= least_s), math.ceil(least_s))
    form = "%H:%M:%S" if step_s < 60 else "%H:%M" if step_s < TIME_STEPS_S[-1] else "%d %b"
    instants = range(math.ceil(from_s / step_s) * step_s, math.ceil(to_s), step_s)
    return [(float(at_s), time.strftime(form, time.gmtime(at_s))) for at_s in instants]
