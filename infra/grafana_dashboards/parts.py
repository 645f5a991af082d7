"""The parts of a Grafana dashboard, and the JSON model that they become.

The model is Grafana's dashboard schema of version 41; a target is what the ClickHouse data source stores of a query
that was written in its SQL editor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

JsonObject = Mapping[str, object]

DATASOURCE: JsonObject = {"type": "grafana-clickhouse-datasource", "uid": "spanwatch"}
"""The data source that ``infra/grafana/provisioning/datasources`` provisions."""

PLUGIN_VERSION = "4.10.0"
"""Version of the plugin whose form of a target this is; later ones read it as well."""

SCHEMA_VERSION = 41
"""Of the dashboard model; Grafana brings older ones up to its own when it reads them."""

GRID_WIDTH = 24
"""Columns of a dashboard's grid."""

OF_CAPTURE = """\
  AND $__conditionalAll(capture_id IN (${capture:singlequote}), $capture)
  AND $__conditionalAll(
    capture_id IN (SELECT capture_id FROM panel_captures WHERE sensor IN (${sensor:singlequote})), $sensor
  )"""
"""What restricts a query to the captures and sensors that are chosen; stands behind another condition."""


def sql_text(text: str) -> str:
    """Return a statement without the indentation of the source, ``{of_capture}`` filled in."""
    lines = text.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    kept = [line[min(indent, len(line) - len(line.lstrip())) :].rstrip() for line in lines]
    return "\n".join(line for line in kept if line).replace("{of_capture}", OF_CAPTURE.lstrip())


@dataclass(frozen=True)
class Query:
    """One query of a panel.

    Parameters
    ----------
    sql : str
        ``{of_capture}`` in it becomes ``OF_CAPTURE``.
    is_series : bool
        Whether it answers a time series: a column ``time``, then names of series (text), then numbers. Otherwise a
        table.
    ref : str
        Names it in its panel.
    """

    sql: str
    is_series: bool = False
    ref: str = "A"

    def model(self) -> JsonObject:
        """Return the target; formats are those of the plugin, 0 a time series and 1 a table."""
        return {
            "refId": self.ref,
            "datasource": DATASOURCE,
            "editorType": "sql",
            "queryType": "timeseries" if self.is_series else "table",
            "format": 0 if self.is_series else 1,
            "pluginVersion": PLUGIN_VERSION,
            "rawSql": sql_text(self.sql),
        }


@dataclass(frozen=True)
class Link:
    """Where a click leads; ``url`` is Grafana's template."""

    title: str
    url: str
    opens_tab: bool = False

    def model(self) -> JsonObject:
        """Return the data link."""
        return {"title": self.title, "url": self.url, "targetBlank": self.opens_tab}


@dataclass(frozen=True)
class Panel:
    """One panel.

    Parameters
    ----------
    kind : str
        Grafana's panel type.
    description : str
        What it shows, for whoever points at its title.
    width : int
        Columns of ``GRID_WIDTH``.
    unit : str
        Grafana's name of the values' unit.
    min_interval : str
        Finest step of a time series; empty for Grafana's own.
    fields : mapping
        Properties of single fields, by the field's name.
    """

    title: str
    kind: str
    queries: tuple[Query, ...]
    description: str
    width: int
    height: int = 8
    unit: str = "short"
    min_interval: str = ""
    options: JsonObject = field(default_factory=dict)
    custom: JsonObject = field(default_factory=dict)
    thresholds: JsonObject | None = None
    fields: Mapping[str, JsonObject] = field(default_factory=dict)

    def model(self, number: int, x: int, y: int) -> JsonObject:
        """Return the panel at a place of the grid."""
        defaults: dict[str, object] = {"unit": self.unit, "custom": self.custom}
        if self.thresholds is not None:
            defaults |= {"thresholds": self.thresholds, "color": {"mode": "thresholds"}}
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": [query.model() for query in self.queries],
            "options": self.options,
            "fieldConfig": {"defaults": defaults, "overrides": [_override(*one) for one in self.fields.items()]},
            **({"interval": self.min_interval} if self.min_interval else {}),
        }


def _override(name: str, properties: JsonObject) -> JsonObject:
    found = [{"id": key, "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": found}


@dataclass(frozen=True)
class Variable:
    """A variable that is chosen from the answer of a query.

    Parameters
    ----------
    has_all : bool
        Whether several values may be chosen, and all of them; otherwise one.
    follows_time : bool
        Whether it is asked again when the time range changes; otherwise when the dashboard is opened.
    """

    name: str
    label: str
    sql: str
    has_all: bool = True
    follows_time: bool = False

    def model(self) -> JsonObject:
        """Return the variable."""
        sql = sql_text(self.sql)
        everything = {"text": ["All"], "value": ["$__all"]}
        return {
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": DATASOURCE,
            "query": sql,
            "refresh": 2 if self.follows_time else 1,
            "multi": self.has_all,
            "includeAll": self.has_all,
            "current": everything if self.has_all else {"text": "", "value": ""},
            "options": [],
            "sort": 0,
            "hide": 0,
            "skipUrlSync": False,
        }


@dataclass(frozen=True)
class Dashboard:
    """A dashboard: rows of panels, from the top.

    Parameters
    ----------
    uid : str
        Names it in links.
    default_from : str
        Where the default range begins; it ends now.
    """

    uid: str
    title: str
    description: str
    rows: tuple[Sequence[Panel], ...]
    variables: tuple[Variable, ...]
    annotations: tuple[JsonObject, ...] = ()
    default_from: str = "now-6h"

    def model(self, console: str) -> JsonObject:
        """Return the dashboard; ``console`` is the address under which the console is reached."""
        return {
            "id": None,
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["spanwatch"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": self.default_from, "to": "now"},
            "refresh": "1m",
            "links": _LINKS,
            "annotations": {"list": list(self.annotations)},
            "templating": {"list": [*(one.model() for one in self.variables), _console(console)]},
            "panels": self._panels(),
        }

    def _panels(self) -> list[JsonObject]:
        models: list[JsonObject] = []
        y = 0
        for row in self.rows:
            x = 0
            for panel in row:
                models.append(panel.model(len(models) + 1, x, y))
                x += panel.width
            y += max(panel.height for panel in row)
        return models


_LINKS: Sequence[JsonObject] = [
    {
        "type": "dashboards", "title": "spanwatch", "tags": ["spanwatch"], "asDropdown": False, "icon": "dashboard",
        "includeVars": True, "keepTime": True, "targetBlank": False, "tooltip": "", "url": "",
    },
    {
        "type": "link", "title": "Console", "tags": [], "asDropdown": False, "icon": "external link",
        "includeVars": False, "keepTime": False, "targetBlank": True, "tooltip": "The same time in spanwatch's console",
        "url": "${console}/console/?from=${__from}&to=${__to}",
    },
]  # fmt: skip


def _console(address: str) -> JsonObject:
    """Return the hidden variable that links to the console begin with; ``?var-console=`` overrides it."""
    return {
        "name": "console",
        "label": "Console",
        "type": "textbox",
        "query": address,
        "current": {"text": address, "value": address},
        "options": [{"selected": True, "text": address, "value": address}],
        "hide": 2,
        "skipUrlSync": False,
    }
