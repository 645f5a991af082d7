"""The dashboards of what was found: anomalies, and the verdicts of the models."""

# ruff: noqa: E501, S608 - SQL reads best in long lines, and all of it is our own

from __future__ import annotations

from infra.grafana_dashboards.panels import (
    HIDDEN,
    SEVERITY,
    SHARE,
    TO_ANOMALY,
    TO_FLOW,
    TO_HOST,
    bars,
    linked,
    pie,
    series,
    stat,
    table,
)
from infra.grafana_dashboards.parts import Dashboard, Panel, Variable
from infra.grafana_dashboards.shared import ANOMALY_MARKS, CAPTURE, CLASS, SENSOR

_DAY = "now-24h"
_ROLLUP_STEP = "1m"

TYPE = Variable(
    "type",
    "Type",
    "SELECT DISTINCT type FROM panel_anomalies WHERE $__timeFilter(at) ORDER BY type",
    follows_time=True,
)

SEVERITIES = Variable(
    "severity",
    "Severity",
    "SELECT DISTINCT severity FROM panel_anomalies WHERE $__timeFilter(at) ORDER BY severity",
    follows_time=True,
)

_FOUND = """
FROM panel_anomalies
WHERE $__timeFilter(at)
  AND $__conditionalAll(type IN (${type:singlequote}), $type)
  AND $__conditionalAll(severity IN (${severity:singlequote}), $severity)
  {of_capture}
"""


def _anomaly_shares() -> list[Panel]:
    return [
        series(
            "Anomalies by type",
            "Anomalies in each step, those folded into them included.",
            f"SELECT $__timeInterval(at) AS time, type, sum(1 + folded) AS found {_FOUND} GROUP BY time, type ORDER BY time",
            width=16,
            stacked=True,
            bars=True,
        ),
        pie(
            "By severity",
            "Anomalies of the range.",
            f"SELECT severity, count() AS total {_FOUND} GROUP BY severity ORDER BY severity",
        ),
    ]


def _anomaly_tables() -> list[Panel]:
    return [
        table(
            "Sources",
            "Who caused anomalies, most first; those that name nobody are left out.",
            f"""
            SELECT source_ip AS source, countIf(severity = 'high') AS high, count() AS found, uniqExact(incident_id) AS incidents,
                   arrayStringConcat(groupUniqArray(5)(signal), ', ') AS signals
            {_FOUND} AND source_ip != ''
            GROUP BY source ORDER BY high DESC, found DESC LIMIT 50
            """,
            fields={"source": linked(TO_HOST)},
        ),
        table(
            "Incidents",
            "Anomalies of one type, signal and subject near each other; newest first.",
            f"""
            SELECT min(at) AS first, max(at_end) AS last, if(countIf(severity = 'high') > 0, 'high', 'medium') AS worst,
                   any(signal) AS what, count() AS found, argMax(message, at) AS newest, argMax(anomaly_id, at) AS anomaly_id
            {_FOUND}
            GROUP BY capture_id, incident_id ORDER BY last DESC LIMIT 50
            """,
            fields={"worst": SEVERITY, "newest": linked(TO_ANOMALY), "anomaly_id": HIDDEN},
        ),
    ]


def _anomaly_list() -> Panel:
    return table(
        "Anomalies and why",
        "Each with the value that was measured, the bound it passed and what is usual.",
        f"""
        SELECT at AS time, severity, type, signal, message AS why, metric, current_value AS measured, threshold,
               baseline_mean AS usual, deviation, source_ip AS source, destination_ip AS destination, anomaly_id
        {_FOUND}
        ORDER BY time DESC LIMIT 200
        """,
        width=24,
        height=12,
        fields={
            "time": {"custom.width": 170},
            "severity": {"custom.width": 90, **SEVERITY},
            "why": linked(TO_ANOMALY, **{"custom.width": 420}),
            "source": linked(TO_HOST),
            "destination": linked(TO_HOST),
            "anomaly_id": HIDDEN,
        },
    )


ANOMALIES = Dashboard(
    uid="spanwatch-anomalies",
    title="spanwatch: anomalies",
    description="What was found, by type, source and severity, with the reason.",
    rows=(_anomaly_shares(), _anomaly_tables(), [_anomaly_list()]),
    variables=(SENSOR, CAPTURE, TYPE, SEVERITIES),
    annotations=(ANOMALY_MARKS,),
    default_from=_DAY,
)

_SAID = "FROM panel_models_said WHERE $__timeFilter(at)\n  {of_capture}"
_OF_CLASS = "AND $__conditionalAll(class_name IN (${class:singlequote}), $class)\n  {of_capture}"


def _model_stats() -> list[Panel]:
    return [
        table(
            "Models",
            "Who judges: the champion's verdicts count, a challenger is only compared.",
            "SELECT role, model, version, since, changed_by, reason FROM panel_models ORDER BY role",
            width=12,
            height=5,
        ),
        stat(
            "Verdicts of the champion",
            "Verdicts on flow records of the range, and how many of them are uncertain or name an attack.",
            f"""
            SELECT sum(verdicts) AS judged, sum(uncertain) / nullIf(judged, 0) AS uncertain_share,
                   sum(attacks) / nullIf(judged, 0) AS attack_share
            {_SAID} AND role = 'champion'
            """,
            width=12,
            fields={"uncertain_share": SHARE, "attack_share": SHARE},
        ),
    ]


def _over_time() -> list[Panel]:
    return [
        series(
            "Packets by class",
            "Packets of each step by the class of the flow record that counts them.",
            f"""
            SELECT $__timeInterval(at) AS time, class_name, sum(packets) AS packets_seen
            FROM panel_classes
            WHERE $__timeFilter(at) {_OF_CLASS}
            GROUP BY time, class_name
            ORDER BY time
            """,
            step=_ROLLUP_STEP,
            stacked=True,
            bars=True,
        ),
        series(
            "Packets by class, without the benign",
            "The same without BENIGN, which hides the rest.",
            f"""
            SELECT $__timeInterval(at) AS time, class_name, sum(packets) AS packets_seen
            FROM panel_classes
            WHERE $__timeFilter(at) AND class_name != 'BENIGN' {_OF_CLASS}
            GROUP BY time, class_name
            ORDER BY time
            """,
            step=_ROLLUP_STEP,
            stacked=True,
            bars=True,
        ),
    ]


def _confidence() -> list[Panel]:
    return [
        series(
            "Confidence and uncertain share",
            "Mean calibrated probability of the verdicts, and the share that is below classify_confidence; by role.",
            f"""
            SELECT $__timeInterval(at) AS time, role, sum(confidence_sum) / sum(verdicts) AS confidence,
                   sum(uncertain) / sum(verdicts) AS uncertain_share
            {_SAID}
            GROUP BY time, role ORDER BY time
            """,
            width=8,
            unit="percentunit",
            step=_ROLLUP_STEP,
        ),
        series(
            "Outside the training data",
            "Mean share of a flow's features beyond the range of what the model was trained on; by role.",
            f"""
            SELECT $__timeInterval(at) AS time, role, sum(outside_sum) / sum(verdicts) AS outside
            {_SAID}
            GROUP BY time, role ORDER BY time
            """,
            width=8,
            unit="percentunit",
            step=_ROLLUP_STEP,
        ),
        bars(
            "How sure it is",
            "Flows by the confidence of their newest verdict, in steps of 5 %.",
            f"""
            SELECT toString(toUInt8(least(floor(confidence * 20), 19)) * 5) AS percent, count() AS flows
            FROM panel_verdicts
            WHERE $__timeFilter(at) {_OF_CLASS}
            GROUP BY percent
            ORDER BY toUInt8(percent)
            """,
            along="percent",
            width=8,
        ),
    ]


def _verdict_tables() -> list[Panel]:
    return [
        table(
            "Classes",
            "Flows by the class of their newest verdict.",
            f"""
            SELECT class_name AS class, count() AS flows, countIf(is_uncertain) AS uncertain, avg(confidence) AS mean_confidence,
                   uniq(originator) AS originators
            FROM panel_verdicts
            WHERE $__timeFilter(at) {_OF_CLASS}
            GROUP BY class
            ORDER BY flows DESC
            """,
            fields={"mean_confidence": SHARE},
        ),
        table(
            "Drift",
            "What is watched of each model over a day: its mean since the last change, and before it.",
            """
            SELECT model, signal, mean AS now, before, changes, changed, changed_capture AS capture_id, verdicts
            FROM panel_drift
            ORDER BY changes DESC, model, signal
            """,
            fields={"now": SHARE, "before": SHARE},
        ),
    ]


def _attacks() -> Panel:
    return table(
        "Newest flows taken for attacks",
        "With the features that spoke most for it, where they were computed: for one flow of many alike.",
        f"""
        SELECT at AS time, class_name AS class, confidence AS sure, originator, responder, service_port, packets AS packets_seen, reasons, flow
        FROM panel_verdicts
        WHERE $__timeFilter(at) AND class_name != 'BENIGN' AND NOT is_uncertain {_OF_CLASS}
        ORDER BY time DESC
        LIMIT 100
        """,
        width=24,
        height=10,
        fields={
            "class": linked(TO_FLOW),
            "sure": SHARE,
            "originator": linked(TO_HOST),
            "responder": linked(TO_HOST),
            "service_port": {"unit": "none"},
            "flow": HIDDEN,
        },
    )


VERDICTS = Dashboard(
    uid="spanwatch-verdicts",
    title="spanwatch: verdicts",
    description="What the models say of flows: classes, confidence, uncertain share and drift.",
    rows=(_model_stats(), _over_time(), _confidence(), _verdict_tables(), [_attacks()]),
    variables=(SENSOR, CAPTURE, CLASS),
    annotations=(ANOMALY_MARKS,),
    default_from=_DAY,
)
