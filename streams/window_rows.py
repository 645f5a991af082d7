"""A merged window as its row in the ``windows`` table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.enums import DecodeStatus, TcpAnalysis
from schemas.windows import TOP_TALKERS, WINDOW_SCHEMA
from streams.arrays import Int64s
from streams.evidence import Conversations, tcp_ages
from streams.evidence_columns import WindowEvidence, evidence_columns, evidence_of
from streams.hosts import Hosts
from streams.name_lookup import conversation_names
from streams.names import NAME_TABLES
from streams.partials import NO_LAST, Count, PartialWindow
from streams.roundtrips import percentile
from streams.window_conversations import ConversationFlag, Word


def window_rows(capture_id: str, window_ns: int, origin_ns: int, windows: Sequence[PartialWindow]) -> pa.Table:
    """Return merged windows as rows with ``WINDOW_SCHEMA``.

    Parameters
    ----------
    window_ns, origin_ns : int
        Size of a window and start of window 0, ns.
    """
    plain, evidence = [], []
    for window in windows:
        start_ns = origin_ns + window.window_id * window_ns
        conversations = Conversations(window.conversations)
        # Packets before the origin count in window 0, so whatever it holds began in it.
        begins_ns = start_ns if window.window_id else NO_LAST
        has_begun = window.conversations[:, Word.FIRST_TS_NS] >= begins_ns
        evidence.append(evidence_of(WindowEvidence(conversations, has_begun)))
        plain.append(
            {
                "capture_id": capture_id,
                "window_id": window.window_id,
                "version": window.records,
                "window_start_ns": start_ns,
                "window_end_ns": start_ns + window_ns,
                "sampling_rate": window.sampling_rate,
                **_traffic(window, conversations.hosts),
                **_round_trips(window),
                **_connections(conversations),
                **_quality(window),
            }
        )
    columns = evidence_columns(evidence)
    arrays = [
        columns[field.name] if field.name in columns else pa.array([row[field.name] for row in plain], field.type)
        for field in WINDOW_SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=WINDOW_SCHEMA)


def _traffic(window: PartialWindow, hosts: Hosts) -> dict[str, Any]:
    has_packets = window.records > 0
    protocols = [str(number) for number in window.protocols.keys[:, 0]]
    names = [NAME_TABLES.names[number] for number in window.names.keys[:, 0]]
    return {
        "record_count": window.records,
        "bytes": int(window.counts[Count.BYTES]),
        "first_ts_ns": window.first_ts_ns if has_packets else None,
        "last_ts_ns": window.last_ts_ns if has_packets else None,
        "hosts": int(hosts.has_ip.sum()),
        "top_src_bytes": _talkers(hosts, hosts.sent_bytes),
        "top_dst_bytes": _talkers(hosts, hosts.received_bytes),
        "protocol_packets": _pairs(names, window.names.sums[:, 0]),
        "protocol_bytes": _pairs(names, window.names.sums[:, 1]),
        "ip_protocol_packets": _pairs(protocols, window.protocols.sums[:, 0]),
        "ip_protocol_bytes": _pairs(protocols, window.protocols.sums[:, 1]),
        "late_packets": int(window.counts[Count.LATE]),
    }


def _talkers(hosts: Hosts, n_bytes: Int64s) -> list[dict[str, Any]]:
    """Return the hosts with most bytes, most first; equal ones by address, so that order is defined."""
    top = hosts.top(n_bytes, TOP_TALKERS)
    texts = hosts.texts(top)
    return [{"ip": text, "bytes": int(value)} for text, value in zip(texts, n_bytes[top], strict=True)]


def _pairs(names: Sequence[str], values: Int64s) -> list[tuple[str, int]]:
    return sorted((name, int(value)) for name, value in zip(names, values, strict=True) if value)


def _round_trips(window: PartialWindow) -> dict[str, Any]:
    rtts = window.rtts
    return {
        "rtt_count": int(rtts.sums.sum()),
        "rtt_sum_ns": int(window.counts[Count.RTT_SUM_NS]),
        "rtt_max_ns": window.rtt_max_ns if len(rtts) else None,
        "rtt_p95_ns": percentile(rtts, 0.95),
        "rtt_is_sketched": bool(rtts.flags.any()),
        "handshake_rtt_count": int(window.counts[Count.HANDSHAKES]),
        "handshake_rtt_sum_ns": int(window.counts[Count.HANDSHAKE_SUM_NS]),
    }


def _connections(conversations: Conversations) -> dict[str, Any]:
    counted = conversations.is_counted
    names = conversation_names(conversations.rows)
    median_ns, p95_ns, max_ns = tcp_ages(conversations)
    flags = conversations.flags[counted]
    name_ids, counts = np.unique(names[counted], return_counts=True)
    attempted, answered, reset = (
        flags & flag != 0 for flag in (ConversationFlag.SYN, ConversationFlag.SYN_ACK, ConversationFlag.RESET)
    )
    return {
        "connections_total": len(flags),
        "connections_by_protocol": _pairs([NAME_TABLES.names[name] for name in name_ids], counts),
        "connections_attempted": int(attempted.sum()),
        "connections_established": int((attempted & answered).sum()),
        "connections_failed": int((attempted & ~answered & reset).sum()),
        "connections_half_open": int((attempted & ~answered & ~reset).sum()),
        "age_median_ns": median_ns,
        "age_p95_ns": p95_ns,
        "age_max_ns": max_ns,
    }


def _quality(window: PartialWindow) -> dict[str, Any]:
    verdicts = {verdict: int(window.verdicts[verdict.value.bit_length() - 1]) for verdict in TcpAnalysis}
    return {
        "tcp_retransmissions": int(window.counts[Count.RETRANSMISSIONS]),
        "tcp_segments": int(window.counts[Count.TCP_SEGMENTS]),
        "tcp_data_segments": int(window.counts[Count.TCP_DATA_SEGMENTS]),
        "tcp_analysis": sorted((str(verdict.name).lower(), count) for verdict, count in verdicts.items() if count),
        "undecoded": [
            (status.name.lower(), int(window.statuses[status]))
            for status in DecodeStatus
            if status is not DecodeStatus.OK and window.statuses[status]
        ],
        "lost_upstream": verdicts[TcpAnalysis.ACK_LOST_SEGMENT],
        "is_complete": not verdicts[TcpAnalysis.ACK_LOST_SEGMENT],
    }
