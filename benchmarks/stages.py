"""Cost of each stage in one process: the functions that the pipeline calls, one after the other, with a clock.

The clock is processor time, so that what else the machine does counts little. What the embedded store does in
threads of its own (merging parts) is the part ``store background``.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import pyarrow as pa
from confluent_kafka import Producer

from agents.app import Received
from agents.classification import ClassificationStage
from agents.flows import FlowsStage
from agents.model_roles import ModelRoles
from agents.sender import Sender
from agents.storage import StorageStage, stored_batch
from infra.settings import load_settings
from infra.store import Store
from schemas.enums import BatchKind
from schemas.packets import MAX_BATCH_PACKETS
from schemas.windows import WINDOW_SCHEMA
from streams.chunks import CHUNK_PACKETS, CapturePlan, Chunk, chunks
from streams.conversations import ConversationTracker
from streams.decode import decode
from streams.files import open_capture
from streams.merge import WindowMerger
from streams.packets import NO_TIME_NS, Packets
from streams.partials import PARTIAL_SCHEMA, PartialWindow, partials_from_arrow, partials_to_arrow
from streams.window_rows import window_rows
from streams.windows import PartitionWindows
from streams.wire import (
    BatchHeader,
    KafkaHeaders,
    decode_packets,
    decode_table,
    encode_packets,
    encode_table,
    packets_of,
)

WINDOW_NS, LATENESS_NS = 10_000_000_000, 2_000_000_000
STAGES = (
    *("read", "decode", "split", "encode", "unpack", "windows", "merge", "flows", "classification"),
    *("insert", "insert flows", "insert verdicts", "store background"),
)
"""In the order of the pipeline; TCP tracking is part of ``windows`` and measured once more by itself as ``tcp``. Flows
and classification unpack what they read."""

P = ParamSpec("P")
T = TypeVar("T")


class Stopwatch:
    """Processor seconds spent by stage."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._began_s = time.process_time()

    def of(self, stage: str, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call and add the time that it takes to a stage."""
        # ClickHouse answers an insert in threads of its own.
        clock = time.process_time if stage.startswith("insert") else time.thread_time
        began_s = clock()
        try:
            return call(*arguments, **named)
        finally:
            self.seconds[stage] += clock() - began_s

    def stop(self) -> None:
        """Put what the process spent outside of all stages down to the store."""
        spent_s = time.process_time() - self._began_s
        self.seconds["store background"] = max(0.0, spent_s - sum(self.seconds.values()))


class _Outbox(Sender):
    """Keeps what a stage sends for the next one, where a sender hands it to Kafka."""

    def __init__(self) -> None:
        super().__init__(Producer({}))
        self._messages: list[Received] = []
        self._sent = 0

    def send(self, topic: str, value: bytes | None, *, key: bytes, headers: KafkaHeaders, partition: int = -1) -> None:
        """Keep a message."""
        told = {name: text for name, text in headers if isinstance(text, bytes)}
        self._messages.append(Received(topic, partition, self._sent, told, value or b""))
        self._sent += 1

    def emptied(self) -> list[Received]:
        """Return what was sent since the last call."""
        messages, self._messages = self._messages, []
        return messages


class _Judgement:
    """The stages behind the packets that make flows and verdicts, and their storage."""

    def __init__(self, watch: Stopwatch, store: Store) -> None:
        settings = load_settings()
        self._watch = watch
        self._storage = StorageStage(store)
        self._metered, self._judged = _Outbox(), _Outbox()
        self._metering = FlowsStage(settings, self._metered)
        self._judging = ClassificationStage(settings, self._judged, ModelRoles(settings))

    def take(self, partition: int, header: BatchHeader, body: bytes) -> None:
        """Pass a message of packets through all of them."""
        told = {name: text for name, text in header.to_kafka() if isinstance(text, bytes)}
        self._watch.of("flows", self._metering.take, Received("packets", partition, header.seq, told, body))
        for message in self._metered.emptied():
            self._watch.of("classification", self._judging.take, message)
            self._watch.of("insert flows", self._storage.flows, message)
        for message in self._judged.emptied():
            self._watch.of("insert verdicts", self._storage.classifications, message)


class _Rig:
    """One capture on its way through all stages."""

    def __init__(self, partitions: int, store: Store, capture_id: str) -> None:
        self.watch = Stopwatch()
        self.packets = 0
        self._partitions = partitions
        self._store = store
        self._capture_id = capture_id
        self._messages = 0
        self._trackers = [ConversationTracker() for _ in range(partitions)]
        self._merger = WindowMerger(partitions)
        self._judgement = _Judgement(self.watch, store)
        self._operators: list[PartitionWindows] = []
        self._origin_ns = 0

    def run(self, path: Path) -> None:
        """Push the whole file through."""
        self._front(path)
        plan = CapturePlan(self._capture_id, path.name, "", "bench", WINDOW_NS, self._partitions)
        with open_capture(path) as file:
            cut = chunks(file, plan)
            while (chunk := self.watch.of("split", next, cut, None)) is not None:
                if not self._operators:
                    self._origin_ns = chunk.header.origin_ns
                    self._operators = [
                        PartitionWindows(WINDOW_NS, self._origin_ns, LATENESS_NS) for _ in self._trackers
                    ]
                self.packets += len(chunk.packets.ts_ns)
                self._chunk(chunk)
                last = chunk.header
        for partition in range(self._partitions):
            self._judgement.take(partition, replace(last, kind=BatchKind.END, seq=last.seq + 1), b"")
        for partition, operator in enumerate(self._operators):
            self._merge(partition, self.watch.of("windows", operator.flush))
        self._windows(self.watch.of("merge", self._merger.finish))
        self.watch.stop()
        # Cutting a capture into chunks reads and decodes it as well.
        self.watch.seconds["split"] -= self.watch.seconds["read"] + self.watch.seconds["decode"]

    def _front(self, path: Path) -> None:
        """Read and decode the file by itself, as the capture does inside."""
        newest_ns = NO_TIME_NS
        max_frames = min(CHUNK_PACKETS * self._partitions, MAX_BATCH_PACKETS)
        with open_capture(path) as file:
            blocks = iter(file.blocks(max_frames))
            while (block := self.watch.of("read", next, blocks, None)) is not None:
                newest_ns = self.watch.of("decode", decode, block, newest_ns).newest_ns(newest_ns)

    def _chunk(self, chunk: Chunk) -> None:
        clock_ns = chunk.header.clock_ns
        for partition, batch in enumerate(chunk.batches):
            if batch is None:
                closed = self.watch.of("windows", self._operators[partition].advance, clock_ns)
                self._judgement.take(partition, replace(chunk.header, kind=BatchKind.PROGRESS), b"")
            else:
                body = self.watch.of("encode", encode_packets, batch)
                read = self.watch.of("unpack", _unpack, body)
                closed = self.watch.of("windows", self._operators[partition].feed, read, clock_ns)
                self.watch.of("tcp", self._trackers[partition].track, read)
                self.watch.of("insert", self._insert_packets, partition, body)
                self._judgement.take(partition, chunk.header, body)
            self._merge(partition, closed)

    def _insert_packets(self, partition: int, body: bytes) -> None:
        rows = stored_batch(decode_packets(body), self._capture_id, partition, self._messages)
        self._store.insert("packet_logs", rows, f"{self._capture_id}:{partition}:{self._messages}")
        self._messages += 1

    def _merge(self, partition: int, partials: list[PartialWindow]) -> None:
        closed_through = self._operators[partition].closed_through

        def merge() -> list[PartialWindow]:
            table = decode_table(encode_table(partials_to_arrow(partials)), PARTIAL_SCHEMA)
            return self._merger.feed(partition, closed_through, partials_from_arrow(table))

        if partials:
            self._windows(self.watch.of("merge", merge))
        else:
            self._windows(self.watch.of("merge", self._merger.feed, partition, closed_through, []))

    def _windows(self, windows: list[PartialWindow]) -> None:
        if windows:
            rows = self.watch.of("merge", self._rows, windows)
            token = f"{self._capture_id}:{windows[0].window_id}:{windows[0].records}"
            self.watch.of("insert", self._store.insert, "windows", rows, token)

    def _rows(self, windows: list[PartialWindow]) -> pa.Table:
        rows = window_rows(self._capture_id, WINDOW_NS, self._origin_ns, windows)
        return decode_table(encode_table(rows), WINDOW_SCHEMA)


def _unpack(body: bytes) -> Packets:
    return packets_of(decode_packets(body))


def stage_costs(path: Path, partitions: int, repeats: int) -> Iterator[dict[str, float]]:
    """Yield ns per packet by stage, once for each repeat; a first run, not counted, compiles the kernels.

    Parameters
    ----------
    path
        A capture of at least some 100,000 packets, so that fixed costs do not show.
    partitions
        Partitions that the packets are split over.
    """
    with (
        tempfile.TemporaryDirectory(prefix="spanwatch-bench-") as folder,
        Store.open(f"chdb://{folder}/store") as store,
    ):
        store.migrate()
        for repeat in range(repeats + 1):
            rig = _Rig(partitions, store, f"bench{repeat}")
            rig.run(path)
            if repeat:
                yield {stage: s / rig.packets * 1e9 for stage, s in rig.watch.seconds.items()}
