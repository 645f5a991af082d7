"""The storage agents: every result topic into ClickHouse, each row exactly once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import numpy as np
import pyarrow as pa

from agents.app import Event, FaustApp, Received, Stream, add_agent
from agents.merge import LEDGER_ROWS
from infra.settings import Settings
from infra.store import Store
from schemas.captures import CAPTURE_SCHEMA, LEDGER_SCHEMA, CaptureEvent, LedgerRow
from schemas.enums import BatchKind, Hop
from schemas.errors import StoreError, WireError
from schemas.packets import STORED_PACKET_SCHEMA, first_event_id
from schemas.topics import CAPTURES, PACKETS, WINDOWS, Topic
from schemas.windows import WINDOW_SCHEMA
from streams.wire import BatchHeader, decode_packets, decode_table

log = logging.getLogger(__name__)

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
    zeros = pa.array(np.zeros(n_packets, np.int8))
    capture_ids = pa.DictionaryArray.from_arrays(zeros, pa.array([capture_id]))
    first = first_event_id(partition, offset)
    event_ids = pa.array(np.arange(first, first + n_packets, dtype=np.uint64))
    return pa.RecordBatch.from_arrays([capture_ids, event_ids, *batch.columns], schema=STORED_PACKET_SCHEMA)


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

    def captures(self, message: Received) -> None:
        """Store a capture's ledger, then its state."""
        try:
            told = CaptureEvent.model_validate_json(message.body)
        except ValueError as error:
            raise WireError(f"a capture's state that cannot be read: {error}") from error
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


def add_storage_agents(app: FaustApp, settings: Settings, store: Store) -> None:
    """Add the agents from ``packets``, ``windows`` and ``captures`` to the store."""
    stage = StorageStage(store)
    inserts: tuple[tuple[Topic, Callable[[Received], None]], ...] = (
        (PACKETS, stage.packets),
        (WINDOWS, stage.windows),
        (CAPTURES, stage.captures),
    )
    for topic, insert in inserts:
        add_agent(app, settings, topic, _storing(insert), f"store-{topic.name}")


def _storing(insert: Callable[[Received], None]) -> Callable[[Stream], Awaitable[None]]:
    """Return an agent that acknowledges a message once ClickHouse has acknowledged its rows.

    The partitions' inserts run side by side; within a partition they keep the order of messages.
    """

    async def store(stream: Stream) -> None:
        running: dict[int, asyncio.Task[None]] = {}

        async def store_one(event: Event, message: Received) -> None:
            await _insert_until_taken(insert, message)
            event.ack()

        # The group ends the agent with the first insert that fails for good.
        async with asyncio.TaskGroup() as inserts:
            async for event in stream.noack().events():
                message = Received.of(event)
                if message.partition in running:
                    await running[message.partition]
                running[message.partition] = inserts.create_task(store_one(event, message))

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
