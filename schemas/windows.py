"""The window: what one tumbling interval of a capture looked like."""

from __future__ import annotations

import pyarrow as pa

from schemas.columns import Column, arrow_schema

TOP_TALKERS = 10
"""Pairs in ``top_src_bytes`` and ``top_dst_bytes`` at most (contract)."""

_TALKERS = pa.list_(pa.struct([pa.field("ip", pa.string()), pa.field("bytes", pa.uint64())]))
_COUNTS = pa.map_(pa.string(), pa.uint64())
_CH_TALKERS = "Array(Tuple(ip String, bytes UInt64))"

MAX_HOSTS = 64
"""Hosts in ``host_traffic`` at most: those with most bytes, sent and received together."""

MAX_CONTACTS = 4_096
"""Entries in ``contacts`` at most; the sources that failed at most targets come first."""

MAX_CONTACTS_PER_SOURCE = 512
"""Entries of one source in ``contacts`` at most: enough to tell a scan, its true size is in ``scan_sources``."""

MAX_SCAN_SOURCES = 256
"""Entries in ``scan_sources`` at most: those that failed at most targets."""

NOTABLE_CONVERSATIONS = 10
"""Conversations in ``conversations`` for each criterion: most bytes, most retransmissions, slowest, oldest."""

HOST_FIELDS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("ip", pa.string(), "String"),
    ("bytes_sent", pa.uint64(), "UInt64"),
    ("bytes_received", pa.uint64(), "UInt64"),
    ("conversations", pa.uint64(), "UInt64"),
)
"""One host: its traffic and the conversations it took part in."""

MAX_SERVICE_CLIENTS = 128
"""Entries in ``service_clients`` at most: those that began most conversations."""

MAX_RESPONDERS = 64
"""Entries in ``responders`` at most: those to whom most conversations were begun."""

CONTACT_FIELDS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("src_ip", pa.string(), "String"),
    ("dst_ip", pa.string(), "String"),
    ("dst_port", pa.uint16(), "UInt16"),
    ("protocol", pa.uint8(), "UInt8"),
    ("conversations", pa.uint32(), "UInt32"),
    ("resets", pa.uint32(), "UInt32"),
)
"""One target (address, port, protocol) that a source failed to reach in the window: conversations that were neither
answered nor went on from before; ``resets`` of them were refused with a RST. Protocol 255 is ARP: the address was asked
for, and nobody had it."""

SCAN_SOURCE_FIELDS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("src_ip", pa.string(), "String"),
    ("targets", pa.uint32(), "UInt32"),
    ("failed_targets", pa.uint32(), "UInt32"),
    ("max_ports", pa.uint32(), "UInt32"),
    ("max_hosts", pa.uint32(), "UInt32"),
)
"""One source: distinct targets (address, port, protocol) it contacted, those it failed at, and among the failed ones
the most distinct ports of one host and the most distinct hosts on one port. What it asked for by ARP is an entry of its
own: its ``max_ports`` is 0, as ARP knows none."""

_ASKED_FIELDS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("conversations", pa.uint32(), "UInt32"),
    ("begun", pa.uint32(), "UInt32"),
    ("failed", pa.uint32(), "UInt32"),
    ("packets_forward", pa.uint64(), "UInt64"),
    ("packets_backward", pa.uint64(), "UInt64"),
    ("bytes_forward", pa.uint64(), "UInt64"),
    ("bytes_backward", pa.uint64(), "UInt64"),
)

SERVICE_CLIENT_FIELDS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("src_ip", pa.string(), "String"),
    ("dst_ip", pa.string(), "String"),
    ("dst_port", pa.uint16(), "UInt16"),
    ("protocol", pa.uint8(), "UInt8"),
    ("name", pa.string(), "String"),
    *_ASKED_FIELDS,
)
"""What one source (originator) asked of one service (address, port, protocol) in the window: its conversations there,
those that began in the window, those that failed as in ``CONTACT_FIELDS``, and their packets and bytes each way."""

RESPONDER_FIELDS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("dst_ip", pa.string(), "String"),
    ("sources", pa.uint32(), "UInt32"),
    *_ASKED_FIELDS,
)
"""What all sources together asked of one host, on whatever port: distinct sources, and the sums as above."""

CONVERSATION_FIELDS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("src_ip", pa.string(), "String"),
    ("src_port", pa.uint16(), "UInt16"),
    ("dst_ip", pa.string(), "String"),
    ("dst_port", pa.uint16(), "UInt16"),
    ("protocol", pa.uint8(), "UInt8"),
    ("name", pa.string(), "String"),
    ("first_ts_ns", pa.int64(), "Int64"),
    ("last_ts_ns", pa.int64(), "Int64"),
    ("packets_forward", pa.uint64(), "UInt64"),
    ("packets_backward", pa.uint64(), "UInt64"),
    ("bytes_forward", pa.uint64(), "UInt64"),
    ("bytes_backward", pa.uint64(), "UInt64"),
    ("data_segments_forward", pa.uint32(), "UInt32"),
    ("data_segments_backward", pa.uint32(), "UInt32"),
    ("retransmissions_forward", pa.uint32(), "UInt32"),
    ("retransmissions_backward", pa.uint32(), "UInt32"),
    ("rtt_count", pa.uint32(), "UInt32"),
    ("rtt_sum_ns", pa.uint64(), "UInt64"),
    ("rtt_max_ns", pa.int64(), "Int64"),
)
"""One conversation as seen in the window; ``src`` is its originator. ``first_ts_ns`` is when the conversation began, also
when that was in an earlier window; everything else counts this window only. A retransmission is a data segment with the
verdict retransmission, fast retransmission or spurious retransmission. ``rtt_max_ns`` is -1 without a round trip."""


def _records(fields: tuple[tuple[str, pa.DataType, str], ...]) -> tuple[pa.DataType, str]:
    """Return the Arrow and the ClickHouse type of a list of records."""
    arrow = pa.list_(pa.struct([pa.field(name, kind) for name, kind, _ in fields]))
    return arrow, "Array(Tuple(" + ", ".join(f"{name} {kind}" for name, _, kind in fields) + "))"


_HOSTS, _CH_HOSTS = _records(HOST_FIELDS)
_CONTACTS, _CH_CONTACTS = _records(CONTACT_FIELDS)
_SCAN_SOURCES, _CH_SCAN_SOURCES = _records(SCAN_SOURCE_FIELDS)
_SERVICE_CLIENTS, _CH_SERVICE_CLIENTS = _records(SERVICE_CLIENT_FIELDS)
_RESPONDERS, _CH_RESPONDERS = _records(RESPONDER_FIELDS)
CONVERSATIONS, CH_CONVERSATIONS = _records(CONVERSATION_FIELDS)
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
    Column("sampling_rate", pa.float64(), "Float64", "ZSTD(1)", "Share of the flows that was kept under overload, the lowest in the window; 1 without sampling. Counts are of what was kept."),
    Column("tcp_retransmissions", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Data segments that Wireshark calls a retransmission of any kind."),
    Column("host_traffic", _HOSTS, _CH_HOSTS, "ZSTD(1)", "Hosts by bytes, most first, at most 64."),
    Column("scan_sources", _SCAN_SOURCES, _CH_SCAN_SOURCES, "ZSTD(1)", "Sources that failed at some target, by failed targets, most first, at most 256."),
    Column("contacts", _CONTACTS, _CH_CONTACTS, "ZSTD(1)", "Targets that sources failed to reach, at most 512 of a source and 4,096 in all."),
    Column("service_clients", _SERVICE_CLIENTS, _CH_SERVICE_CLIENTS, "ZSTD(1)", "What each source asked of each service, by conversations begun, most first, at most 128."),
    Column("responders", _RESPONDERS, _CH_RESPONDERS, "ZSTD(1)", "Hosts by conversations begun to them, most first, at most 64."),
    Column("conversations", CONVERSATIONS, CH_CONVERSATIONS, "ZSTD(1)", "Notable conversations: the 10 with most bytes, most retransmissions, longest mean round trip (3 samples or more) and greatest age."),
    Column("age_median_ns", pa.int64(), "Nullable(Int64)", "ZSTD(1)", "Median age (last packet in the window less first packet ever) of the TCP connections seen, ns; null without one."),
    Column("age_p95_ns", pa.int64(), "Nullable(Int64)", "ZSTD(1)", "95th percentile of those ages, ns (nearest rank)."),
    Column("age_max_ns", pa.int64(), "Nullable(Int64)", "ZSTD(1)", "Greatest of those ages, ns."),
)  # fmt: skip
"""Columns of the ``windows`` topic and table, in order."""

WINDOW_SCHEMA: pa.Schema = arrow_schema(WINDOW_COLUMNS)
"""Arrow schema of the ``windows`` topic."""
