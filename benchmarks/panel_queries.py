"""What Grafana and the ClickHouse data source make of a query before ClickHouse sees it.

Variables as Grafana documents them ("Variable syntax": ``$name``, ``${name}``, ``${name:singlequote}``, and the time
range as ``${__from}``), ``$__conditionalAll`` as the plugin's page "Template variables" says, and the other macros as
the table "Macros" of its page "Query editor" does. A macro that is not in that table is an error here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from infra.grafana_dashboards.files import FOLDER

ALL = "$__all"
CONDITIONAL = "$__conditionalAll("

NICE_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Steps that Grafana rounds to, s."""

POINTS = 1_000
"""Points of a chart: its width in pixels on a usual screen."""


@dataclass(frozen=True)
class View:
    """What somebody looks at: a range and the values chosen.

    Parameters
    ----------
    start_s, end_s : int
        The range, s since the epoch.
    step_s : int
        Of a chart; see ``step_of``.
    chosen : mapping
        Values of variables by name; ``ALL`` alone for all.
    """

    start_s: int
    end_s: int
    step_s: int = 60
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def step_of(range_s: int, min_interval: str) -> int:
    """Return the step of a chart of a range, s: the range by the points, rounded to the next nice one, or its floor."""
    units = {"s": 1, "m": 60, "h": 3600}
    floor = int(min_interval[:-1]) * units[min_interval[-1]] if min_interval else 1
    wanted = max(range_s / POINTS, floor)
    return next((nice for nice in NICE_S if nice >= wanted), NICE_S[-1])


def expanded(sql: str, view: View) -> str:
    """Return the statement that ClickHouse gets.

    Raises
    ------
    ValueError
        A macro is unknown, or a variable has no value.
    """
    text = _variables(_conditions(sql, view), view)
    while match := re.search(r"\$__(\w+)", text):
        name, end = match[1], match.end()
        arguments: list[str] = []
        if text[end : end + 1] == "(":
            arguments, end = _arguments(text, end)
        text = text[: match.start()] + _macro(name, arguments, view) + text[end:]
    return text


def _arguments(text: str, opens: int) -> tuple[list[str], int]:
    """Return the arguments within the parenthesis that opens at a place, and where it has closed."""
    depth, begin, found = 0, opens + 1, []
    for place in range(opens, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0 or (depth == 1 and text[place] == ","):
            found.append(text[begin:place].strip())
            begin = place + 1
        if depth == 0:
            return found, place + 1
    raise ValueError(f"no end of {text[opens : opens + 40]}")


def _conditions(text: str, view: View) -> str:
    """Keep the first argument of ``$__conditionalAll`` unless its variable has all values."""
    while (place := text.rfind(CONDITIONAL)) >= 0:
        (condition, variable), end = _arguments(text, place + len(CONDITIONAL) - 1)
        chosen = view.chosen[variable.strip("${}")]
        text = text[:place] + ("1=1" if chosen == (ALL,) else condition) + text[end:]
    return text


def _variables(text: str, view: View) -> str:
    def value(match: re.Match[str]) -> str:
        name, form = match[1], match[2]
        values = view.chosen[name]
        if form == "singlequote":
            return ",".join("'" + one.replace("'", "\\'") + "'" for one in values)
        if form:
            raise ValueError(f"the format {form} is not known here")
        return ",".join(values)

    return re.sub(r"\$\{(\w+)(?::(\w+))?\}", value, text)


def _date(seconds: int) -> str:
    return f"toDate('{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}')"


def _macro(name: str, arguments: list[str], view: View) -> str:
    first, last = f"toDateTime({view.start_s})", f"toDateTime({view.end_s})"
    first_ms, last_ms = (f"fromUnixTimestamp64Milli({at * 1000})" for at in (view.start_s, view.end_s))
    of = [*arguments, "", ""]
    dates = f"({of[0]} >= {_date(view.start_s)} AND {of[0]} <= {_date(view.end_s)})"
    both = f"{dates} AND ({of[1]} >= {first} AND {of[1]} <= {last})"
    known = {
        ("dateFilter", 1): dates[1:-1],
        ("timeFilter", 1): f"{of[0]} >= {first} AND {of[0]} <= {last}",
        ("timeFilter_ms", 1): f"{of[0]} >= {first_ms} AND {of[0]} <= {last_ms}",
        ("dateTimeFilter", 2): both,
        ("dt", 2): both,
        ("timeFrom", 1): f"{of[0]} >= {first}",
        ("timeTo", 1): f"{of[0]} <= {last}",
        ("fromTime", 0): first,
        ("toTime", 0): last,
        ("fromTime_ms", 0): first_ms,
        ("toTime_ms", 0): last_ms,
        ("interval_s", 0): str(view.step_s),
        ("timeInterval", 1): f"toStartOfInterval(toDateTime({of[0]}), INTERVAL {view.step_s} second)",
        (
            "timeInterval_ms",
            1,
        ): f"toStartOfInterval(toDateTime64({of[0]}, 3), INTERVAL {view.step_s * 1000} millisecond)",
    }
    if (name, len(arguments)) not in known:
        raise ValueError(f"$__{name} with {len(arguments)} arguments is no macro of the plugin")
    return known[name, len(arguments)]


@dataclass(frozen=True)
class Asked:
    """A query as it stands in a file, and what it is for.

    Parameters
    ----------
    place : str
        Dashboard and panel, or what else it is.
    kind : str
        ``series``, ``table``, ``variable``, ``annotation`` or ``alert``.
    range_s : int
        The default range of its dashboard, or that of its alert.
    """

    place: str
    kind: str
    sql: str
    range_s: int
    min_interval: str = ""


def boards() -> Iterator[dict[str, Any]]:
    """Return every dashboard file."""
    for path in sorted((FOLDER / "dashboards").glob("*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def alert_rules() -> list[dict[str, Any]]:
    """Return the provisioned alert rules."""
    text = (FOLDER / "provisioning" / "alerting" / "spanwatch.json").read_text(encoding="utf-8")
    return [rule for group in json.loads(text)["groups"] for rule in group["rules"]]


def range_of(board: dict[str, Any]) -> int:
    """Return a dashboard's default range, s."""
    match = re.fullmatch(r"now-(\d+)([hd])", board["time"]["from"])
    assert match
    assert board["time"]["to"] == "now"
    return int(match[1]) * {"h": 3600, "d": 86400}[match[2]]


def asked() -> Iterator[Asked]:
    """Return every query of every dashboard, and of the alerts."""
    for board in boards():
        uid, range_s = board["uid"].removeprefix("spanwatch-"), range_of(board)
        for panel in board["panels"]:
            for target in panel["targets"]:
                kind = "series" if target["format"] == 0 else "table"
                place = f"{uid}: {panel['title']}" + (f" ({target['refId']})" if target["refId"] != "A" else "")
                yield Asked(place, kind, target["rawSql"], range_s, panel.get("interval", ""))
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                yield Asked(f"{uid}: ${variable['name']}", "variable", variable["query"], range_s)
        for mark in board["annotations"]["list"]:
            yield Asked(f"{uid}: marks {mark['name']}", "annotation", mark["target"]["rawSql"], range_s)
    for rule in alert_rules():
        step = rule["data"][0]
        yield Asked(
            f"alert: {rule['title']}", "alert", step["model"]["rawSql"], step["relativeTimeRange"]["from"], "1m"
        )
