"""The generated JSON: the same bytes each time, and what Grafana needs in it."""

import json
import re
from collections import Counter

import pytest

from dashboards.catalogue import DASHBOARDS
from dashboards.generate import FOLDER, main
from dashboards.grafana import as_json
from dashboards.metric_reference import reference
from dashboards.spec import Dashboard
from target_service.metrics import FAMILIES, SharedMetrics, SummedMetrics, Supervision

WITH_EXEMPLARS = {"loadtest_response_seconds", "orders_request_seconds"}
UIDS = [dashboard.uid for dashboard in DASHBOARDS]


def test_what_is_committed_is_what_the_code_generates() -> None:
    assert main(["--check"]) == 0
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == sorted(UIDS)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=UIDS)
def test_generating_twice_gives_the_same_bytes(dashboard: Dashboard) -> None:
    assert as_json(dashboard) == as_json(dashboard)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=UIDS)
def test_panels_have_ids_units_words_and_a_place_of_their_own(dashboard: Dashboard) -> None:
    panels = json.loads(as_json(dashboard))["panels"]
    assert max(Counter(panel["id"] for panel in panels).values()) == 1
    pictures = [panel for panel in panels if panel["type"] != "row"]
    assert len(pictures) == len(dashboard.panels)
    for panel in pictures:
        assert panel["description"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        heatmap = panel["type"] == "heatmap"
        assert panel["options"]["yAxis"]["unit"] if heatmap else panel["fieldConfig"]["defaults"]["unit"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells)), "two panels overlap"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=UIDS)
def test_every_variable_that_a_query_uses_is_defined(dashboard: Dashboard) -> None:
    defined = {variable["name"] for variable in json.loads(as_json(dashboard))["templating"]["list"]}
    assert defined == {"datasource", *(variable.name for variable in dashboard.variables)}


def test_the_reference_names_every_metric_that_the_service_exposes() -> None:
    exposed = SummedMetrics(SharedMetrics.create(1).blocks, Supervision()).collect()
    names = {f"{family.name}{'_total' if family.type == 'counter' else ''}" for family in exposed}
    assert all(f"`{name}`" in reference() for name in names)


def test_every_metric_that_a_query_uses_is_in_the_reference() -> None:
    text = reference()
    used = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for dashboard in DASHBOARDS
        for panel in dashboard.panels
        for query in panel.queries
        for name in re.findall(r"\b(?:loadtest|orders)_\w+", query.expr)
    }
    assert {name for name in used if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=UIDS)
def test_exemplars_are_asked_for_where_there_are_some_but_not_over_hours(dashboard: Dashboard) -> None:
    for panel in json.loads(as_json(dashboard))["panels"]:
        for target in panel.get("targets", []):
            asked = any(f"{metric}_bucket" in target["expr"] for metric in WITH_EXEMPLARS)
            over_hours = dashboard.uid == "singlesday-soak"
            assert target.get("exemplar", False) == (asked and not over_hours), target["expr"]


def test_the_service_has_exemplars_where_the_dashboards_ask_for_them() -> None:
    traced = {family.name for family in FAMILIES if family.is_traced}
    assert traced == WITH_EXEMPLARS - {"loadtest_response_seconds"}
