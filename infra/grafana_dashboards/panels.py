"""Kinds of panels as these dashboards use them, and where their fields lead."""

from __future__ import annotations

from collections.abc import Mapping

from infra.grafana_dashboards.parts import JsonObject, Link, Panel, Query

TRAFFIC_STEP = "1m"
"""Finest step of what reads the rollups."""

WINDOW_STEP = "10s"
"""Finest step of what reads windows: their usual size."""

_TIME = "${__url_time_range}"
_CHOICE = "${sensor:queryparam}&${capture:queryparam}"
_IN_CONSOLE = "from=${__from}&to=${__to}"

TO_HOST = (
    Link("This host", f"/d/spanwatch-host?var-host=${{__value.text:percentencode}}&{_CHOICE}&{_TIME}"),
    Link("In the console", f"${{console}}/console/hosts/${{__value.text:percentencode}}?{_IN_CONSOLE}", opens_tab=True),
)
"""From an address to all that is known of the host."""

TO_ANOMALY = (Link("Why, and the packets", "${console}/console/anomalies/${__data.fields.anomaly_id}", opens_tab=True),)
"""From an anomaly to its reason and evidence."""

TO_ANOMALIES = (Link("Anomalies", f"/d/spanwatch-anomalies?{_CHOICE}&{_TIME}"),)
TO_VERDICTS = (Link("Verdicts", f"/d/spanwatch-verdicts?var-class=${{__value.text:percentencode}}&{_CHOICE}&{_TIME}"),)
TO_PIPELINE = (Link("Captures and pipeline", f"/d/spanwatch-pipeline?{_CHOICE}&{_TIME}"),)

TO_CAPTURE = (
    Link(
        "Its traffic, at its time",
        "/d/spanwatch-overview?var-capture=${__data.fields.capture_id}"
        "&from=${__data.fields.first_ms}&to=${__data.fields.last_ms}",
    ),
    Link("In the console", "${console}/console/captures/${__data.fields.capture_id}", opens_tab=True),
)
"""From a capture to its traffic and its report."""

TO_FLOW = (Link("In the console", "${console}/console/flows/${__data.fields.flow}", opens_tab=True),)

HIDDEN: JsonObject = {"custom.hidden": True}
"""Of a column of a table that only links read."""

BYTES: JsonObject = {"unit": "decbytes"}
SHARE: JsonObject = {"unit": "percentunit"}

BAND: Mapping[str, JsonObject] = {
    "lower": {"custom.lineWidth": 0, "custom.fillOpacity": 0},
    "upper": {"custom.lineWidth": 0, "custom.fillBelowTo": "lower", "custom.fillOpacity": 15},
    "usual": {"custom.lineStyle": {"fill": "dash", "dash": [6, 6]}},
}
"""Of the three series of a band: the space between its edges is filled."""

SEVERITY: JsonObject = {
    "custom.cellOptions": {"type": "color-background", "mode": "basic"},
    "mappings": [
        {
            "type": "value",
            "options": {"high": {"color": "dark-red", "index": 0}, "medium": {"color": "dark-orange", "index": 1}},
        }
    ],
}

_LEGEND: JsonObject = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
_TOOLTIP: JsonObject = {"mode": "multi", "sort": "desc"}
_EACH_ROW: JsonObject = {"values": True, "calcs": ["lastNotNull"], "fields": ""}


def linked(links: tuple[Link, ...], **properties: object) -> JsonObject:
    """Return properties of a field whose values lead somewhere."""
    return {"links": [link.model() for link in links], **properties}


def red_above(limit: float) -> JsonObject:
    """Return thresholds: green below a value, red from it on."""
    return {"mode": "absolute", "steps": [{"value": None, "color": "green"}, {"value": limit, "color": "red"}]}


def in_steps(*columns: str, of: str, by: str = "", where: str = "") -> str:
    """Return the query of a chart: what a view has of the range and of the captures that are chosen, step by step.

    Parameters
    ----------
    columns : str
        What is taken of each step, a line of the statement each.
    of : str
        The view; it has a column ``at``.
    by : str
        The column whose values are series of their own.
    where : str
        What else a row must satisfy.
    """
    name = f", {by}" if by else ""
    lines = [
        f"SELECT $__timeInterval(at) AS time{name}, " + ",\n       ".join(columns),
        f"FROM {of}",
        "WHERE $__timeFilter(at)" + (f" AND {where}" if where else ""),
        "  {of_capture}",
        f"GROUP BY time{name}",
        "ORDER BY time",
    ]
    return "\n".join(lines)


def series(
    title: str,
    description: str,
    *queries: str,
    width: int = 12,
    unit: str = "short",
    step: str = WINDOW_STEP,
    stacked: bool = False,
    bars: bool = False,
    fields: Mapping[str, JsonObject] | None = None,
) -> Panel:
    """Return a chart over time; its queries are named A, B, …."""
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineWidth": 1,
        "fillOpacity": 60 if bars else 25 if stacked else 10,
        "showPoints": "never",
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    return Panel(
        title, "timeseries", tuple(Query(sql, is_series=True, ref=chr(65 + at)) for at, sql in enumerate(queries)),
        description, width, unit=unit, min_interval=step, options={"legend": _LEGEND, "tooltip": _TOOLTIP},
        custom=custom, fields=fields or {},
    )  # fmt: skip


def stat(
    title: str,
    description: str,
    sql: str,
    *,
    width: int = 6,
    unit: str = "short",
    red_from: float | None = None,
    fields: Mapping[str, JsonObject] | None = None,
) -> Panel:
    """Return the figures of one row, large."""
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "colorMode": "value" if red_from is not None else "none",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "value_and_name",
        "wideLayout": True,
        "percentChangeColorMode": "standard",
        "showPercentChange": False,
    }
    limits = None if red_from is None else red_above(red_from)
    return Panel(
        title, "stat", (Query(sql),), description, width, height=4, unit=unit, options=options, thresholds=limits,
        fields=fields or {},
    )  # fmt: skip


def table(
    title: str,
    description: str,
    sql: str,
    *,
    width: int = 12,
    height: int = 9,
    fields: Mapping[str, JsonObject] | None = None,
) -> Panel:
    """Return a table; widths and units come with ``fields``."""
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}
    options = {"showHeader": True, "cellHeight": "sm"}
    return Panel(
        title, "table", (Query(sql),), description, width, height, options=options, custom=custom, fields=fields or {}
    )


def pie(
    title: str, description: str, sql: str, *, width: int = 8, unit: str = "short", links: tuple[Link, ...] = ()
) -> Panel:
    """Return the shares of the rows of a table of a name and a number."""
    options = {
        "pieType": "donut",
        "displayLabels": [],
        "reduceOptions": _EACH_ROW,
        "legend": {
            "displayMode": "table",
            "placement": "right",
            "showLegend": True,
            "calcs": [],
            "values": ["percent"],
        },
        "tooltip": {"mode": "single", "sort": "none"},
    }
    fields = {"total": linked(links)} if links else {}
    return Panel(title, "piechart", (Query(sql),), description, width, unit=unit, options=options, fields=fields)


def bars(title: str, description: str, sql: str, *, along: str, width: int = 12, unit: str = "short") -> Panel:
    """Return bars over the values of a column."""
    options = {
        "xField": along,
        "orientation": "auto",
        "showValue": "auto",
        "stacking": "none",
        "groupWidth": 0.7,
        "barWidth": 0.97,
        "barRadius": 0,
        "fullHighlight": False,
        "xTickLabelRotation": 0,
        "legend": {**_LEGEND, "showLegend": False},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return Panel(
        title, "barchart", (Query(sql),), description, width, unit=unit, options=options, custom={"fillOpacity": 80}
    )
