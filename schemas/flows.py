"""The flow: a bidirectional 5-tuple with the 78 features of CICFlowMeter."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from schemas.columns import Column, arrow_schema
from schemas.packets import IP_ADDRESS


@dataclass(frozen=True)
class Feature:
    """One feature of a flow.

    Parameters
    ----------
    name : str
        As in the header of the CICIDS2017 files, without the spaces around it.
    unit : str
        ``us``, ``us²``, ``bytes``, ``bytes²``, ``1/s``, ``bytes/s``, ``packets`` or empty.
    doc : str
        One sentence; forward is the direction of the flow's first packet.
    """

    name: str
    unit: str
    doc: str


_OWN_PAYLOAD = "payload of TCP or UDP; 0 for other protocols"

FEATURES: tuple[Feature, ...] = (
    Feature("Destination Port", "", "Port that the first packet was sent to."),
    Feature("Flow Duration", "us", "From the first packet to the last."),
    Feature("Total Fwd Packets", "packets", "Packets forward."),
    Feature("Total Backward Packets", "packets", "Packets backward."),
    Feature("Total Length of Fwd Packets", "bytes", f"Bytes forward ({_OWN_PAYLOAD})."),
    Feature("Total Length of Bwd Packets", "bytes", f"Bytes backward ({_OWN_PAYLOAD})."),
    Feature("Fwd Packet Length Max", "bytes", "Largest payload forward."),
    Feature("Fwd Packet Length Min", "bytes", "Smallest payload forward."),
    Feature("Fwd Packet Length Mean", "bytes", "Mean payload forward."),
    Feature("Fwd Packet Length Std", "bytes", "Sample standard deviation of the payloads forward."),
    Feature("Bwd Packet Length Max", "bytes", "Largest payload backward."),
    Feature("Bwd Packet Length Min", "bytes", "Smallest payload backward."),
    Feature("Bwd Packet Length Mean", "bytes", "Mean payload backward."),
    Feature("Bwd Packet Length Std", "bytes", "Sample standard deviation of the payloads backward."),
    Feature("Flow Bytes/s", "bytes/s", "Payload of both directions by duration."),
    Feature("Flow Packets/s", "1/s", "Packets of both directions by duration."),
    Feature("Flow IAT Mean", "us", "Mean time from a packet to the next one."),
    Feature("Flow IAT Std", "us", "Sample standard deviation of these times."),
    Feature("Flow IAT Max", "us", "Longest of these times."),
    Feature("Flow IAT Min", "us", "Shortest of these times."),
    Feature("Fwd IAT Total", "us", "Sum of the times from a packet forward to the next one forward."),
    Feature("Fwd IAT Mean", "us", "Mean of these times."),
    Feature("Fwd IAT Std", "us", "Sample standard deviation of these times."),
    Feature("Fwd IAT Max", "us", "Longest of these times."),
    Feature("Fwd IAT Min", "us", "Shortest of these times."),
    Feature("Bwd IAT Total", "us", "Sum of the times from a packet backward to the next one backward."),
    Feature("Bwd IAT Mean", "us", "Mean of these times."),
    Feature("Bwd IAT Std", "us", "Sample standard deviation of these times."),
    Feature("Bwd IAT Max", "us", "Longest of these times."),
    Feature("Bwd IAT Min", "us", "Shortest of these times."),
    Feature("Fwd PSH Flags", "packets", "Packets forward with PSH."),
    Feature("Bwd PSH Flags", "packets", "Packets backward with PSH."),
    Feature("Fwd URG Flags", "packets", "Packets forward with URG."),
    Feature("Bwd URG Flags", "packets", "Packets backward with URG."),
    Feature("Fwd Header Length", "bytes", "Bytes of TCP or UDP headers forward."),
    Feature("Bwd Header Length", "bytes", "Bytes of TCP or UDP headers backward."),
    Feature("Fwd Packets/s", "1/s", "Packets forward by duration."),
    Feature("Bwd Packets/s", "1/s", "Packets backward by duration."),
    Feature("Min Packet Length", "bytes", "Smallest payload."),
    Feature("Max Packet Length", "bytes", "Largest payload."),
    Feature("Packet Length Mean", "bytes", "Mean payload."),
    Feature("Packet Length Std", "bytes", "Sample standard deviation of the payloads."),
    Feature("Packet Length Variance", "bytes²", "Sample variance of the payloads."),
    Feature("FIN Flag Count", "packets", "Packets with FIN."),
    Feature("SYN Flag Count", "packets", "Packets with SYN."),
    Feature("RST Flag Count", "packets", "Packets with RST."),
    Feature("PSH Flag Count", "packets", "Packets with PSH."),
    Feature("ACK Flag Count", "packets", "Packets with ACK."),
    Feature("URG Flag Count", "packets", "Packets with URG."),
    Feature("CWE Flag Count", "packets", "Packets with CWR; the published header misspells it."),
    Feature("ECE Flag Count", "packets", "Packets with ECE."),
    Feature("Down/Up Ratio", "", "Packets backward by packets forward; 0 without any forward."),
    Feature("Average Packet Size", "bytes", "Sum of the payloads by packets."),
    Feature("Avg Fwd Segment Size", "bytes", "Sum of the payloads forward by packets forward."),
    Feature("Avg Bwd Segment Size", "bytes", "Sum of the payloads backward by packets backward."),
    Feature("Fwd Header Length.1", "bytes", "Fwd Header Length again, as published."),
    Feature("Fwd Avg Bytes/Bulk", "bytes", "Payload of a bulk forward, mean, whole bytes."),
    Feature("Fwd Avg Packets/Bulk", "packets", "Packets of a bulk forward, mean, whole packets."),
    Feature("Fwd Avg Bulk Rate", "bytes/s", "Payload of the bulks forward by their duration, whole bytes a second."),
    Feature("Bwd Avg Bytes/Bulk", "bytes", "Payload of a bulk backward, mean, whole bytes."),
    Feature("Bwd Avg Packets/Bulk", "packets", "Packets of a bulk backward, mean, whole packets."),
    Feature("Bwd Avg Bulk Rate", "bytes/s", "Payload of the bulks backward by their duration, whole bytes a second."),
    Feature("Subflow Fwd Packets", "packets", "Packets forward by subflows, whole packets."),
    Feature("Subflow Fwd Bytes", "bytes", "Payload forward by subflows, whole bytes."),
    Feature("Subflow Bwd Packets", "packets", "Packets backward by subflows, whole packets."),
    Feature("Subflow Bwd Bytes", "bytes", "Payload backward by subflows, whole bytes."),
    Feature("Init_Win_bytes_forward", "bytes", "TCP window of the first packet, if it went forward."),
    Feature("Init_Win_bytes_backward", "bytes", "TCP window of the last packet backward; the name says initial."),
    Feature("act_data_pkt_fwd", "packets", "Packets forward with payload, the flow's first packet not counted."),
    Feature("min_seg_size_forward", "bytes", "Smallest TCP or UDP header forward, if the first packet went forward."),
    Feature("Active Mean", "us", "Mean time that the flow was active before a pause of more than 5 s."),
    Feature("Active Std", "us", "Sample standard deviation of these times."),
    Feature("Active Max", "us", "Longest of these times."),
    Feature("Active Min", "us", "Shortest of these times."),
    Feature("Idle Mean", "us", "Mean length of the pauses of more than 5 s."),
    Feature("Idle Std", "us", "Sample standard deviation of these times."),
    Feature("Idle Max", "us", "Longest of these times."),
    Feature("Idle Min", "us", "Shortest of these times."),
)
"""The features of the RL-IDS contract, in its order: that of the CICIDS2017 files."""

FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
"""Their names; ``Fwd Header Length`` stands twice, the second time with ``.1`` behind it."""

N_FEATURES = len(FEATURES)
"""78."""

FEATURE_VECTOR = pa.list_(pa.field("item", pa.float32(), nullable=False), N_FEATURES)
"""The features of one flow, in one value; see decision 0020."""

FLOW_SCHEMA_VERSION = 2
"""Raised with every change of ``FLOW_COLUMNS`` or of what a feature means."""

FLOW_COLUMNS: tuple[Column, ...] = (
    Column("flow_id", pa.uint64(), "UInt64", "ZSTD(1)", "Hash of the 5-tuple, the VLAN and the first packet (time and frame): the same in every partition and process; the API shows 16 hexadecimal digits."),
    Column("window_id", pa.uint32(), "UInt32", "Delta, ZSTD(1)", "Window of the capture's clock in which its last packet came."),
    Column("end_reason", pa.dictionary(pa.int8(), pa.string()), "LowCardinality(String)", "", "Why this record was written (enum FlowEnd); interim while the flow goes on."),
    Column("community_id", pa.string(), "String", "ZSTD(1)", "Community ID, version 1, seed 0."),
    Column("src_ip", IP_ADDRESS, "IPv6", "ZSTD(1)", "Source address of the first packet; IPv4 is mapped."),
    Column("dst_ip", IP_ADDRESS, "IPv6", "ZSTD(1)", "Destination address of the first packet; IPv4 is mapped."),
    Column("src_port", pa.uint16(), "UInt16", "ZSTD(1)", "Source port of the first packet; 0 without ports and in fragments."),
    Column("dst_port", pa.uint16(), "UInt16", "ZSTD(1)", "Destination port of the first packet; 0 without ports and in fragments."),
    Column("protocol", pa.uint8(), "UInt8", "ZSTD(1)", "IANA protocol number."),
    Column("vlan", pa.uint16(), "UInt16", "ZSTD(1)", "Outermost 802.1Q VLAN id, else 0."),
    Column("icmp_type", pa.uint8(), "UInt8", "ZSTD(1)", "ICMP or ICMPv6 type of the first packet, else 0."),
    Column("icmp_code", pa.uint8(), "UInt8", "ZSTD(1)", "ICMP or ICMPv6 code of the first packet, else 0."),
    Column("start_ns", pa.int64(), "Int64", "DoubleDelta, ZSTD(1)", "Event time of the first packet, ns since the Unix epoch, UTC."),
    Column("end_ns", pa.int64(), "Int64", "DoubleDelta, ZSTD(1)", "Newest event time of its packets, ns since the Unix epoch, UTC."),
    Column("first_frame", pa.uint64(), "UInt64", "Delta, ZSTD(1)", "Number of its first frame in the capture."),
    Column("last_frame", pa.uint64(), "UInt64", "Delta, ZSTD(1)", "Number of its last frame in the capture."),
    Column("fwd_packets", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Packets in the direction of the first one."),
    Column("bwd_packets", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Packets in the other direction."),
    Column("fwd_bytes", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Bytes of these frames on the wire, forward."),
    Column("bwd_bytes", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Bytes of these frames on the wire, backward."),
    Column("since_frame", pa.uint64(), "UInt64", "Delta, ZSTD(1)", "Its packets up to last_frame that are new in this record have numbers from here on."),
    Column("new_fwd_packets", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Packets forward since the flow's record before this one: over all records of all flows, each packet counts once."),
    Column("new_bwd_packets", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Packets backward since then."),
    Column("features", FEATURE_VECTOR, "Array(Float32)", "ZSTD(1)", "The 78 features, in the order of FEATURE_NAMES; microseconds and bytes."),
)  # fmt: skip
"""Columns of a batch on the ``flows`` topic, in order."""

FLOW_SCHEMA: pa.Schema = arrow_schema(FLOW_COLUMNS)
"""Arrow schema of a batch on the ``flows`` topic."""

STORED_FLOW_COLUMNS: tuple[Column, ...] = (
    Column("capture_id", pa.dictionary(pa.int8(), pa.string()), "LowCardinality(String)", "", "The capture it belongs to."),
    *FLOW_COLUMNS,
)  # fmt: skip
"""Columns of the ``flows`` table: the topic's, and what storage adds."""

STORED_FLOW_SCHEMA: pa.Schema = arrow_schema(STORED_FLOW_COLUMNS)
"""Arrow schema of what is inserted into ``flows``."""
