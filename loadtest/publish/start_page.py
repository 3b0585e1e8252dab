"""What the start page shows of a plan before it is played: its curve, its figures, and what each field does."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import msgspec

from loadtest.publish import wording
from loadtest.publish.series import Chart, Line, Sheet, short

if TYPE_CHECKING:
    from loadtest.plan.profile import Piecewise

POINTS = 600


class Cumulative(Protocol):
    """Arrivals up to an instant, which is all that a chart of rates needs."""

    def cumulative(self, t_s: float) -> float: ...


class PlanChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that can be chosen."""

    name: str
    description: str


class OwnField(msgspec.Struct, frozen=True, kw_only=True):
    """An argument of the script's own."""

    name: str
    help: str
    value: str
    choices: list[str] = []


class StartPage(msgspec.Struct, frozen=True, kw_only=True):
    """What the page begins with."""

    plans: list[PlanChoice]
    values: dict[str, str]
    """What was asked for on the command line, by field."""
    fixed_target: str = ""
    """The target, where it cannot be chosen; empty: it can."""
    own: list[OwnField] = []


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario's part in the arrivals."""

    scenario: str
    arrivals: int
    share: float


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run cannot be started as asked."""

    field: str
    message: str
    nearest: str = ""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it would be played, or the first reason why it cannot be."""

    error: Refusal | None = None
    effects: dict[str, str] = {}
    """What each field means as it stands, by field."""
    facts: list[tuple[str, str, str]] = []
    """(name, value, meaning)."""
    shares: list[Share] = []
    objectives: list[str] = []
    sheet: Sheet | None = None


def curve(profile: "Piecewise", arrivals: Cumulative, noun: str) -> Sheet:
    """The planned rates: transactions, and arrivals of all scenarios, a second."""
    bin_s = profile.duration_s / POINTS
    t = [number * bin_s for number in range(POINTS)]
    edges_s = [*t, profile.duration_s]
    return Sheet(
        end_s=profile.duration_s,
        t=[round(t_s, 4) for t_s in t],
        bin_s=bin_s,
        phases=[(from_s, to_s, name) for from_s, to_s, name in profile.phases],
        charts=[
            Chart(
                id="plan",
                title="The plan",
                unit="per_s",
                counts="a second",
                lines=[
                    Line(key="planned", label=f"{noun}s/s", values=_rates(profile, edges_s), area=True),
                    Line(
                        key="started",
                        label="requests/s of all scenarios, if each arrival makes one",
                        values=_rates(arrivals, edges_s),
                    ),
                ],
            )
        ],
    )


def _rates(profile: Cumulative, edges_s: Sequence[float]) -> list[float | None]:
    """The mean rate between each two instants, arrivals per second."""
    sums = [profile.cumulative(t_s) for t_s in edges_s]
    bin_s = edges_s[1] - edges_s[0]
    return [short((after - before) / bin_s) for before, after in pairwise(sums)]


def facts(
    profile: "Piecewise", shares: Sequence[Share], arrivals_peak: tuple[float, float], noun: str
) -> list[tuple[str, str, str]]:
    """The plan in figures; `arrivals_peak` is when all scenarios together are highest, and their rate then."""
    at_s, peak_tps = profile.peak
    return [
        ("Peak", f"{wording.rate(peak_tps)} {noun}s/s", f"at {wording.duration(round(at_s, 1))}"),
        (
            "With all scenarios",
            f"{wording.rate(arrivals_peak[1])} requests/s",
            f"at {wording.duration(round(arrivals_peak[0], 1))}, if each arrival makes one request",
        ),
        ("Duration", wording.duration(round(profile.duration_s, 3)), f"{len(profile.phases)} phases"),
        (
            "Arrivals",
            f"{sum(share.arrivals for share in shares):,}",
            f"{profile.cumulative(profile.duration_s):,.0f} of them {noun}s",
        ),
    ]
