"""The dashboard of one host."""

# ruff: noqa: E501 - SQL reads best in long lines

from __future__ import annotations

from infra.grafana_dashboards.panels import (
    BAND,
    BYTES,
    HIDDEN,
    SEVERITY,
    TO_ANOMALY,
    TO_HOST,
    TO_VERDICTS,
    in_steps,
    linked,
    series,
    table,
)
from infra.grafana_dashboards.parts import Dashboard, Panel
from infra.grafana_dashboards.shared import CAPTURE, HOST, HOST_ANOMALY_MARKS, SENSOR, usual_traffic


def _host_traffic() -> list[Panel]:
    return [
        series(
            "Traffic and what is usual",
            "Bytes per second sent and received, and the band by which the host is judged. Windows list their 64 "
            "busiest hosts: where it was not among them, it counts as 0.",
            in_steps(
                "sum((bytes_sent + bytes_received) / sampling_rate) / sum(seconds) AS measured",
                of="panel_host(host = ${host:singlequote})",
            ),
            usual_traffic("${host:singlequote}"),
            unit="Bps",
            fields=BAND,
        ),
        series(
            "Sent and received",
            "Bytes per second each way.",
            in_steps(
                "sum(bytes_sent) / sum(seconds) AS sent, sum(bytes_received) / sum(seconds) AS received",
                of="panel_host(host = ${host:singlequote})",
            ),
            unit="Bps",
        ),
    ]


def _host_flows() -> list[Panel]:
    return [
        table(
            "Peers",
            "Whom it talked to, by bytes; of the flows that began in the range.",
            """
            SELECT peer, count() AS flows, countIf(is_originator) AS begun, sum(bytes_sent) AS sent, sum(bytes_received) AS received
            FROM panel_host_flows(host = ${host:singlequote})
            WHERE $__timeFilter(at)
              {of_capture}
            GROUP BY peer
            ORDER BY sent + received DESC
            LIMIT 50
            """,
            fields={"peer": linked(TO_HOST), "sent": BYTES, "received": BYTES},
        ),
        table(
            "Ports",
            "Service ports: those it offers, and those it asked others for.",
            """
            SELECT if(is_originator, 'asked for', 'offered') AS role, service_port, protocol, count() AS flows,
                   uniqExact(peer) AS peers, sum(bytes_sent + bytes_received) AS total
            FROM panel_host_flows(host = ${host:singlequote})
            WHERE $__timeFilter(at)
              {of_capture}
            GROUP BY role, service_port, protocol
            ORDER BY total DESC
            LIMIT 50
            """,
            fields={"service_port": {"unit": "none", "decimals": 0}, "total": BYTES},
        ),
    ]


def _host_findings() -> list[Panel]:
    return [
        table(
            "Anomalies",
            "Those that name the host as source, as destination or among the hosts that take part.",
            """
            SELECT at AS time, severity, type, message, anomaly_id
            FROM panel_anomalies
            WHERE $__timeFilter(at) AND (source_ip = ${host:singlequote} OR destination_ip = ${host:singlequote} OR has(hosts, ${host:singlequote}))
              {of_capture}
            ORDER BY time DESC
            LIMIT 100
            """,
            fields={"severity": SEVERITY, "message": linked(TO_ANOMALY), "anomaly_id": HIDDEN},
        ),
        table(
            "Verdicts",
            "What the champion takes its flows for.",
            """
            SELECT class_name AS class, if(is_originator, 'began', 'answered') AS role, count() AS flows, uniqExact(peer) AS peers,
                   avg(confidence) AS mean_confidence, countIf(is_uncertain) AS uncertain
            FROM panel_host_verdicts(host = ${host:singlequote})
            WHERE $__timeFilter(at)
              {of_capture}
            GROUP BY class, role
            ORDER BY flows DESC
            """,
            fields={"class": linked(TO_VERDICTS), "mean_confidence": {"unit": "percentunit"}},
        ),
    ]


HOST_BOARD = Dashboard(
    uid="spanwatch-host",
    title="spanwatch: host",
    description="One address: traffic, peers, ports, what is usual, anomalies and verdicts.",
    rows=(_host_traffic(), _host_flows(), _host_findings()),
    variables=(SENSOR, CAPTURE, HOST),
    annotations=(HOST_ANOMALY_MARKS,),
)
