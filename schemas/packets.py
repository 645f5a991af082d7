"""The packet: one row per captured frame, on the wire and in ``packet_logs``."""

from __future__ import annotations

import pyarrow as pa

from schemas.columns import Column, arrow_schema

MAX_BATCH_PACKETS = 262_144
"""Packets in one batch at most: a row fits 18 bits of the event id."""

PACKET_SCHEMA_VERSION = 1
"""Raised with every change of ``PACKET_COLUMNS``; travels in each batch's header."""

NO_PROTOCOL = 255
"""``protocol`` of a frame that carries no IP (255 is reserved by IANA)."""

ARP_REQUEST = 1
"""``icmp_type`` of an ARP packet that asks who has an address (RFC 826)."""

NO_WINDOW_SCALE = 255
"""``tcp_window_scale`` of a segment without that option (RFC 7323 allows 0 to 14)."""

IP_ADDRESS = pa.binary(16)
"""IPv6, or IPv4 mapped into it (RFC 4291, section 2.5.5.2)."""

PACKET_COLUMNS: tuple[Column, ...] = (
    Column("ts_ns", pa.int64(), "Int64", "DoubleDelta, LZ4", "Event time, ns since the Unix epoch, UTC."),
    Column("frame", pa.uint64(), "UInt64", "Delta, LZ4", "Number of the frame in its capture, from 1."),
    Column("lag_ns", pa.int64(), "Int64", "T64, LZ4", "How far ts_ns lies before the newest earlier frame of the capture, ns; 0 when it does not."),
    Column("src_ip", IP_ADDRESS, "IPv6", "LZ4", "Source address, or the sender's in ARP; IPv4 is mapped; :: without one."),
    Column("dst_ip", IP_ADDRESS, "IPv6", "LZ4", "Destination address, or the target's in ARP; IPv4 is mapped; :: without one."),
    Column("src_port", pa.uint16(), "UInt16", "LZ4", "Source port of TCP, UDP or SCTP, else 0."),
    Column("dst_port", pa.uint16(), "UInt16", "LZ4", "Destination port of TCP, UDP or SCTP, else 0."),
    Column("protocol", pa.uint8(), "UInt8", "LZ4", "IANA protocol number of the innermost IP packet; 255 without IP."),
    Column("ether_type", pa.uint16(), "UInt16", "LZ4", "EtherType of the innermost network layer (0x0800, 0x86DD, 0x0806, …); an 802.3 length stays as it is."),
    Column("vlan", pa.uint16(), "UInt16", "LZ4", "Outermost 802.1Q VLAN id, else 0."),
    Column("tunnel", pa.uint8(), "UInt8", "LZ4", "Outermost tunnel taken off (enum Tunnel)."),
    Column("fragment", pa.uint8(), "UInt8", "LZ4", "Which fragment of its datagram (enum Fragment)."),
    Column("ttl", pa.uint8(), "UInt8", "LZ4", "IPv4 TTL or IPv6 hop limit."),
    Column("tcp_flags", pa.uint16(), "UInt16", "LZ4", "The 12 flag bits of TCP (RFC 9293), FIN lowest."),
    Column("tcp_seq", pa.uint32(), "UInt32", "LZ4", "TCP sequence number as sent."),
    Column("tcp_ack", pa.uint32(), "UInt32", "LZ4", "TCP acknowledgement number as sent."),
    Column("tcp_window_bytes", pa.uint16(), "UInt16", "LZ4", "TCP window field as sent, before scaling."),
    Column("tcp_window_scale", pa.uint8(), "UInt8", "LZ4", "Shift of the window scale option, 255 without it."),
    Column("payload_bytes", pa.uint32(), "UInt32", "T64, LZ4", "Bytes behind the transport header, from the IP lengths (link padding excluded)."),
    Column("length_bytes", pa.uint32(), "UInt32", "T64, LZ4", "Bytes of the frame on the wire."),
    Column("captured_bytes", pa.uint32(), "UInt32", "T64, LZ4", "Bytes of the frame in the capture (snap length)."),
    Column("ip_header_bytes", pa.uint16(), "UInt16", "LZ4", "IP header with options and extension headers."),
    Column("l4_header_bytes", pa.uint8(), "UInt8", "LZ4", "TCP, UDP, ICMP or SCTP header with options."),
    Column("icmp_type", pa.uint8(), "UInt8", "LZ4", "ICMP or ICMPv6 type; operation of an ARP packet (255 when greater); else 0."),
    Column("icmp_code", pa.uint8(), "UInt8", "LZ4", "ICMP or ICMPv6 code, else 0."),
    Column("decode_status", pa.uint8(), "UInt8", "LZ4", "How far it could be decoded (enum DecodeStatus)."),
)  # fmt: skip
"""Columns of a batch on the ``packets`` topic, in order."""

PACKET_SCHEMA: pa.Schema = arrow_schema(PACKET_COLUMNS)
"""Arrow schema of a batch on the ``packets`` topic."""

STORED_PACKET_COLUMNS: tuple[Column, ...] = (
    Column("capture_id", pa.dictionary(pa.int8(), pa.string()), "LowCardinality(String)", "", "The capture it belongs to."),
    Column("event_id", pa.uint64(), "UInt64", "Delta, LZ4", "Kafka partition, offset and row, packed below 2^53."),
    *PACKET_COLUMNS,
)  # fmt: skip
"""Columns of ``packet_logs``: the batch's, and what storage adds."""

STORED_PACKET_SCHEMA: pa.Schema = arrow_schema(STORED_PACKET_COLUMNS)
"""Arrow schema of what is inserted into ``packet_logs``."""

PARTITION_BITS = 7
OFFSET_BITS = 28
ROW_BITS = 18


def first_event_id(partition: int, offset: int) -> int:
    """Return the event id of row 0 of the batch at a Kafka position.

    7 bits partition, 28 bits offset, 18 bits row: below 2^53, which JavaScript keeps exact.

    Raises
    ------
    ValueError
        When the position does not fit.
    """
    if not 0 <= partition < 1 << PARTITION_BITS or not 0 <= offset < 1 << OFFSET_BITS:
        raise ValueError(f"partition {partition} offset {offset} do not fit an event id")
    return ((partition << OFFSET_BITS) | offset) << ROW_BITS
