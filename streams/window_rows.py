"""A merged window as its row in the ``windows`` table."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.enums import DecodeStatus, TcpAnalysis
from schemas.windows import TOP_TALKERS, WINDOW_SCHEMA
from streams.arrays import Bools, Int64s, UInt64s
from streams.groups import GroupTable
from streams.names import NAME_TABLES
from streams.partials import ConversationFlag, Count, PartialWindow
from streams.roundtrips import percentile

_TCP, _SYN, _SYN_ACK, _RESET, _FRAGMENTS = (
    np.uint64(flag)
    for flag in (
        ConversationFlag.TCP,
        ConversationFlag.SYN,
        ConversationFlag.SYN_ACK,
        ConversationFlag.RESET,
        ConversationFlag.FRAGMENTS,
    )
)


def window_rows(capture_id: str, window_ns: int, origin_ns: int, windows: Sequence[PartialWindow]) -> pa.Table:
    """Return merged windows as rows with ``WINDOW_SCHEMA``.

    Parameters
    ----------
    window_ns, origin_ns : int
        Size of a window and start of window 0, ns.
    """
    rows = []
    for window in windows:
        start_ns = origin_ns + window.window_id * window_ns
        rows.append(
            {
                "capture_id": capture_id,
                "window_id": window.window_id,
                "version": window.records,
                "window_start_ns": start_ns,
                "window_end_ns": start_ns + window_ns,
                **_traffic(window),
                **_round_trips(window),
                **_connections(window.conversations),
                **_quality(window),
            }
        )
    return pa.Table.from_pylist(rows, schema=WINDOW_SCHEMA)


def address_text(high: int, low: int) -> str:
    """Return an address, given as two big-endian halves, as text; mapped IPv4 in dotted form."""
    address = IPv6Address(high << 64 | low)
    return str(address.ipv4_mapped or address)


def _traffic(window: PartialWindow) -> dict[str, Any]:
    has_packets = window.records > 0
    protocols = [str(number) for number in window.protocols.keys[:, 0]]
    names = [NAME_TABLES.names[number] for number in window.names.keys[:, 0]]
    return {
        "record_count": window.records,
        "bytes": int(window.counts[Count.BYTES]),
        "first_ts_ns": window.first_ts_ns if has_packets else None,
        "last_ts_ns": window.last_ts_ns if has_packets else None,
        "hosts": len(window.hosts),
        "top_src_bytes": _top(window.hosts, 0),
        "top_dst_bytes": _top(window.hosts, 1),
        "protocol_packets": _pairs(names, window.names.sums[:, 0]),
        "protocol_bytes": _pairs(names, window.names.sums[:, 1]),
        "ip_protocol_packets": _pairs(protocols, window.protocols.sums[:, 0]),
        "ip_protocol_bytes": _pairs(protocols, window.protocols.sums[:, 1]),
        "late_packets": int(window.counts[Count.LATE]),
    }


def _top(hosts: GroupTable, column: int) -> list[dict[str, Any]]:
    """Return the hosts with most bytes, most first; equal ones by address, so that order is defined."""
    sums = hosts.sums[:, column]
    order = np.lexsort((hosts.keys[:, 1], hosts.keys[:, 0], -sums))[:TOP_TALKERS]
    return [
        {"ip": address_text(int(hosts.keys[row, 0]), int(hosts.keys[row, 1])), "bytes": int(sums[row])}
        for row in order
        if sums[row] > 0
    ]


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


def _connections(conversations: GroupTable) -> dict[str, Any]:
    counted = conversations.flags & _FRAGMENTS == 0
    flags = conversations.flags[counted]
    name_ids, counts = np.unique(conversations.keys[counted, 1], return_counts=True)
    attempted = _having(flags, _SYN)
    answered, reset = _having(flags, _SYN_ACK), _having(flags, _RESET)
    return {
        "connections_total": len(flags),
        "connections_by_protocol": _pairs([NAME_TABLES.names[name] for name in name_ids], counts),
        "connections_attempted": int(attempted.sum()),
        "connections_established": int((attempted & answered).sum()),
        "connections_failed": int((attempted & ~answered & reset).sum()),
        "connections_half_open": int((attempted & ~answered & ~reset).sum()),
    }


def _having(flags: UInt64s, flag: np.uint64) -> Bools:
    wanted = flag | _TCP
    having: Bools = (flags & wanted) == wanted
    return having


def _quality(window: PartialWindow) -> dict[str, Any]:
    verdicts = {verdict: int(window.verdicts[verdict.value.bit_length() - 1]) for verdict in TcpAnalysis}
    return {
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
