"""The analysis agent: windows to anomalies and baselines, one judge for each source."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from confluent_kafka import Producer

from agents.analysis_messages import AnalysisMessages
from agents.analysis_requests import AnalysisRequests
from agents.app import FaustApp, Received
from agents.judge import Judge
from agents.merge import LEDGER_ROWS
from agents.sender import Sender
from agents.stage import CaptureStage
from agents.state_bytes import load_state
from agents.stateful import add_stateful_agent
from infra.settings import Settings
from schemas.captures import LedgerRow
from schemas.enums import BaselineKind, BatchKind, Hop
from schemas.topics import ANOMALIES, WINDOWS
from schemas.windows import WINDOW_SCHEMA
from streams.snapshots import Snapshot
from streams.wire import BatchHeader, decode_table

COUNTED_LIVE_WINDOWS = 1_000
"""Newest windows of a live capture whose packets are remembered: more than can still be corrected."""


@dataclass
class _OpenCapture:
    """One capture whose windows are being judged."""

    source: str
    is_live: bool
    next_seq: int = 0
    judged: int = 0
    """Packets of the windows that were judged, each window counted once."""
    counted: dict[int, int] = field(default_factory=dict)
    """Packets counted by window, for windows that may be corrected."""

    def count(self, rows: pa.Table) -> None:
        """Add up the packets of windows; a corrected one replaces what was counted of it."""
        numbers, packets = (rows.column(name).to_pylist() for name in ("window_id", "record_count"))
        for number, now in zip(numbers, packets, strict=True):
            self.judged += now - self.counted.pop(number, 0)
            self.counted[number] = now
        while self.is_live and len(self.counted) > COUNTED_LIVE_WINDOWS:
            del self.counted[next(iter(self.counted))]


class AnalysisStage(CaptureStage[_OpenCapture]):
    """Keeps the judges of the assigned partitions and sends what they find and learn.

    A port's judge stays from one capture to the next; a file's goes with its capture.
    """

    KIND = "analysis stage 1"

    def __init__(self, settings: Settings, sender: Sender) -> None:
        super().__init__(settings, ANOMALIES, sender)
        self._out = AnalysisMessages(settings, sender)
        self._judges: dict[int, dict[str, Judge]] = {}

    def take(self, message: Received) -> bool:
        """Process one message; see ``Stage``."""
        header, partition = BatchHeader.from_kafka(message.headers), message.partition
        capture_id = header.capture_id
        capture = self._captures.get(partition, capture_id, lambda: _OpenCapture(header.source, header.is_live))
        if capture is not None:
            if header.seq >= capture.next_seq:
                capture.next_seq = header.seq + 1
                self._judge(partition, capture_id, capture, header.kind, message.body)
            if header.kind is BatchKind.END:
                self._captures.end(partition, capture_id)
        return self._captures.is_idle(partition)

    def _judge(self, partition: int, capture_id: str, capture: _OpenCapture, kind: BatchKind, body: bytes) -> None:
        if kind is BatchKind.DATA:
            rows = decode_table(body, WINDOW_SCHEMA)
            judged = self.judge_of(partition, capture.source).judge(rows, capture.is_live)
            capture.count(rows)
            self._out.judged(judged, capture.source, capture_id)
        elif kind is BatchKind.END:
            ledger = LEDGER_ROWS.validate_json(body)
            judge = self.judge_of(partition, capture.source)
            self._out.judged(judge.end(capture_id), capture.source, capture_id)
            self._out.end(capture.source, _ledger_row(capture_id, ledger, capture.judged))
            if not capture.is_live:
                del self._judges[partition][capture.source]

    def judge_of(self, partition: int, source: str) -> Judge:
        """Return the judge of a source, made when it is new."""
        judges = self._judges.setdefault(partition, {})
        if source not in judges:
            judges[source] = Judge(source, self._settings.thresholds)
        return judges[source]

    def adopt(self, partition: int, learner: Judge, kinds: Iterable[BaselineKind], behind_version: int) -> pa.Table:
        """Make what another judge has learnt of its source the current state; return the baselines' rows."""
        rows = self.judge_of(partition, learner.source).adopt(learner, kinds, behind_version)
        is_open = any(c.source == learner.source for c in self._captures.open_on(partition).values())
        if not is_open and not is_port(learner.source):
            del self._judges[partition][learner.source]
        return rows

    def drop(self, partitions: set[int]) -> None:
        """Forget partitions that another worker has now."""
        super().drop(partitions)
        for partition in partitions:
            self._judges.pop(partition, None)

    def snapshot(self, partition: int) -> bytes | None:
        """Return everything that is kept of a partition; see ``Stage``."""
        captures = super().snapshot(partition) or b""
        judges = self._judges.get(partition, {})
        head = json.dumps(list(judges)).encode()
        return Snapshot(self.KIND, {}, [captures, head, *(judge.snapshot() for judge in judges.values())]).to_bytes()

    def restore(self, partition: int, state: bytes) -> None:
        """Go on where ``snapshot`` was taken; see ``Stage``."""
        captures, head, *judges = Snapshot.from_bytes(state, self.KIND).bodies
        restored = {}
        for source, judge in zip(json.loads(head), judges, strict=True):
            # A judge would start anew; the windows that Kafka still has are the better start.
            load_state(judge)
            restored[source] = Judge.restore(judge, source, self._settings.thresholds)
        super().restore(partition, captures)
        self._judges[partition] = restored

    def _dump(self, capture: _OpenCapture) -> tuple[dict[str, Any], list[bytes]]:
        facts = {"counted": list(capture.counted.items())}
        facts |= {name: getattr(capture, name) for name in ("source", "is_live", "next_seq", "judged")}
        return facts, []

    def _load(self, facts: dict[str, Any], blobs: list[bytes]) -> _OpenCapture:
        return _OpenCapture(**{**facts, "counted": dict(facts["counted"])})


def is_port(source: str) -> bool:
    """Whether a source is a port ("sensor/interface"), not a file's capture."""
    return "/" in source


def _ledger_row(capture_id: str, before: list[LedgerRow], judged: int) -> LedgerRow:
    counted = sum(row.packets_out for row in before if row.hop is Hop.MERGE and not row.reason)
    return LedgerRow(
        capture_id=capture_id, hop=Hop.ANALYSIS, packets_in=counted, packets_out=judged, version=judged + 1
    )


def add_analysis_agents(app: FaustApp, settings: Settings, producer: Producer) -> None:
    """Add the agents from ``windows`` and ``analysis-requests`` to ``anomalies`` and ``baselines``."""
    sender = Sender(producer)
    stage = AnalysisStage(settings, sender)
    agent, partitions = add_stateful_agent(app, settings, WINDOWS, stage, sender)
    AnalysisRequests(settings, stage, agent, partitions, sender).add_to(app)
