"""Writes a dashboard down as Grafana's JSON, by Grafana's own SDK.

The SDK is pinned to Grafana 11.6 (its plain install builds for 10.1). Panels get ids of their own, since
annotations and links refer to them, and the output is sorted, so that the same description gives the same
bytes.
"""

import json
from typing import Any

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.spec import Annotation, Dashboard, Kind, Panel, Query, Variable

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")


def as_json(dashboard: Dashboard) -> str:
    """The dashboard as Grafana's provisioning reads it."""
    return json.dumps(_built(dashboard), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _built(dashboard: Dashboard) -> models.Dashboard:
    builder = (
        builders.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.description)
        .tags(["singlesday"])
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .refresh(dashboard.refresh)
        .time(dashboard.since, "now")
        .with_variable(builders.DatasourceVariable("datasource").label("data source").type("prometheus"))
    )
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
        name=annotation.name, datasource=DATASOURCE, enable=True, icon_color="blue", expr=annotation.expr
    )

    class Built(builders.AnnotationQuery):
        """The SDK's builder has no title; the model's JSON takes what Grafana's Prometheus annotations read."""

        def build(self) -> Any:
            return {**query.to_json(), "titleFormat": annotation.title, "step": "1s"}

    return Built()


def _panel(panel: Panel) -> Any:
    make = {Kind.LINES: _lines, Kind.FIGURE: _figure, Kind.HEATMAP: _heatmap, Kind.STATES: _states}[
        panel.kind
    ]
    made = make(panel).title(panel.title).description(panel.description).datasource(DATASOURCE)
    made.span(panel.width).height(panel.height)
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        made.with_target(_target(query, letter, panel.kind))
    return made


def _target(query: Query, letter: str, kind: Kind) -> Any:
    target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(letter).range()
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
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .color_scheme(builders.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    )
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
    return made.thresholds(_limit(panel.limit)) if panel.limit is not None else made


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
