"""What the analysis sends: anomalies, baselines, runs and the end of a capture."""

from __future__ import annotations

import logging

import pyarrow as pa

from agents.judge import Judged
from agents.merge import LEDGER_ROWS
from agents.sender import Sender
from infra.settings import Settings
from schemas.analysis import RunRow
from schemas.captures import LedgerRow
from schemas.enums import AnalysisKind
from schemas.topics import ANOMALIES, BASELINES, Topic
from streams.wire import AnalysisHeader, encode_table

log = logging.getLogger(__name__)

LOGGED_AT_ONCE = 20
"""Anomalies found together that get a line each; the others are counted in one."""

MESSAGE_ROWS = 2_000
"""Rows in one message at most: with their evidence they stay below what a topic takes."""


class AnalysisMessages:
    """Sends what judges find and learn; everything of a source goes to one partition, in order."""

    def __init__(self, settings: Settings, sender: Sender) -> None:
        self._settings = settings
        self._sender = sender

    def judged(self, judged: Judged, source: str, capture_id: str) -> None:
        """Send what came of some windows."""
        _log_found(judged.anomalies)
        self.rows(ANOMALIES, judged.anomalies, AnalysisHeader(AnalysisKind.DATA, source, capture_id))
        self.rows(ANOMALIES, judged.corrections, AnalysisHeader(AnalysisKind.CORRECTION, source, capture_id))
        self.rows(BASELINES, judged.baselines, AnalysisHeader(AnalysisKind.DATA, source, capture_id))

    def rows(self, topic: Topic, rows: pa.Table, header: AnalysisHeader) -> None:
        """Send rows of anomalies, corrections or baselines; nothing when there are none."""
        for start in range(0, rows.num_rows, MESSAGE_ROWS):
            self._send(topic, header, encode_table(rows.slice(start, MESSAGE_ROWS)))

    def end(self, source: str, row: LedgerRow) -> None:
        """Send that a capture has been judged to its end."""
        header = AnalysisHeader(AnalysisKind.END, source, row.capture_id)
        self._send(ANOMALIES, header, LEDGER_ROWS.dump_json([row]))

    def run(self, source: str, run: RunRow) -> None:
        """Send where a run stands; it is stored after the anomalies that were sent before it."""
        header = AnalysisHeader(AnalysisKind.RUN, source, run.capture_id, run.run_id)
        self._send(ANOMALIES, header, run.model_dump_json().encode())

    def _send(self, topic: Topic, header: AnalysisHeader, body: bytes) -> None:
        name = self._settings.topic_name(topic)
        self._sender.send(name, body, key=header.source.encode(), headers=header.to_kafka())


def _log_found(anomalies: pa.Table) -> None:
    """Log what was found, a line each."""
    columns = ["capture_id", "window_id", "type", "severity", "message", "anomaly_id"]
    for row in anomalies.select(columns).slice(0, LOGGED_AT_ONCE).to_pylist():
        where = {"capture_id": row["capture_id"], "anomaly_id": row["anomaly_id"]}
        log.info("Anomaly (%(severity)s, %(type)s) in window %(window_id)d: %(message)s", row, extra=where)
    if anomalies.num_rows > LOGGED_AT_ONCE:
        log.info("Anomalies: %d more", anomalies.num_rows - LOGGED_AT_ONCE)
