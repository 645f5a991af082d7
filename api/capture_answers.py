"""Answers about captures: where one stands, a page of them, and a capture's loss ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.answers import example
from api.errors import iso_of
from api.filters import NS_PER_S
from api.rows import CaptureNow, LedgerTotal
from api.window_answers import Count
from schemas.enums import LIVE_HOPS, CaptureState, Hop

_EXAMPLE: JsonDict = {
    "capture_id": "01kb2m9t8x7qd4",
    "state": "complete",
    "is_complete": True,
    "source": "pcap",
    "name": "data/raw/pcapng/test_net_traffic.pcapng",
    "sensor": "probe-1",
    "window_size": 10,
    "partitions": 4,
    "started_at": "2026-01-09T17:44:24.000000",
    "ended_at": "2026-01-09T17:44:26.000000",
    "first_packet": 1234567890.5,
    "last_packet": 1234568140.9,
    "packets": 21975,
    "bytes": 2379750,
    "file_bytes": 2731574,
    "is_truncated": False,
    "error": "",
}


def _iso(moment_ns: int) -> str:
    return iso_of(datetime.fromtimestamp(moment_ns / NS_PER_S, UTC))


def window_size_of(window_ns: int) -> int | float:
    """Return a window size in seconds, whole ones as int (the documents show 10, not 10.0)."""
    return window_ns // NS_PER_S if window_ns % NS_PER_S == 0 else window_ns / NS_PER_S


class CaptureAnswer(BaseModel):
    """Where a capture stands."""

    model_config = example(_EXAMPLE)

    capture_id: str
    state: CaptureState = Field(description="`complete` means read to its end; see `is_complete`.")
    is_complete: bool = Field(description="Whether every packet and window of it is in the store.")
    source: str = Field(description="`pcap` or `live`.")
    name: str = Field(description="The file or interface, as its user named it.")
    sensor: str
    window_size: int | float = Field(description="Seconds.")
    partitions: Count
    started_at: str
    ended_at: str | None
    first_packet: float | None = Field(description="Event time, seconds since the epoch.")
    last_packet: float | None = Field(description="Event time, seconds since the epoch.")
    packets: Count = Field(description="Frames read so far.")
    bytes: Count = Field(description="Bytes on the wire read so far.")
    file_bytes: Count = Field(description="Size of the file; 0 for a live port or a pipe.")
    is_truncated: bool = Field(description="Whether the file ends inside a record.")
    error: str = Field(description="Why it failed; empty when it did not.")

    @classmethod
    def of(cls, row: CaptureNow) -> Self:
        """Return the answer for a row of the store."""
        return cls(
            capture_id=row.capture_id,
            state=row.state,
            is_complete=row.is_stored,
            source=row.source,
            name=row.name,
            sensor=row.sensor,
            window_size=window_size_of(row.window_ns),
            partitions=row.partitions,
            started_at=_iso(row.started_ns),
            ended_at=None if row.ended_ns is None else _iso(row.ended_ns),
            first_packet=None if row.first_ts_ns is None else row.first_ts_ns / NS_PER_S,
            last_packet=None if row.last_ts_ns is None else row.last_ts_ns / NS_PER_S,
            packets=row.packets,
            bytes=row.bytes,
            file_bytes=row.file_bytes,
            is_truncated=row.is_truncated,
            error=row.error,
        )


class CapturesAnswer(BaseModel):
    """A page of captures, newest first."""

    model_config = example({"count": 1, "total": 1, "offset": 0, "limit": 50, "captures": [_EXAMPLE]})

    count: Count
    total: Count
    offset: Count
    limit: Count
    captures: list[CaptureAnswer]


UPSTREAM: dict[Hop, Hop] = {
    Hop.READ: Hop.KERNEL,
    Hop.RECORD: Hop.READ,
    Hop.DECODE: Hop.READ,
    Hop.SAMPLE: Hop.DECODE,
    Hop.PRODUCE: Hop.SAMPLE,
    Hop.WINDOWS: Hop.PRODUCE,
    Hop.MERGE: Hop.WINDOWS,
    Hop.STORE: Hop.PRODUCE,
    Hop.ANALYSIS: Hop.MERGE,
    Hop.FLOWS: Hop.PRODUCE,
    Hop.CLASSIFICATIONS: Hop.FLOWS,
}
"""Where each hop's packets come from: behind Kafka, windows, flows and store each read the packets topic. A hop that a
capture has not is passed over. What the interface counts is no hop's upstream: a filter stands behind it."""


class HopAnswer(BaseModel):
    """What one stage counted, all partitions together."""

    hop: Hop
    packets_in: Count
    packets_out: Count
    upstream: Hop | None = Field(description="The hop its packets come from; null for the first.")
    difference: int = Field(
        description="Packets handed to it (by its upstream; for the first hop: found) that did not go out."
    )
    lost: dict[str, int] = Field(description="Packets it says it lost, by reason.")


class LedgerAnswer(BaseModel):
    """The loss ledger of one capture: every hop in order, with what came in and what went out."""

    model_config = example(
        {
            "capture_id": "01kb2m9t8x7qd4",
            "is_complete": True,
            "is_balanced": True,
            "difference": 0,
            "undecodable": {"truncated_network": 3},
            "hops": [
                {
                    "hop": "read",
                    "packets_in": 21975,
                    "packets_out": 21975,
                    "upstream": None,
                    "difference": 0,
                    "lost": {},
                },
                {
                    "hop": "decode",
                    "packets_in": 21975,
                    "packets_out": 21975,
                    "upstream": "read",
                    "difference": 0,
                    "lost": {},
                },
            ],
        }
    )

    capture_id: str
    is_complete: bool = Field(description="Whether the capture is over and stored; until then hops are behind.")
    is_balanced: bool = Field(
        description="Whether every hop is there and handed on exactly what came in; what a live capture's interface, "
        "ring and sampling say they lost or left out counts as handed on."
    )
    difference: int = Field(
        description="Packets read, and not left out by sampling, minus packets stored; 0 when nothing got lost or "
        "doubled."
    )
    undecodable: dict[str, int] = Field(
        description="Packets not fully decoded, by reason; each of them is stored all the same."
    )
    hops: list[HopAnswer] = Field(description="In the order in which packets pass them.")

    @classmethod
    def of(cls, capture: CaptureNow, rows: list[LedgerTotal]) -> Self:
        """Return the answer for a capture and its ledger rows."""
        hops = hops_of(rows)
        by_hop = {hop.hop: hop for hop in hops}
        read, store = by_hop.get(Hop.SAMPLE) or by_hop.get(Hop.READ), by_hop.get(Hop.STORE)
        difference = (read.packets_out if read else 0) - (store.packets_out if store else 0)
        return cls(
            capture_id=capture.capture_id,
            is_complete=capture.is_stored,
            is_balanced=by_hop.keys() >= set(Hop) - LIVE_HOPS and all(is_balanced(hop) for hop in hops),
            difference=difference,
            undecodable={r.reason: r.packets_in for r in rows if r.hop == Hop.DECODE and r.reason},
            hops=hops,
        )


def is_balanced(hop: HopAnswer) -> bool:
    """Whether a hop handed on exactly what its upstream handed to it, but for what a live capture declares."""
    declared = sum(hop.lost.values()) if hop.hop in LIVE_HOPS else 0
    return hop.difference == declared and hop.packets_in == hop.packets_out + declared


def hops_of(rows: list[LedgerTotal]) -> list[HopAnswer]:
    """Return the hops that have counted, in order."""
    totals = {Hop(row.hop): row for row in rows if not row.reason}
    answers = []
    for hop in (hop for hop in Hop if hop in totals):
        total, upstream = totals[hop], UPSTREAM.get(hop)
        while upstream is not None and upstream not in totals:
            upstream = UPSTREAM.get(upstream)
        came = totals[upstream].packets_out if upstream is not None else total.packets_in
        answers.append(
            HopAnswer(
                hop=hop,
                packets_in=total.packets_in,
                packets_out=total.packets_out,
                upstream=upstream,
                difference=came - total.packets_out,
                lost={r.reason: r.packets_in - r.packets_out for r in rows if _is_loss(r, hop)},
            )
        )
    return answers


def _is_loss(row: LedgerTotal, hop: Hop) -> bool:
    return row.hop == hop and bool(row.reason) and row.packets_in > row.packets_out
