"""The dashboard of the whole network."""

# ruff: noqa: E501 - SQL reads best in long lines

from __future__ import annotations

from infra.grafana_dashboards.panels import (
    BAND,
    BYTES,
    HIDDEN,
    SEVERITY,
    TO_ANOMALIES,
    TO_ANOMALY,
    TO_HOST,
    TO_PIPELINE,
    TRAFFIC_STEP,
    in_steps,
    linked,
    pie,
    series,
    stat,
    table,
)
from infra.grafana_dashboards.parts import Dashboard, Panel
from infra.grafana_dashboards.shared import ANOMALY_MARKS, CAPTURE, SENSOR, ledger, usual_traffic


def _overview_stats() -> list[Panel]:
    return [
        stat(
            "Now",
            "Rates of the windows that began in the last five minutes of the range; all captures together.",
            """
            SELECT sum(bytes_per_s) AS "bytes/s", sum(packets_per_s) AS "packets/s"
            FROM
            (
                SELECT sum(bytes) / sum(seconds) AS bytes_per_s, sum(packets) / sum(seconds) AS packets_per_s
                FROM panel_windows
                WHERE at >= $__toTime - INTERVAL 5 MINUTE AND at <= $__toTime
                  {of_capture}
                GROUP BY capture_id
            )
            """,
            width=8,
            fields={"bytes/s": {"unit": "Bps"}, "packets/s": {"unit": "pps"}},
        ),
        stat(
            "Incidents",
            "Incidents with an anomaly in the range, by severity; see the dashboard Anomalies.",
            """
            SELECT uniqExactIf(incident_id, severity = 'high') AS high, uniqExactIf(incident_id, severity = 'medium') AS medium
            FROM panel_anomalies
            WHERE $__timeFilter(at)
              {of_capture}
            """,
            red_from=1,
            fields={"high": linked(TO_ANOMALIES), "medium": linked(TO_ANOMALIES)},
        ),
        stat(
            "Captures",
            "Captures that run, and those that failed within the range.",
            """
            SELECT countIf(state = 'running') AS running, countIf(state = 'failed' AND $__timeFilter(ended)) AS failed
            FROM panel_captures
            WHERE 1 = 1
              {of_capture}
            """,
            width=5,
            fields={"running": linked(TO_PIPELINE), "failed": linked(TO_PIPELINE)},
        ),
        stat(
            "Packets lost",
            "What the stages of the captures of the range say they lost.",
            """
            SELECT sum(packets_lost) AS lost
            FROM panel_ledger
            WHERE capture_id IN (SELECT capture_id FROM panel_captures WHERE first_at <= $__toTime AND last_at >= $__fromTime)
              {of_capture}
            """,
            width=5,
            red_from=1,
            fields={"lost": linked(TO_PIPELINE)},
        ),
    ]


def _traffic() -> list[Panel]:
    return [
        series(
            "Traffic by IP protocol",
            "Bytes per second on the wire, from the rollup that fits the step: 1 min, 5 min or 1 h.",
            in_steps(
                'sum(bytes) / $__interval_s AS "bytes/s"', of="panel_traffic(step_s = $__interval_s)", by="ip_protocol"
            ),
            width=16,
            unit="Bps",
            step=TRAFFIC_STEP,
            stacked=True,
        ),
        pie(
            "Protocols",
            "Bytes by named protocol: the service by its port, else the transport, else the network protocol.",
            """
            SELECT named.1 AS protocol, sum(named.2) AS total
            FROM panel_windows
            ARRAY JOIN CAST(protocol_bytes, 'Array(Tuple(String, UInt64))') AS named
            WHERE $__timeFilter(at)
              {of_capture}
            GROUP BY protocol
            ORDER BY total DESC
            LIMIT 12
            """,
            unit="decbytes",
        ),
    ]


def _health() -> list[Panel]:
    return [
        series(
            "Traffic and what is usual",
            "Bytes per second of the windows, and the band by which they are judged (mean ± 2 standard deviations).",
            in_steps("sum(bytes / sampling_rate) / sum(seconds) AS measured", of="panel_windows"),
            usual_traffic("''"),
            width=8,
            unit="Bps",
            fields=BAND,
        ),
        series(
            "Round trips",
            "TCP round trips from a segment to the ACK of it: mean, and the largest 95th percentile of a window.",
            in_steps("sum(rtt_sum_ms) / nullIf(sum(rtt_count), 0) AS mean, max(rtt_p95_ms) AS p95", of="panel_windows"),
            width=8,
            unit="ms",
        ),
        series(
            "Retransmissions and failed connections",
            "Share of the TCP segments with data that were sent again, and of the connections that were refused or "
            "never answered.",
            in_steps(
                "sum(tcp_retransmissions) / nullIf(sum(tcp_data_segments), 0) AS retransmitted",
                "sum(connections_failed + connections_half_open) / nullIf(sum(connections), 0) AS failed",
                of="panel_windows",
            ),
            width=8,
            unit="percentunit",
        ),
    ]


def _wrong_now() -> Panel:
    return table(
        "What is wrong now",
        "What was seen in the last hour of the range: incidents, captures that failed or lost packets, models that drift.",
        """
        SELECT at AS time, severity, kind, what, times, capture_id, anomaly_id
        FROM panel_troubles(since = $__toTime - INTERVAL 1 HOUR)
        WHERE at >= $__toTime - INTERVAL 1 HOUR AND at <= $__toTime
          {of_capture}
        ORDER BY severity, time DESC
        LIMIT 50
        """,
        width=24,
        fields={
            "time": {"custom.width": 170},
            "severity": {"custom.width": 90, **SEVERITY},
            "kind": {"custom.width": 150},
            "what": linked(TO_ANOMALY),
            "times": {"custom.width": 70},
            "capture_id": HIDDEN,
            "anomaly_id": HIDDEN,
        },
    )


OVERVIEW = Dashboard(
    uid="spanwatch-overview",
    title="spanwatch: overview",
    description="Traffic, protocols, talkers, losses, and what is wrong now.",
    rows=(
        _overview_stats(),
        _traffic(),
        [_wrong_now()],
        _health(),
        [
            table(
                "Top talkers",
                "Hosts by bytes sent and received, of the 64 that each window lists.",
                """
                SELECT host, sum(bytes_sent) AS sent, sum(bytes_received) AS received, sum(conversations) AS talks
                FROM panel_talkers
                WHERE $__timeFilter(at)
                  {of_capture}
                GROUP BY host
                ORDER BY sent + received DESC
                LIMIT 20
                """,
                fields={"host": linked(TO_HOST), "sent": BYTES, "received": BYTES},
            ),
            ledger(width=12),
        ],
    ),
    variables=(SENSOR, CAPTURE),
    annotations=(ANOMALY_MARKS,),
)
