"""What several dashboards have in common: variables, marks of anomalies, and the loss ledger."""

# ruff: noqa: E501 - SQL reads best in long lines, and all of it is our own

from __future__ import annotations

from infra.grafana_dashboards.panels import in_steps, red_above, table
from infra.grafana_dashboards.parts import DATASOURCE, JsonObject, Panel, Query, Variable

SENSOR = Variable("sensor", "Sensor", "SELECT DISTINCT sensor FROM panel_captures ORDER BY sensor")
"""The machine that captured."""

CAPTURE = Variable(
    "capture",
    "Capture",
    """
    SELECT capture_id, label
    FROM panel_captures
    WHERE $__conditionalAll(sensor IN (${sensor:singlequote}), $sensor)
    ORDER BY at DESC
    LIMIT 500
    """,
)
"""The newest captures of the sensors chosen."""

HOST = Variable(
    "host",
    "Host",
    """
    SELECT host
    FROM panel_talkers
    WHERE $__timeFilter(at)
      {of_capture}
    GROUP BY host
    ORDER BY sum(bytes_sent + bytes_received) DESC
    LIMIT 500
    """,
    has_all=False,
    follows_time=True,
)
"""The busiest hosts of the range; any other address may be typed."""

CLASS = Variable(
    "class",
    "Class",
    """
    SELECT class_name
    FROM panel_classes
    WHERE $__timeFilter(at)
      {of_capture}
    GROUP BY class_name
    ORDER BY sum(packets) DESC
    """,
    follows_time=True,
)
"""The classes that the champion named in the range."""

_MARKS = """
SELECT at AS time, at_end AS timeEnd, message AS text, severity, type
FROM panel_anomalies
WHERE $__timeFilter(at){condition}
  {of_capture}
ORDER BY time DESC
LIMIT 100
"""


def _marks(condition: str = "") -> JsonObject:
    """Return the newest anomalies as marks on every chart."""
    query = Query(_MARKS.replace("{condition}", condition), ref="Anomalies").model()
    return {
        "name": "Anomalies",
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "red",
        # The schema wants the first three, which only Grafana's own data source reads.
        "target": {"limit": 100, "matchAny": False, "tags": [], **query},
        "mappings": {
            "time": {"source": "field", "value": "time"},
            "timeEnd": {"source": "field", "value": "timeEnd"},
            "text": {"source": "field", "value": "text"},
            "tags": {"source": "field", "value": "severity"},
        },
    }


ANOMALY_MARKS = _marks()
HOST_ANOMALY_MARKS = _marks(" AND (source_ip = ${host:singlequote} OR has(hosts, ${host:singlequote}))")


def usual_traffic(host: str) -> str:
    """Return the query of the band by which a host's bytes per second are judged, given as SQL; the empty one is all.

    Its columns are those of ``BAND``.
    """
    return in_steps(
        "avg(lower) AS lower, avg(usual) AS usual, avg(upper) AS upper",
        of="panel_baselines",
        where=f"kind = 'bandwidth' AND host = {host}",
    )


def ledger(width: int) -> Panel:
    """Return the loss ledger of the captures of the range, all of them together."""
    return table(
        "Loss ledger",
        "What every stage counted, in order: packets that came in and went out. A row with a reason is a part of its "
        "stage: packets that were lost, or that could not be decoded to their end.",
        """
        SELECT hop, reason, sum(packets_in) AS came_in, sum(packets_out) AS went_out, sum(packets_lost) AS lost
        FROM panel_ledger
        WHERE capture_id IN (SELECT capture_id FROM panel_captures WHERE first_at <= $__toTime AND last_at >= $__fromTime)
          {of_capture}
        GROUP BY hop, reason
        ORDER BY any(place), reason
        """,
        width=width,
        fields={
            "lost": {
                "custom.cellOptions": {"type": "color-text"},
                "thresholds": red_above(1),
                "color": {"mode": "thresholds"},
            }
        },
    )
