"""Writes a dashboard down as Grafana's JSON, by Grafana's own SDK.

The SDK is pinned to Grafana 11.6 (its plain install builds for 10.1). Panels get ids of their own, since
annotations and links refer to them, and the output is sorted, so that the same description gives the same
bytes.
"""

import json
from typing import Any

from grafana_foundation_sdk.builders import (
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.spec import Annotation, Dashboard, Kind, Link, Panel, Query, Variable

TAG = "singlesday"
OBJECTIVES = "/^limit of /"
"""The names of lines that are an objective's limit."""
LIMIT = "Z"
"""The letter of the query that gives a figure its threshold."""
LEGEND_VALUES = ["mean", "max", "lastNotNull"]
"""What stands beside each name below a chart."""
DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")


def as_json(dashboard: Dashboard) -> str:
    """The dashboard as Grafana's provisioning reads it."""
    return json.dumps(_built(dashboard), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _built(dashboard: Dashboard) -> models.Dashboard:
    builder = (
        builders.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.description)
        .tags([TAG])
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .refresh(dashboard.refresh)
        .time(dashboard.since, "now")
        .with_variable(builders.DatasourceVariable("datasource").label("data source").type("prometheus"))
    )
    builder.link(
        builders.DashboardLink("Dashboards")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )
    for link in dashboard.links:
        opened = builders.DashboardLink(link.title).type(models.DashboardLinkType.LINK).url(link.url)
        builder.link(opened.icon("external link").target_blank(True))
    for variable in dashboard.variables:
        builder.with_variable(_variable(variable))
    for annotation in dashboard.annotations:
        builder.annotation(_annotation(annotation))
    number = 0
    for heading, panels in dashboard.rows:
        number += 1
        builder.with_row(builders.Row(heading).id(number))
        for panel in panels:
            number += 1
            builder.with_panel(_panel(panel).id(number))
    return builder.build()


def _variable(variable: Variable) -> Any:
    if variable.typed:
        return builders.TextBoxVariable(variable.name).label(variable.label).default_value(variable.typed)
    if variable.values:
        custom = (
            builders.CustomVariable(variable.name).label(variable.label).values(",".join(variable.values))
        )
        first = ["$__all"] if variable.several else variable.values[0]
        text = ["All"] if variable.several else variable.values[0]
        custom.current(models.VariableOption(text=text, value=first, selected=True))
        return custom.multi(variable.several).include_all(variable.several)
    query = (
        builders.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(DATASOURCE)
        .query({"query": variable.query, "refId": variable.name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(
            models.VariableSort.ALPHABETICAL_ASC
            if variable.several
            else models.VariableSort.ALPHABETICAL_DESC
        )
        .multi(variable.several)
        .include_all(variable.several)
    )
    if variable.several:
        query.current(models.VariableOption(text=["All"], value=["$__all"], selected=True))
    return query


def _annotation(annotation: Annotation) -> Any:
    query = models.AnnotationQuery(
        name=annotation.name,
        datasource=DATASOURCE,
        enable=True,
        icon_color=annotation.colour,
        expr=annotation.expr,
    )

    class Built(builders.AnnotationQuery):
        """The SDK's builder has no title; the model's JSON takes what Grafana's Prometheus annotations read."""

        def build(self) -> Any:
            return {**query.to_json(), "titleFormat": annotation.title, "step": "1s"}

    return Built()


def _panel(panel: Panel) -> Any:
    make = {
        Kind.LINES: _lines,
        Kind.FIGURE: _figure,
        Kind.HEATMAP: _heatmap,
        Kind.STATES: _states,
        Kind.TABLE: _table,
    }[panel.kind]
    made = make(panel).title(panel.title).description(panel.description).datasource(DATASOURCE)
    made.span(panel.width).height(panel.height)
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        made.with_target(_target(query, letter, panel.kind))
    if panel.limit_from:
        made.with_target(_target(Query(panel.limit_from, "limit"), LIMIT, panel.kind))
        made.with_transformation(_threshold_from_query())
    return made


def _target(query: Query, letter: str, kind: Kind) -> Any:
    target = prometheus.Dataquery().expr(query.expr).ref_id(letter)
    if kind is Kind.TABLE:
        return target.instant().format(PromQueryFormat.TABLE)
    target.legend_format(query.legend).range()
    if query.exemplars:
        target.exemplar(True)
    return target.format(PromQueryFormat.HEATMAP if kind is Kind.HEATMAP else PromQueryFormat.TIME_SERIES)


def _lines(panel: Panel) -> Any:
    made = (
        timeseries.Panel()
        .unit(panel.unit)
        .line_width(1.5)
        .fill_opacity(6)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .calcs(LEGEND_VALUES)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .color_scheme(builders.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    )
    made.override_by_regexp(OBJECTIVES, _dashed_and_red())
    if panel.logarithmic:
        made.scale_distribution(common.ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10))
    if panel.limit is not None:
        style = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        made.thresholds(_limit(panel.limit)).thresholds_style(style)
    return made


def _figure(panel: Panel) -> Any:
    made = (
        stat.Panel().unit(panel.unit).graph_mode(BigValueGraphMode.AREA).color_mode(BigValueColorMode.VALUE)
    )
    made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if panel.named:
        made.text_mode(BigValueTextMode.NAME).graph_mode(BigValueGraphMode.NONE).no_value("not over yet")
        fixed = {"PASS": "green", "FAIL": "red", "AUDIT": "red", "INVALID": "orange", "ABORTED": "orange"}
        for name, colour in fixed.items():
            made.override_by_name(name, [_property("color", {"mode": "fixed", "fixedColor": colour})])
    return made.thresholds(_limit(panel.limit)) if panel.limit is not None else made


def _table(panel: Panel) -> Any:
    """Rows by `joined_by`; Grafana calls the values of query A `Value #A`, or `Value` where there is one query."""
    made = table.Panel()
    if panel.joined_by:
        made.with_transformation(
            models.DataTransformerConfig(
                id_val="joinByField", options={"byField": panel.joined_by, "mode": "outer"}
            )
        )
    letters = list(zip("ABCDEFGH", panel.queries, strict=False))
    several = len(letters) > 1
    names = {f"Value #{letter}" if several else "Value": query.column for letter, query in letters}
    times = {f"Time {number}": True for number in range(1, len(letters) + 1)} | {"Time": True}
    unwanted = {old: True for old, new in names.items() if not new}
    made.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": times | unwanted,
                "indexByName": {},
                "renameByName": {old: new for old, new in names.items() if new},
            },
        )
    )
    for query in panel.queries:
        if query.unit is not None:
            made.override_by_name(query.column, [_property("unit", query.unit)])
    for column in panel.hidden:
        made.override_by_name(column, [_property("custom.hidden", True)])
    if panel.links:
        made.override_by_name(panel.joined_by, [_property("links", [_as_json(link) for link in panel.links])])
    return made


def _as_json(link: Link) -> dict[str, Any]:
    return {"title": link.title, "url": link.url, "targetBlank": link.url.startswith("$")}


def _property(name: str, value: object) -> models.DynamicConfigValue:
    return models.DynamicConfigValue(id_val=name, value=value)


def _dashed_and_red() -> list[models.DynamicConfigValue]:
    """How a chart draws the limits that a plan's objectives set."""
    return [
        _property("color", {"mode": "fixed", "fixedColor": "red"}),
        _property("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
        _property("custom.lineWidth", 1),
        _property("custom.fillOpacity", 0),
    ]


def _threshold_from_query() -> models.DataTransformerConfig:
    """Grafana's `Config from query results`: the last value of query `LIMIT` is where a figure turns red."""
    mapping = {
        "fieldName": "limit",
        "handlerKey": "threshold1",
        "reducerId": "lastNotNull",
        "handlerArguments": {"threshold": {"color": "red"}},
    }
    options = {"configRefId": LIMIT, "mappings": [mapping], "applyTo": {"id": "byFrameRefID", "options": "A"}}
    return models.DataTransformerConfig(id_val="configFromData", options=options)


def _heatmap(panel: Panel) -> Any:
    return (
        heatmap.Panel()
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit(panel.unit))
        .color(heatmap.HeatmapColorOptions().scheme("Blues").steps(32))
    )


def _states(panel: Panel) -> Any:
    good = models.Threshold(value=1.0, color="green")
    bad = models.Threshold(value=None, color="red")
    return (
        statetimeline.Panel()
        .unit(panel.unit)
        .thresholds(builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps([bad, good]))
        .color_scheme(builders.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .legend(common.VizLegendOptions().show_legend(False))
    )


def _limit(limit: float) -> builders.ThresholdsConfig:
    fine, bad = models.Threshold(value=None, color="green"), models.Threshold(value=limit, color="red")
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps([fine, bad])
