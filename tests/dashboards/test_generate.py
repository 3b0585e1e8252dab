"""The generated JSON: the same bytes each time, and what Grafana needs in it."""

import json
import re
from collections import Counter
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as Model

from dashboards.catalogue import DASHBOARDS
from dashboards.generate import FOLDER, main
from dashboards.grafana import as_json
from dashboards.metric_reference import reference
from dashboards.spec import Dashboard, Kind, Query
from target_service.metrics import FAMILIES, SharedMetrics
from target_service.metrics_page import SummedMetrics

WITH_EXEMPLARS = {"loadtest_response_seconds", "orders_request_seconds"}
UIDS = [dashboard.uid for dashboard in DASHBOARDS]


def test_what_is_committed_is_what_the_code_generates() -> None:
    assert main(["--check"]) == 0
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == sorted(UIDS)


def lost(given: Any, read: Any) -> set[str]:
    """The keys of a document that whoever read it does not know, at any depth; anything else that differs, too."""
    if isinstance(given, dict):
        missing: set[str] = set(given) - set(read)
        return missing.union(*(lost(given[key], read[key]) for key in given.keys() - missing))
    if isinstance(given, list):
        return set[str]().union(*(lost(one, other) for one, other in zip(given, read, strict=True)))
    return set() if given == read else {repr(given)}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=UIDS)
def test_grafanas_own_models_know_all_that_a_dashboard_says(dashboard: Dashboard) -> None:
    """But for what an annotation asks of Prometheus: their schema leaves that to the data source."""
    register_default_plugins()
    given = json.loads(as_json(dashboard))
    read = json.loads(json.dumps(Model.from_json(given), cls=JSONEncoder))
    assert lost(given, read) <= {"step", "titleFormat"}


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
        if panel["type"] == "heatmap":
            assert panel["options"]["yAxis"]["unit"]
        elif panel["type"] != "table":  # whose columns have units of their own
            assert panel["fieldConfig"]["defaults"]["unit"]
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
    exposed = SummedMetrics(SharedMetrics.create(1).blocks).collect()
    names = {f"{family.name}{'_total' if family.type == 'counter' else ''}" for family in exposed}
    assert all(f"`{name}`" in reference() for name in names)


def test_every_metric_that_a_query_uses_is_in_the_reference() -> None:
    text = reference()
    used = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for dashboard in DASHBOARDS
        for panel in dashboard.panels
        for query in (*panel.queries, *filter(None, [Query(panel.limit_from, "")]))
        for name in re.findall(r"\b(?:loadtest|orders)_\w+", query.expr)
    }
    assert {name for name in used if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=UIDS)
def test_exemplars_are_asked_for_where_there_are_some_but_not_over_hours(dashboard: Dashboard) -> None:
    for panel in json.loads(as_json(dashboard))["panels"]:
        for target in panel.get("targets", []):
            asked = any(f"{metric}_bucket" in target["expr"] for metric in WITH_EXEMPLARS)
            without = dashboard.uid == "singlesday-soak" or panel["type"] == "table"
            assert target.get("exemplar", False) == (asked and not without), target["expr"]


def test_the_service_has_exemplars_where_the_dashboards_ask_for_them() -> None:
    traced = {family.name for family in FAMILIES if family.is_traced}
    assert traced == WITH_EXEMPLARS - {"loadtest_response_seconds"}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=UIDS)
def test_every_chart_shows_values_beside_its_names(dashboard: Dashboard) -> None:
    charts = [p for p in json.loads(as_json(dashboard))["panels"] if p["type"] == "timeseries"]
    for chart in charts:
        assert chart["options"]["legend"]["calcs"] == ["mean", "max", "lastNotNull"]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=UIDS)
def test_every_dashboard_leads_to_the_others_and_those_of_a_run_to_its_report(dashboard: Dashboard) -> None:
    links = json.loads(as_json(dashboard))["links"]
    assert links[0]["type"] == "dashboards"
    assert links[0]["includeVars"]
    assert links[0]["keepTime"]
    about_a_run = "run" in {variable.name for variable in dashboard.variables}
    assert ("$web/peak/runs/$run/report.html" in [link.get("url") for link in links]) == about_a_run


def test_limits_come_from_the_plans_objectives() -> None:
    [peak_run] = [dashboard for dashboard in DASHBOARDS if dashboard.uid == "singlesday-peak-run"]
    panels = {panel["title"]: panel for panel in json.loads(as_json(peak_run))["panels"]}
    for title in ("p99 response", "Errors"):
        [transformation] = panels[title]["transformations"]
        assert transformation["id"] == "configFromData"
        assert transformation["options"]["mappings"][0]["handlerKey"] == "threshold1"
        configured = transformation["options"]["configRefId"]
        [target] = [t for t in panels[title]["targets"] if t["refId"] == configured]
        assert "loadtest_slo_limit" in target["expr"]
    for title in ("Response time, exact", "Failed share"):
        assert any("loadtest_slo_limit" in target["expr"] for target in panels[title]["targets"])
        [override] = panels[title]["fieldConfig"]["overrides"]
        assert override["matcher"]["options"] == "/^limit of /"


def test_a_runs_time_range_is_one_click_away() -> None:
    [runs] = [dashboard for dashboard in DASHBOARDS if dashboard.uid == "singlesday-runs"]
    [table] = [panel for panel in json.loads(as_json(runs))["panels"] if panel["type"] == "table"]
    [links] = [
        found["value"]
        for override in table["fieldConfig"]["overrides"]
        for found in override["properties"]
        if found["id"] == "links"
    ]
    assert "from=${__data.fields.from.numeric}&to=${__data.fields.to.numeric}" in links[0]["url"]
    headings = {query.column for query in runs.panels[0].queries}
    assert {"from", "to"} <= headings
    assert runs.panels[0].kind is Kind.TABLE


def test_verdict_and_lost_workers_are_marked_in_every_dashboard_of_a_run() -> None:
    for dashboard in DASHBOARDS:
        if "run" in {variable.name for variable in dashboard.variables}:
            marked = {mark["name"] for mark in json.loads(as_json(dashboard))["annotations"]["list"]}
            assert {"Phases", "Verdict", "Lost workers"} <= marked
