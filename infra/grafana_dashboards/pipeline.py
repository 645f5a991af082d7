"""The dashboard of the sensor itself: captures, losses, lag, rates and insert times."""

# ruff: noqa: E501, S608 - SQL reads best in long lines, and all of it is our own

from __future__ import annotations

from infra.grafana_dashboards.panels import (
    BYTES,
    HIDDEN,
    TO_CAPTURE,
    TRAFFIC_STEP,
    in_steps,
    linked,
    series,
    stat,
    table,
)
from infra.grafana_dashboards.parts import Dashboard, Panel
from infra.grafana_dashboards.shared import ANOMALY_MARKS, CAPTURE, SENSOR, ledger

_LIVE = "capture_id IN (SELECT capture_id FROM panel_captures WHERE source = 'live')"


def _captures() -> Panel:
    return table(
        "Captures",
        "Those that were read in the range, or whose packets are of it; newest first. The name leads to their own time.",
        """
        SELECT at AS began, name, sensor, source, state, is_stored AS stored, packets AS packets_read, bytes AS bytes_read,
               packets_lost AS lost, sampling_rate AS kept, error, capture_id, toUnixTimestamp(first_at) * 1000 AS first_ms,
               (toUnixTimestamp(last_at) + 1) * 1000 AS last_ms
        FROM panel_captures
        WHERE (at <= $__toTime AND coalesce(ended, $__toTime) >= $__fromTime OR first_at <= $__toTime AND last_at >= $__fromTime)
          {of_capture}
        ORDER BY began DESC
        LIMIT 200
        """,
        width=24,
        fields={
            "name": linked(TO_CAPTURE),
            "bytes_read": BYTES,
            "kept": {"unit": "percentunit"},
            "stored": {"unit": "bool_yes_no"},
            "first_ms": HIDDEN,
            "last_ms": HIDDEN,
        },
    )


def _figures() -> list[Panel]:
    return [
        stat(
            "Behind",
            "Time between the end of a live port's newest window and the end of the range: how old the picture is.",
            f"""
            SELECT toUnixTimestamp($__toTime) - toUnixTimestamp(max(at + toIntervalSecond(seconds))) AS behind
            FROM panel_windows
            WHERE $__timeFilter(at) AND {_LIVE}
              {{of_capture}}
            HAVING count() > 0
            """,
            unit="s",
            red_from=60,
        ),
        stat(
            "Messages waiting",
            "Messages that the consumer groups have not committed, as last measured in the range.",
            """
            SELECT sum(waiting) AS waiting
            FROM
            (
                SELECT subject, argMax(value, at) AS waiting
                FROM panel_pipeline
                WHERE $__timeFilter(at) AND figure = 'lag_messages'
                GROUP BY subject
            )
            """,
            red_from=500,
        ),
        stat(
            "Insert errors",
            "Inserts that ClickHouse refused or did not answer; the storage agents try again.",
            """
            SELECT sum(value) AS refused
            FROM panel_pipeline
            WHERE $__timeFilter(at) AND figure = 'insert_errors'
            """,
            red_from=1,
        ),
        stat(
            "Late and undecoded",
            "Packets that came when their window was closed, and those that could not be decoded to their end.",
            """
            SELECT sum(late_packets) AS late, sum(undecoded_packets) AS undecoded
            FROM panel_windows
            WHERE $__timeFilter(at)
              {of_capture}
            """,
        ),
    ]


def _rates() -> list[Panel]:
    return [
        series(
            "Packets per second by sensor",
            "From the rollup that fits the step.",
            """
            SELECT time, sensor, sum(rate) AS "packets/s"
            FROM
            (
                SELECT $__timeInterval(at) AS time, capture_id, sum(packets) / $__interval_s AS rate
                FROM panel_traffic(step_s = $__interval_s)
                WHERE $__timeFilter(at)
                  {of_capture}
                GROUP BY time, capture_id
            ) AS rates
            INNER JOIN (SELECT capture_id, sensor FROM panel_captures) AS captures USING (capture_id)
            GROUP BY time, sensor
            ORDER BY time
            """,
            unit="pps",
            step=TRAFFIC_STEP,
        ),
        series(
            "Window to store",
            "How long after its end a live port's window stood in the store: mean and greatest of each step.",
            in_steps("avg(stored_after_s) AS mean, max(stored_after_s) AS greatest", of="panel_windows", where=_LIVE),
            unit="s",
        ),
    ]


def _drops() -> list[Panel]:
    return [
        series(
            "Drops",
            "Packets that were late, could not be decoded to their end, or were lost before the capture (data that "
            "was acknowledged and never seen).",
            in_steps(
                "sum(late_packets) AS late, sum(undecoded_packets) AS undecoded",
                'sum(lost_upstream) AS "lost upstream"',
                of="panel_windows",
            ),
        ),
        series(
            "Share of the flows kept",
            "Lowest of each step; below 1 a live capture was overloaded and kept a sample of whole flows.",
            in_steps(
                'min(sampling_rate) AS kept, countIf(is_complete) / count() AS "complete windows"', of="panel_windows"
            ),
            unit="percentunit",
        ),
    ]


def _pipeline() -> list[Panel]:
    return [
        series(
            "Lag",
            "Messages that each consumer group has not committed, by topic; measured once a minute.",
            """
            SELECT $__timeInterval(at) AS time, subject, max(value) AS messages
            FROM panel_pipeline
            WHERE $__timeFilter(at) AND figure = 'lag_messages'
            GROUP BY time, subject
            ORDER BY time
            """,
            width=8,
            step=TRAFFIC_STEP,
        ),
        series(
            "Rows stored per second",
            "Rows that ClickHouse acknowledged, by table.",
            """
            SELECT $__timeInterval(at) AS time, subject, sum(value) / $__interval_s AS "rows/s"
            FROM panel_pipeline
            WHERE $__timeFilter(at) AND figure = 'rows'
            GROUP BY time, subject
            ORDER BY time
            """,
            width=8,
            unit="wps",
            step=TRAFFIC_STEP,
            stacked=True,
        ),
        series(
            "Insert times",
            "Mean of an insert, and the bound that 95 % of a minute's inserts kept, the largest of each step.",
            """
            SELECT $__timeInterval(at) AS time, sumIf(value, figure = 'insert_seconds') / nullIf(sumIf(value, figure = 'inserts'), 0) AS mean,
                   maxIf(value, figure = 'insert_p95_s') AS p95
            FROM panel_pipeline
            WHERE $__timeFilter(at) AND figure IN ('inserts', 'insert_seconds', 'insert_p95_s')
            GROUP BY time
            ORDER BY time
            """,
            width=8,
            unit="s",
            step=TRAFFIC_STEP,
        ),
    ]


PIPELINE_BOARD = Dashboard(
    uid="spanwatch-pipeline",
    title="spanwatch: captures and pipeline",
    description="Captures, the loss ledger, lag, drops, rates and insert times.",
    rows=(_figures(), [_captures()], _rates(), _drops(), _pipeline(), [ledger(width=24)]),
    variables=(SENSOR, CAPTURE),
    annotations=(ANOMALY_MARKS,),
    default_from="now-24h",
)
