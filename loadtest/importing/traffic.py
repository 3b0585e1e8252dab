"""Traffic as read from logs: requests by second, by endpoint, and by key."""

from typing import NamedTuple

from loadtest.importing.shares import Share
from loadtest.importing.visits import Visits
from loadtest.importing.zipf_fit import Skew


class Keys(NamedTuple):
    """What stood in the parameters of a template, or in its query, the most wanted first."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Values by `names`; made up where they are held back."""
    distinct: int
    skew: Skew | None
    held_back: tuple[str, ...] = ()
    """The names whose values were not copied."""


class Endpoint(NamedTuple):
    """Requests of one method and template."""

    method: str
    template: str
    """A path with `{name}` for each parameter."""
    requests: int
    keys: Keys | None = None
    query: Keys | None = None
    shares: tuple[Share, ...] = ()
    """Its shares of all requests, where they change; empty where one holds for the whole log."""

    @property
    def called(self) -> str:
        """What it is called in a plan's objectives: `/products/[sku]`."""
        return self.template.replace("{", "[").replace("}", "]")

    @property
    def name(self) -> str:
        """Its method and what it is called."""
        return f"{self.method} {self.called}"


class Step(NamedTuple):
    """How often customers went from one endpoint to another, and how long that took them."""

    before: str
    after: str
    share: float
    """Of all that followed `before`."""
    median_s: float


class Traffic(NamedTuple):
    """Requests by the second and by endpoint."""

    source: str
    first_second: int
    """Since 1970."""
    counts: tuple[int, ...]
    """Requests in each second from the first."""
    endpoints: tuple[Endpoint, ...]
    """The most requested first."""
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out or guessed, a sentence each."""
    visits: Visits | None = None
    """What clients asked for one after another."""
