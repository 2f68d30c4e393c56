"""
Dashboards as the JSON of Grafana, built with Grafana's own library, which holds its schema.
"""

from collections.abc import Iterator
from typing import Any, Final

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as forms
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from tests.dashboards.panels import SQL, Dashboard, Panel, PromQL

# As they are provisioned.
_PROMETHEUS: Final = models.DataSourceRef(type_val="prometheus", uid="prometheus")
_CLICKHOUSE: Final = models.DataSourceRef(type_val="grafana-clickhouse-datasource", uid="clickhouse")

_LINES, _TABLE = 0, 1


class _ClickHouseQuery(variants.Dataquery):
    """A query of the data source `grafana-clickhouse-datasource`, for which the library has no class."""

    def __init__(self, ref_id: str, statement: str, *, is_series: bool) -> None:
        self._payload = {
            "refId": ref_id,
            "datasource": _CLICKHOUSE,
            "editorType": "sql",
            "rawSql": statement,
            "queryType": "timeseries" if is_series else "table",
            "format": _LINES if is_series else _TABLE,
        }

    def to_json(self) -> dict[str, object]:
        """Return it as the library's encoder asks for it."""
        return dict(self._payload)

    def build(self) -> "_ClickHouseQuery":
        """Return itself: the library asks for things that build queries."""
        return self


def as_json(shown: Dashboard) -> str:
    """Return the JSON of a dashboard, as it stands in its file."""
    built = (
        dashboard.Dashboard(shown.title)
        .uid(f"routee-{shown.name}")
        .description(shown.about)
        .tags(["routee-callbacks"])
        .timezone("browser")
        .time(f"now-{shown.hours}h", "now")
        .refresh("30s")
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
    )
    for row in shown.rows:
        built = built.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            built = built.with_panel(_panel(panel))
    return f"{JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(built.build())}\n"


def _panel(panel: Panel) -> Any:  # noqa: ANN401 - each kind has a builder of its own
    made: Any = _BUILDERS[panel.kind]()
    is_sql = isinstance(panel.queries[0], SQL)
    made = (
        made.title(panel.title)
        .description(panel.about)
        .datasource(_CLICKHOUSE if is_sql else _PROMETHEUS)
        .unit(panel.unit)
        .span(panel.width)
        .height(panel.height)
    )
    for number, query in enumerate(panel.queries):
        made = made.with_target(_target(panel, chr(ord("A") + number), query))
    if panel.may_be_empty:
        made = made.no_value(panel.may_be_empty)
    if panel.worse_from is not None:
        made = made.thresholds(_thresholds(panel.worse_from)).color_scheme(
            dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS)
        )
    if panel.stacked:
        made = made.stacking(common.StackingConfig().mode(forms.StackingMode.NORMAL)).fill_opacity(30)
    for column, unit in (panel.units or {}).items():
        made = made.override_by_name(column, [models.DynamicConfigValue("unit", unit)])
    return made


def _target(panel: Panel, ref_id: str, query: PromQL | SQL) -> Any:  # noqa: ANN401 - one of two builders
    if isinstance(query, SQL):
        return _ClickHouseQuery(ref_id, query.statement, is_series=panel.kind == "lines")
    made = prometheus.Dataquery().expr(query.expression).ref_id(ref_id).datasource(_PROMETHEUS)
    if query.legend:
        made = made.legend_format(query.legend)
    if panel.kind == "table":
        return made.instant().format(PromQueryFormat.TABLE)
    return made.range() if panel.kind == "lines" else made.instant()


def _thresholds(worse_from: float) -> dashboard.ThresholdsConfig:
    steps = [models.Threshold(value=None, color="green"), models.Threshold(value=worse_from, color="red")]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _lines() -> timeseries.Panel:
    legend = (
        common.VizLegendOptions().display_mode(forms.LegendDisplayMode.LIST).placement(forms.LegendPlacement.BOTTOM)
    )
    return timeseries.Panel().legend(legend.show_legend(show_legend=True)).min(0)


def _bars() -> bargauge.Panel:
    one_bar_a_row = common.ReduceDataOptions().values(values=True).calcs([])
    return bargauge.Panel().orientation(forms.VizOrientation.HORIZONTAL).reduce_options(one_bar_a_row)


_BUILDERS: Final = {"lines": _lines, "number": stat.Panel, "table": table.Panel, "bars": _bars}


def queries_in(panels: list[dict[str, Any]]) -> Iterator[str]:
    """Yield each query that stands in panels of the JSON."""
    for panel in panels:
        for target in panel.get("targets", ()):
            yield target.get("expr") or target["rawSql"]
