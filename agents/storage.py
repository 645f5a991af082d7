"""The storage agents: every result topic into ClickHouse, each row exactly once."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TypeVar

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from agents.app import Event, FaustApp, Received, Stream, add_agent
from agents.honeypots import honeypot_inserts
from agents.merge import LEDGER_ROWS
from agents.model_storage import ModelStorage
from infra.arrow import repeated
from infra.settings import Settings
from infra.store import Store
from schemas.analysis import RUN_SCHEMA, RunRow
from schemas.anomalies import ANOMALY_SCHEMA, CORRECTION_SCHEMA
from schemas.baselines import BASELINE_SCHEMA
from schemas.captures import CAPTURE_SCHEMA, LEDGER_SCHEMA, CaptureEvent, LedgerRow
from schemas.classifications import CLASSIFICATION_SCHEMA, STORED_CLASSIFICATION_SCHEMA
from schemas.enums import AnalysisKind, BatchKind, Hop
from schemas.errors import StoreError, WireError
from schemas.flows import FLOW_SCHEMA, STORED_FLOW_SCHEMA
from schemas.packets import STORED_PACKET_SCHEMA, first_event_id
from schemas.topics import ANOMALIES, BASELINES, CAPTURES, CLASSIFICATIONS, FLOWS, MODELS, PACKETS, WINDOWS, Topic
from schemas.windows import WINDOW_SCHEMA
from streams.wire import AnalysisHeader, BatchHeader, decode_packets, decode_table

log = logging.getLogger(__name__)

Told = TypeVar("Told", bound=BaseModel)

PARTITION_MESSAGES = 2
"""Messages of a partition that are held at once: one is inserted, the other waits for it."""

RETRY_S = 1.0
"""Pause before an insert that ClickHouse did not take is tried again, s."""

_COUNT_STORED = """
SELECT count() AS packets FROM packet_logs
WHERE capture_id = {capture:String} AND bitShiftRight(event_id, 46) = {partition:UInt8}
"""


def stored_batch(batch: pa.RecordBatch, capture_id: str, partition: int, offset: int) -> pa.RecordBatch:
    """Return a batch of packets as rows of ``packet_logs``.

    Parameters
    ----------
    partition, offset : int
        The message's position in Kafka; see ``first_event_id``.
    """
    n_packets = batch.num_rows
    first = first_event_id(partition, offset)
    event_ids = pa.array(np.arange(first, first + n_packets, dtype=np.uint64))
    columns = [repeated(capture_id, n_packets), event_ids, *batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=STORED_PACKET_SCHEMA)


def stored_of_capture(batch: pa.RecordBatch, capture_id: str, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch as rows of a table whose first column says which capture it is of."""
    columns = [repeated(capture_id, batch.num_rows), *batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class StorageStage:
    """Puts messages into the store.

    The token of an insert names what is inserted, not where it stood in Kafka: a capture that
    was killed and sends its batches again is stored once, too.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def packets(self, message: Received) -> None:
        """Store a batch of packets, or count what is stored when the capture has ended."""
        header = BatchHeader.from_kafka(message.headers)
        if header.kind is BatchKind.DATA:
            batch = decode_packets(message.body)
            rows = stored_batch(batch, header.capture_id, message.partition, message.offset)
            token = f"{header.capture_id}:{message.partition}:{header.seq}"
            self._store.insert("packet_logs", rows, token)
        elif header.kind is BatchKind.END:
            self._close_partition(header.capture_id, message.partition)

    def windows(self, message: Received) -> None:
        """Store windows, or their ledger when the capture has ended."""
        header = BatchHeader.from_kafka(message.headers)
        if header.kind is BatchKind.DATA:
            token = str(message)
            self._store.insert("windows", decode_table(message.body, WINDOW_SCHEMA), token)
        elif header.kind is BatchKind.END:
            self._store_ledger(LEDGER_ROWS.validate_json(message.body))

    def flows(self, message: Received) -> None:
        """Store flow records, or the ledger of a partition whose flows have all been told."""
        self._store_of_capture(message, "flows", FLOW_SCHEMA, STORED_FLOW_SCHEMA)

    def classifications(self, message: Received) -> None:
        """Store verdicts, or the ledger of a partition whose flows have all been judged."""
        self._store_of_capture(message, "classifications", CLASSIFICATION_SCHEMA, STORED_CLASSIFICATION_SCHEMA)

    def _store_of_capture(self, message: Received, table: str, sent: pa.Schema, stored: pa.Schema) -> None:
        """Store the rows of one partition of a capture, or the ledger at their end."""
        header = BatchHeader.from_kafka(message.headers)
        if header.kind is BatchKind.DATA:
            token = f"{header.capture_id}:{message.partition}:{header.seq}"
            for number, batch in enumerate(decode_table(message.body, sent).combine_chunks().to_batches()):
                own = f"{token}:{number}" if number else token
                self._store.insert(table, stored_of_capture(batch, header.capture_id, stored), own)
        elif header.kind is BatchKind.END:
            self._store_ledger(LEDGER_ROWS.validate_json(message.body))

    def anomalies(self, message: Received) -> None:
        """Store anomalies, corrections, where a run stands, or the ledger of a capture judged to its end."""
        header = AnalysisHeader.from_kafka(message.headers)
        if header.kind is AnalysisKind.DATA:
            self._store.insert("anomalies", decode_table(message.body, ANOMALY_SCHEMA), str(message))
        elif header.kind is AnalysisKind.CORRECTION:
            self._store.insert("corrections", decode_table(message.body, CORRECTION_SCHEMA), str(message))
        elif header.kind is AnalysisKind.RUN:
            run = _model(RunRow, message.body)
            row = pa.Table.from_pylist([run.model_dump(mode="json")], schema=RUN_SCHEMA)
            self._store.insert("analysis_runs", row, f"{run.run_id}:{run.version}")
        else:
            self._store_ledger(LEDGER_ROWS.validate_json(message.body))

    def baselines(self, message: Received) -> None:
        """Store baselines as they stood after a window."""
        AnalysisHeader.from_kafka(message.headers)
        self._store.insert("baselines", decode_table(message.body, BASELINE_SCHEMA), str(message))

    def captures(self, message: Received) -> None:
        """Store a capture's ledger, then its state."""
        told = _model(CaptureEvent, message.body)
        self._store_ledger(told.ledger)
        row = pa.Table.from_pylist([told.capture.model_dump(mode="json")], schema=CAPTURE_SCHEMA)
        self._store.insert("captures", row, str(message))

    def _close_partition(self, capture_id: str, partition: int) -> None:
        parameters = {"capture": capture_id, "partition": partition}
        stored = int(str(self._store.query(_COUNT_STORED, parameters)[0]["packets"]))
        row = LedgerRow(
            capture_id=capture_id,
            hop=Hop.STORE,
            partition=partition,
            packets_in=stored,
            packets_out=stored,
            version=stored + 1,
        )
        self._store_ledger([row])

    def _store_ledger(self, ledger: list[LedgerRow]) -> None:
        if ledger:
            rows = pa.Table.from_pylist([row.model_dump(mode="json") for row in ledger], schema=LEDGER_SCHEMA)
            first = ledger[0]
            token = f"{first.capture_id}:{first.hop.value}:{first.partition}:{first.version}"
            self._store.insert("ledger", rows, token)


def _model(kind: type[Told], body: bytes) -> Told:
    """Return what a message's JSON tells; raises ``WireError`` when it is no such thing."""
    try:
        return kind.model_validate_json(body)
    except ValueError as error:
        raise WireError(f"a {kind.__name__} that cannot be read: {error}") from error


def add_storage_agents(app: FaustApp, settings: Settings, store: Store) -> None:
    """Add the agents from every topic with results to the store."""
    stage = StorageStage(store)
    inserts: tuple[tuple[Topic, Callable[[Received], None]], ...] = (
        (PACKETS, stage.packets),
        (WINDOWS, stage.windows),
        (FLOWS, stage.flows),
        (CLASSIFICATIONS, stage.classifications),
        (ANOMALIES, stage.anomalies),
        (BASELINES, stage.baselines),
        (CAPTURES, stage.captures),
        *honeypot_inserts(store),
        (MODELS, ModelStorage(store).keep),
    )
    for topic, insert in inserts:
        add_agent(app, settings, topic, storing(insert), f"store-{topic.name}")


def storing(insert: Callable[[Received], None]) -> Callable[[Stream], Awaitable[None]]:
    """Return an agent that acknowledges a message once ClickHouse has acknowledged its rows.

    The partitions' inserts run side by side; within a partition they keep the order of messages. A message that waits
    for the one before it holds up no other partition, unless there are more than ``PARTITION_MESSAGES`` of its own.
    """

    async def store(stream: Stream) -> None:
        newest: dict[int, asyncio.Task[None]] = {}
        rooms: defaultdict[int, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(PARTITION_MESSAGES))

        async def store_one(event: Event, message: Received, before: asyncio.Task[None] | None) -> None:
            if before is not None:
                await before
            await _insert_until_taken(insert, message)
            event.ack()
            rooms[message.partition].release()

        # The group ends the agent with the first insert that fails for good.
        async with asyncio.TaskGroup() as inserts:
            async for event in stream.noack().events():
                message = Received.of(event)
                await rooms[message.partition].acquire()
                before = newest.get(message.partition)
                newest[message.partition] = inserts.create_task(store_one(event, message, before))

    return store


async def _insert_until_taken(insert: Callable[[Received], None], message: Received) -> None:
    """Insert a message's rows; what cannot be understood is logged and passed over."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return await loop.run_in_executor(None, insert, message)
        except WireError:
            log.exception("skipped %s", message)
            return None
        except StoreError as error:
            if not error.can_retry:
                raise
            log.warning("%s: tried again in %s s", error, RETRY_S)
            await asyncio.sleep(RETRY_S)
