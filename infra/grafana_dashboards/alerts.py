"""The alert rules that are provisioned with the dashboards."""

# ruff: noqa: E501, S608 - SQL reads best in long lines, and all of it is our own

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infra.grafana_dashboards.parts import DATASOURCE, JsonObject, Query

EXPRESSIONS = "__expr__"
"""Grafana's name of the data source that computes with the answers of others."""


@dataclass(frozen=True)
class Rule:
    """An alert: a query that answers one number, and the value above which it is raised.

    Parameters
    ----------
    range_s : int
        What ``$__timeFilter`` means, s back from now.
    above : float
        The alert is raised when the number is larger.
    pending : str
        For how long it must be.
    severity : str
        Label that notification policies route by: ``critical`` or ``warning``.
    dashboard : str
        Uid of the dashboard that shows more.
    """

    uid: str
    title: str
    sql: str
    range_s: int
    above: float
    pending: str
    severity: str
    summary: str
    dashboard: str

    def model(self) -> JsonObject:
        """Return the rule as provisioning files have it: the query, its last value, and whether that is too large."""
        return {
            "uid": self.uid,
            "title": self.title,
            "condition": "C",
            "data": [
                self._step("A", str(DATASOURCE["uid"]), {**Query(self.sql).model(), "intervalMs": 60_000}),
                self._step("B", EXPRESSIONS, {"type": "reduce", "reducer": "last", "expression": "A"}),
                self._step(
                    "C", EXPRESSIONS, {"type": "threshold", "expression": "B", "conditions": [self._condition()]}
                ),
            ],
            "noDataState": "OK",
            "execErrState": "Error",
            "for": self.pending,
            "labels": {"severity": self.severity, "service": "spanwatch"},
            "annotations": {"summary": self.summary, "description": f"See the dashboard /d/{self.dashboard}."},
            "isPaused": False,
        }

    def _step(self, ref: str, datasource: str, model: JsonObject) -> JsonObject:
        own = {} if datasource != EXPRESSIONS else {"datasource": {"type": EXPRESSIONS, "uid": EXPRESSIONS}}
        return {
            "refId": ref,
            "relativeTimeRange": {"from": self.range_s, "to": 0},
            "datasourceUid": datasource,
            "model": {**model, **own, "refId": ref},
        }

    def _condition(self) -> JsonObject:
        return {"evaluator": {"type": "gt", "params": [self.above]}}


_RUNNING = "capture_id IN (SELECT capture_id FROM panel_captures WHERE source = 'live' AND state = 'running')"

RULES: Sequence[Rule] = (
    Rule(
        "spanwatch-high-anomaly", "Anomaly of high severity",
        "SELECT count() AS found FROM panel_anomalies WHERE $__timeFilter(at) AND severity = 'high'",
        600, 0, "0s", "critical",
        "{{ .Values.B }} anomalies of high severity in the last ten minutes.", "spanwatch-anomalies",
    ),
    Rule(
        "spanwatch-packets-lost", "A capture loses packets",
        "SELECT sum(packets_lost) AS lost FROM panel_ledger WHERE capture_id IN (SELECT capture_id FROM panel_captures "
        "WHERE state = 'running')",
        600, 0, "0s", "warning",
        "Captures that run have lost {{ .Values.B }} packets.", "spanwatch-pipeline",
    ),
    Rule(
        "spanwatch-behind", "The store is behind a live port",
        "SELECT max(behind) AS behind FROM (SELECT dateDiff('second', max(at + toIntervalSecond(seconds)), $__toTime) AS behind "
        f"FROM panel_windows WHERE $__timeFilter(at) AND {_RUNNING} GROUP BY capture_id)",
        3600, 60, "2m", "warning",
        "The newest window of a live port ended {{ .Values.B }} s ago.", "spanwatch-pipeline",
    ),
    Rule(
        "spanwatch-lag", "A consumer group is behind",
        "SELECT max(waiting) AS waiting FROM (SELECT subject, argMax(value, at) AS waiting FROM panel_pipeline "
        "WHERE $__timeFilter(at) AND figure = 'lag_messages' GROUP BY subject)",
        600, 500, "5m", "warning",
        "{{ .Values.B }} messages wait for a consumer group.", "spanwatch-pipeline",
    ),
    Rule(
        "spanwatch-no-traffic", "A live port is silent",
        "SELECT countIf(packets = 0) AS silent FROM (SELECT capture_id, sum(packets) AS packets FROM panel_windows "
        f"WHERE $__timeFilter(at) AND {_RUNNING} GROUP BY capture_id)",
        300, 0, "5m", "critical",
        "{{ .Values.B }} live captures have seen no packet for five minutes.", "spanwatch-overview",
    ),
    Rule(
        "spanwatch-capture-failed", "A capture has failed",
        "SELECT count() AS failed FROM panel_captures WHERE state = 'failed' AND $__timeFilter(ended)",
        600, 0, "0s", "warning",
        "{{ .Values.B }} captures have failed in the last ten minutes.", "spanwatch-pipeline",
    ),
    Rule(
        "spanwatch-drift", "A model drifts",
        "SELECT count() AS drifting FROM panel_drift WHERE changes > 0 AND $__timeFilter(changed)",
        86_400, 0, "0s", "warning",
        "{{ .Values.B }} signals of the models have changed within a day.", "spanwatch-verdicts",
    ),
)  # fmt: skip


def alerting() -> JsonObject:
    """Return the provisioning file of the rules."""
    group = {
        "orgId": 1,
        "name": "spanwatch",
        "folder": "spanwatch",
        "interval": "1m",
        "rules": [rule.model() for rule in RULES],
    }
    return {"apiVersion": 1, "groups": [group]}
