"""Asks a Prometheus for the values of a panel, over its HTTP API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from dashboards.promql import substituted
from dashboards.spec import Panel, Query

TIMEOUT_S = 30


@dataclass(frozen=True)
class Series:
    """One line of a panel: its name and its values by unix time, oldest first."""

    legend: str
    points: dict[float, float]

    @property
    def last(self) -> float:
        """The newest value."""
        return list(self.points.values())[-1]


@dataclass(frozen=True)
class Source:
    """A Prometheus and the period of time that is looked at."""

    url: str
    from_s: float
    to_s: float
    step_s: float
    scrape_s: float
    variables: Mapping[str, str | Sequence[str]]

    def panel(self, panel: Panel) -> list[Series]:
        """Every line of a panel. Raises `OSError`."""
        return [series for query in panel.queries for series in self.query(query)]

    def query(self, query: Query) -> list[Series]:
        """Every line of one query."""
        span_s = self.to_s - self.from_s
        times = {"scrape_s": self.scrape_s, "step_s": self.step_s, "range_s": span_s}
        expr = substituted(query.expr, self.variables, **times)
        answer = self.ask("query_range", query=expr, start=self.from_s, end=self.to_s, step=self.step_s)
        return [
            Series(_legend(query.legend, line["metric"]), {float(t): float(v) for t, v in line["values"]})
            for line in answer["result"]
        ]

    def ask(self, what: str, **parameters: str | float) -> Any:
        """What its API has to say of `what`. Raises `OSError`."""
        answer = requests.get(f"{self.url}/api/v1/{what}", params=parameters, timeout=TIMEOUT_S).json()
        if answer["status"] != "success":
            raise requests.RequestException(f"{parameters.get('query')}: {answer['error']}")
        return answer["data"]


def _legend(template: str, labels: Mapping[str, str]) -> str:
    for name, value in labels.items():
        template = template.replace("{{" + name + "}}", value)
    return template
