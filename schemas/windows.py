"""The window: what one tumbling interval of a capture looked like."""

from __future__ import annotations

import pyarrow as pa

from schemas.columns import Column, arrow_schema

TOP_TALKERS = 10
"""Pairs in ``top_src_bytes`` and ``top_dst_bytes`` at most (contract)."""

_TALKERS = pa.list_(pa.struct([pa.field("ip", pa.string()), pa.field("bytes", pa.uint64())]))
_COUNTS = pa.map_(pa.string(), pa.uint64())
_CH_TALKERS = "Array(Tuple(ip String, bytes UInt64))"
_CH_COUNTS = "Map(LowCardinality(String), UInt64)"

WINDOW_COLUMNS: tuple[Column, ...] = (
    Column("capture_id", pa.string(), "LowCardinality(String)", "", "The capture it belongs to."),
    Column("window_id", pa.uint32(), "UInt32", "Delta, ZSTD(1)", "Number of the window in its capture, from 0."),
    Column("version", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Packets counted so far (record_count): a late correction raises it; the highest counts."),
    Column("window_start_ns", pa.int64(), "Int64", "DoubleDelta, ZSTD(1)", "Start, inclusive, ns since the epoch."),
    Column("window_end_ns", pa.int64(), "Int64", "DoubleDelta, ZSTD(1)", "End, exclusive, ns since the epoch."),
    Column("record_count", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Packets, undecodable ones included."),
    Column("bytes", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Bytes on the wire."),
    Column("first_ts_ns", pa.int64(), "Nullable(Int64)", "ZSTD(1)", "Time of its first packet; null when it is empty."),
    Column("last_ts_ns", pa.int64(), "Nullable(Int64)", "ZSTD(1)", "Time of its last packet; null when it is empty."),
    Column("top_src_bytes", _TALKERS, _CH_TALKERS, "ZSTD(1)", "Sources by bytes, most first, at most 10."),
    Column("top_dst_bytes", _TALKERS, _CH_TALKERS, "ZSTD(1)", "Destinations by bytes, most first, at most 10."),
    Column("hosts", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Distinct addresses seen as source or destination."),
    Column("rtt_count", pa.uint64(), "UInt64", "T64, ZSTD(1)", "TCP round trips measured (tcp.analysis.ack_rtt)."),
    Column("rtt_sum_ns", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Sum of the round trips, ns."),
    Column("rtt_max_ns", pa.int64(), "Nullable(Int64)", "ZSTD(1)", "Longest round trip, ns; null when none was measured."),
    Column("rtt_p95_ns", pa.int64(), "Nullable(Int64)", "ZSTD(1)", "95th percentile of the round trips, ns (nearest rank)."),
    Column("rtt_is_sketched", pa.bool_(), "Bool", "", "Whether the percentile comes from a sketch (relative error 1 %)."),
    Column("handshake_rtt_count", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Handshakes timed (tcp.analysis.initial_rtt)."),
    Column("handshake_rtt_sum_ns", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Sum of the handshakes' round trips, ns."),
    Column("connections_total", pa.uint64(), "UInt64", "T64, ZSTD(1)", "TCP, UDP, ICMP and other IP conversations seen."),
    Column("connections_by_protocol", _COUNTS, _CH_COUNTS, "ZSTD(1)", "Conversations by named protocol."),
    Column("connections_attempted", pa.uint64(), "UInt64", "T64, ZSTD(1)", "TCP conversations with a SYN in the window."),
    Column("connections_established", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Attempted and answered with SYN-ACK in the window."),
    Column("connections_failed", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Attempted and reset without a SYN-ACK in the window."),
    Column("connections_half_open", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Attempted and neither answered nor reset in the window."),
    Column("protocol_packets", _COUNTS, _CH_COUNTS, "ZSTD(1)", "Packets by named protocol (service by port, else transport, else network)."),
    Column("protocol_bytes", _COUNTS, _CH_COUNTS, "ZSTD(1)", "Bytes by named protocol."),
    Column("ip_protocol_packets", _COUNTS, _CH_COUNTS, "ZSTD(1)", "Packets by IANA protocol number; non-IP frames are absent."),
    Column("ip_protocol_bytes", _COUNTS, _CH_COUNTS, "ZSTD(1)", "Bytes by IANA protocol number."),
    Column("tcp_segments", pa.uint64(), "UInt64", "T64, ZSTD(1)", "TCP segments."),
    Column("tcp_data_segments", pa.uint64(), "UInt64", "T64, ZSTD(1)", "TCP segments with payload."),
    Column("tcp_analysis", _COUNTS, _CH_COUNTS, "ZSTD(1)", "Segments by Wireshark's verdict (enum TcpAnalysis, lower case); absent means 0."),
    Column("undecoded", _COUNTS, _CH_COUNTS, "ZSTD(1)", "Packets by decode status (lower case), OK left out."),
    Column("late_packets", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Packets that came after the watermark had passed the window."),
    Column("is_complete", pa.bool_(), "Bool", "", "Whether no packet of it is known to be missing (see lost_upstream)."),
    Column("lost_upstream", pa.uint64(), "UInt64", "T64, ZSTD(1)", "ACKed TCP segments never seen: at least so many packets were lost before the capture."),
)  # fmt: skip
"""Columns of the ``windows`` topic and table, in order."""

WINDOW_SCHEMA: pa.Schema = arrow_schema(WINDOW_COLUMNS)
"""Arrow schema of the ``windows`` topic."""
