"""The flows agent: batches of packets to flow records, one meter per capture and partition."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Producer

from agents.app import FaustApp
from agents.merge import LEDGER_ROWS
from agents.sender import Sender
from agents.stage import PacketsStage
from agents.stateful import add_stateful_agent
from infra.settings import Settings
from schemas.captures import LedgerRow
from schemas.classifications import JUDGED_AFTER_NS
from schemas.enums import BatchKind, FlowEnd, Hop
from schemas.flows import FLOW_SCHEMA
from schemas.topics import FLOWS, PACKETS
from streams.flow_rules import SECOND_NS, FlowRules
from streams.flow_state import LONG_AGO_NS
from streams.flows import FlowMeter
from streams.wire import BatchHeader, decode_packets, decode_table, encode_table, packets_of

MESSAGE_FLOWS = 32_768
"""Flow records in one message at most: 15 MB before compression, below what a topic takes."""

HELD_ROWS = 16_384
"""Flow records that are sent at once, when they have not waited for too long: an insert costs 8 ms and 1.5 µs each."""

HELD_LIVE_NS, HELD_FILE_NS = SECOND_NS, 10 * SECOND_NS
"""How long records of a port or of a file wait for more of them at most, ns of the capture's clock."""

WITHOUT_IP = "without_ip"
"""Reason in the ledger of packets that no flow can have."""


@dataclass
class _OpenCapture:
    """One capture on one partition."""

    meter: FlowMeter
    first: BatchHeader
    """Header of its first message: what all of them have in common."""
    next_seq: int = 0
    next_sent: int = 0
    metered: int = 0
    """Packets of the flows that were sent and have ended."""
    sent_ns: int = 0
    """The capture's clock when records were last sent."""
    told_ns: int = LONG_AGO_NS
    """The capture's clock when records were last among what was sent."""
    held: list[pa.Table] = field(default_factory=list)
    """Records that wait to be sent."""

    def is_due(self, clock_ns: int) -> bool:
        """Whether what is held is to be sent now."""
        longest_ns = HELD_LIVE_NS if self.first.is_live else HELD_FILE_NS
        return clock_ns - self.sent_ns >= longest_ns or sum(some.num_rows for some in self.held) >= HELD_ROWS


class FlowsStage(PacketsStage[_OpenCapture]):
    """Keeps the meters of the assigned partitions and sends what they write.

    A message has the header of the packets message behind which it comes, its own ``seq`` from 0, and is put on
    the partition that its packets are on. The end of a capture comes in a message of its own, with the ledger.

    Parameters
    ----------
    sender : Sender
        Where flow records go.
    """

    KIND = "flows stage 3"

    def __init__(self, settings: Settings, sender: Sender) -> None:
        super().__init__(settings, FLOWS, sender)
        self._rules = flow_rules(settings)
        # A flow that was cut early is due when it would have ended, and is judged a little later.
        self._awaited_ns = 2 * self._rules.idle_ns + self._rules.linger_ns + JUDGED_AFTER_NS + 2 * HELD_FILE_NS

    def _opened(self, header: BatchHeader, origin_ns: int) -> _OpenCapture:
        meter = FlowMeter(header.window_ns, origin_ns, self._rules)
        return _OpenCapture(meter, header, sent_ns=header.clock_ns)

    def _dump(self, capture: _OpenCapture) -> tuple[dict[str, Any], list[bytes]]:
        facts = {name: getattr(capture, name) for name in ("next_seq", "next_sent", "metered", "sent_ns", "told_ns")}
        held = pa.concat_tables([FLOW_SCHEMA.empty_table(), *capture.held])
        return {**facts, "first": asdict(capture.first)}, [capture.meter.snapshot(), encode_table(held)]

    def _load(self, facts: dict[str, Any], blobs: list[bytes]) -> _OpenCapture:
        meter, held = blobs
        first = BatchHeader.from_facts(facts["first"])
        table = decode_table(held, FLOW_SCHEMA)
        return _OpenCapture(FlowMeter.restore(meter), **{**facts, "first": first}, held=[table])

    def _feed(self, partition: int, capture: _OpenCapture, header: BatchHeader, body: bytes) -> None:
        meter = capture.meter
        match header.kind:
            case BatchKind.DATA:
                records = meter.feed(packets_of(decode_packets(body)), header.clock_ns)
            case BatchKind.PROGRESS:
                records = meter.advance(header.clock_ns)
            case BatchKind.END:
                records = meter.flush()
        if records.num_rows:
            capture.held.append(records)
        if header.kind is BatchKind.END or capture.is_due(header.clock_ns):
            self._send_held(partition, capture, header)
        if header.kind is BatchKind.END:
            ledger = LEDGER_ROWS.dump_json(_ledger(header.capture_id, partition, capture))
            self._send(partition, capture, header, BatchKind.END, ledger)

    def _send_held(self, partition: int, capture: _OpenCapture, header: BatchHeader) -> None:
        held, capture.held = capture.held, []
        before, capture.sent_ns = replace(header, clock_ns=capture.sent_ns), header.clock_ns
        records = pa.concat_tables([FLOW_SCHEMA.empty_table(), *held]).combine_chunks()
        if records.num_rows:
            capture.told_ns = header.clock_ns
        elif header.kind is not BatchKind.END and header.clock_ns - capture.told_ns <= self._awaited_ns:
            # Whoever judges what came before waits for the clock.
            self._send(partition, capture, header, BatchKind.PROGRESS, b"")
        for start in range(0, records.num_rows, MESSAGE_FLOWS):
            some = records.slice(start, MESSAGE_FLOWS)
            capture.metered += _packets_of_ended(some)
            # The clock moves with the last of them: until then there are more of the same time.
            is_last = start + MESSAGE_FLOWS >= records.num_rows
            self._send(partition, capture, header if is_last else before, BatchKind.DATA, encode_table(some))

    def _send(self, partition: int, capture: _OpenCapture, header: BatchHeader, kind: BatchKind, body: bytes) -> None:
        sent = replace(capture.first, kind=kind, seq=capture.next_sent, clock_ns=header.clock_ns)
        capture.next_sent += 1
        key = header.capture_id.encode()
        self._sender.send(self._topic, body, key=key, headers=sent.to_kafka(), partition=partition)


def flow_rules(settings: Settings) -> FlowRules:
    """Return when flows end by the settings."""
    return FlowRules(
        idle_ns=round(settings.flow_idle_s * SECOND_NS),
        linger_ns=round(settings.flow_linger_s * SECOND_NS),
        capacity=settings.flow_capacity,
        mode=settings.flow_mode,
    )


def _packets_of_ended(records: pa.Table) -> int:
    """Return how many packets the records that are no interim ones have."""
    ended = records.filter(pc.not_equal(records.column("end_reason").cast(pa.string()), FlowEnd.INTERIM.value))
    return sum(int(np.sum(ended.column(name).to_numpy(), dtype=np.int64)) for name in ("fwd_packets", "bwd_packets"))


def _ledger(capture_id: str, partition: int, capture: _OpenCapture) -> list[LedgerRow]:
    """Return what came in, and what is in flows or in none."""
    came, skipped = capture.meter.records, capture.meter.skipped
    total = LedgerRow(
        capture_id=capture_id,
        hop=Hop.FLOWS,
        partition=partition,
        packets_in=came,
        packets_out=capture.metered + skipped,
        version=came + 1,
    )
    if not skipped:
        return [total]
    return [total, total.model_copy(update={"reason": WITHOUT_IP, "packets_in": skipped, "packets_out": skipped})]


def add_flows_agent(app: FaustApp, settings: Settings, producer: Producer) -> None:
    """Add the agent from ``packets`` to ``flows``."""
    sender = Sender(producer)
    add_stateful_agent(app, settings, PACKETS, FlowsStage(settings, sender), sender)
