"""Closed sets of values, each declared once."""

from __future__ import annotations

from enum import IntEnum, IntFlag, StrEnum


class BatchKind(StrEnum):
    """What a message on the ``packets`` topic is."""

    DATA = "data"
    """A record batch of packets."""
    PROGRESS = "progress"
    """No packets for this partition, but the capture's clock has moved."""
    END = "end"
    """The capture is over; whatever is still open is flushed."""


class AnalysisKind(StrEnum):
    """What a message on the ``anomalies`` or ``baselines`` topic is."""

    DATA = "data"
    """Rows (Arrow)."""
    CORRECTION = "correction"
    """Windows that late packets changed (Arrow); the anomalies found in them now come before."""
    RUN = "run"
    """Where an analysis run stands (JSON); the anomalies it found come before."""
    END = "end"
    """The capture has been judged to its end; the body is its ledger (JSON)."""


class DecodeStatus(IntEnum):
    """How far a packet could be decoded; everything but ``OK`` is a reason in the loss ledger.

    A packet that cannot be decoded is still one row: it has its time and its length.
    """

    OK = 0
    UNSUPPORTED_LINK_TYPE = 1
    """The interface's link type is not one we decode."""
    TRUNCATED_LINK = 2
    """The captured bytes end inside the link-layer header (or the tags and labels behind it)."""
    TRUNCATED_NETWORK = 3
    """The captured bytes end inside the IPv4/IPv6/ARP header or its extension headers."""
    TRUNCATED_TRANSPORT = 4
    """The captured bytes end inside the TCP/UDP/ICMP header."""
    MALFORMED_NETWORK = 5
    """The IP header contradicts itself (version, header length, total length)."""
    MALFORMED_TRANSPORT = 6
    """The transport header contradicts itself (data offset, UDP length)."""
    UNKNOWN_NETWORK = 7
    """Not IP and not ARP (LLDP, STP, …): nothing wrong with it, only nothing to decode."""


class Tunnel(IntEnum):
    """The outermost tunnel that was taken off to reach the packet described."""

    NONE = 0
    GRE = 1
    ERSPAN = 2
    VXLAN = 3
    IP_IN_IP = 4
    """IPv4 or IPv6 directly in IPv4 or IPv6 (protocol numbers 4 and 41)."""


class Fragment(IntEnum):
    """Which part of a fragmented IP datagram a packet is."""

    NONE = 0
    FIRST = 1
    LATER = 2
    """Has no transport header; its ports are 0."""


class TcpAnalysis(IntFlag):
    """Wireshark's verdicts on a TCP segment (``tcp.analysis.*``)."""

    RETRANSMISSION = 1 << 0
    FAST_RETRANSMISSION = 1 << 1
    SPURIOUS_RETRANSMISSION = 1 << 2
    OUT_OF_ORDER = 1 << 3
    LOST_SEGMENT = 1 << 4
    ACK_LOST_SEGMENT = 1 << 5
    KEEP_ALIVE = 1 << 6
    KEEP_ALIVE_ACK = 1 << 7
    DUPLICATE_ACK = 1 << 8
    ZERO_WINDOW = 1 << 9
    ZERO_WINDOW_PROBE = 1 << 10
    ZERO_WINDOW_PROBE_ACK = 1 << 11
    WINDOW_UPDATE = 1 << 12
    WINDOW_FULL = 1 << 13
    REUSED_PORTS = 1 << 14


class CaptureState(StrEnum):
    """Where a capture stands."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


class Hop(StrEnum):
    """A stage that packets pass, in order; the loss ledger has a row for each."""

    NIC = "nic"
    """Frames that the interface of a live capture received; in, with those that it dropped."""
    KERNEL = "kernel"
    """Frames that the kernel had for a live capture, behind its filter; out, those that found room in the ring."""
    READ = "read"
    """Frames found in the file or taken from the port."""
    RECORD = "record"
    """Frames of a live capture that were to be written to disk; out, those that were."""
    DECODE = "decode"
    """Frames turned into packet rows, by decode status."""
    SAMPLE = "sample"
    """Packet rows of a live capture; out, those of the flows that were kept while it was overloaded."""
    PRODUCE = "produce"
    """Packet rows acknowledged by Kafka."""
    WINDOWS = "windows"
    """Packet rows taken from Kafka and put into partial windows."""
    MERGE = "merge"
    """Packets counted in merged windows."""
    STORE = "store"
    """Packet rows acknowledged by ClickHouse."""
    ANALYSIS = "analysis"
    """Packets of the windows that were judged: in, what the windows counted; out, what was judged."""
    FLOWS = "flows"
    """Packet rows taken from Kafka; out, those of the flows that were written, and those that no flow can have."""
    CLASSIFICATIONS = "classifications"
    """Packets that the flows stage handed on; out, those whose flows were judged, or for a reason could not be."""


LIVE_HOPS = frozenset({Hop.NIC, Hop.KERNEL, Hop.RECORD, Hop.SAMPLE})
"""Hops that only a live capture has, and not each of them."""


class Align(StrEnum):
    """Where window 0 of a capture begins."""

    FIRST_PACKET = "first-packet"
    """At the first packet: what a file does unless told otherwise."""
    EPOCH = "epoch"
    """At a multiple of the window size since 1970: what a port does, so that captures of one time agree."""


class AnomalyType(StrEnum):
    """The documented types of anomalies."""

    TRAFFIC_SPIKE = "traffic_spike"
    """Far more traffic than usual, or far less."""
    PORT_SCAN = "port_scan"
    """One source tries many ports of a host, or many hosts on a port; also slowly."""
    HIGH_LATENCY = "high_latency"
    """Round trips take far longer than usual."""
    PACKET_LOSS = "packet_loss"
    """Many data segments are retransmitted."""
    PROTOCOL_ANOMALY = "protocol_anomaly"
    """A protocol's share is far from usual: it appears, grows or vanishes."""
    LONG_LIVED_CONN = "long_lived_conn"
    """A connection is far older than connections usually get."""


class Severity(StrEnum):
    """How bad an anomaly is."""

    MEDIUM = "medium"
    HIGH = "high"


class BaselineKind(StrEnum):
    """What a baseline is about."""

    BANDWIDTH = "bandwidth"
    """Bytes per second."""
    LATENCY = "latency"
    """Mean round trip of a window, ms."""
    PROTOCOL = "protocol"
    """Share of packets by named protocol."""
    CONNECTION = "connection"
    """Connections of a window, and how old connections get."""


class RunKind(StrEnum):
    """What an analysis run does."""

    DETECT = "detect"
    """Judges stored windows again."""
    GENERATE = "generate"
    """Learns baselines from stored windows."""


class RunState(StrEnum):
    """Where an analysis run stands."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


class FlowEnd(StrEnum):
    """Why a flow record was written."""

    FIN = "fin"
    """Both sides have sent FIN."""
    RST = "rst"
    """One side has sent RST."""
    TIMEOUT = "timeout"
    """A packet came when the flow had lasted for the longest time a flow may; it begins the next one."""
    IDLE = "idle"
    """Nothing came for too long."""
    EVICTED = "evicted"
    """The table was full."""
    END_OF_CAPTURE = "end_of_capture"
    """The capture ended first."""
    INTERIM = "interim"
    """A window was over and the flow was not."""


class FlowMode(StrEnum):
    """Whose definition of a flow and of its features is followed; see docs/flows.md."""

    CORRECTED = "corrected"
    """That of the corrected CICIDS2017 (Liu, Engelen et al., CNS 2022)."""
    COMPATIBLE = "compatible"
    """That of CICFlowMeter as it was in early 2018, with its faults."""
    COMPATIBLE_2020 = "compatible-2020"
    """That of CICFlowMeter as it was in 2020, with its faults."""


class ModelRole(StrEnum):
    """What a model is there for."""

    CHAMPION = "champion"
    """Its verdicts count."""
    CHALLENGER = "challenger"
    """It judges the same flows, and only that is compared."""


class DriftSignal(StrEnum):
    """What is watched of a model; each is a share, and a window's value is its mean over the window's verdicts."""

    CONFIDENCE = "confidence"
    """Calibrated probability of the verdict: it falls where flows are unlike those the model knows."""
    OUTSIDE = "outside"
    """Share of a flow's features that lie beyond the range of the training data."""


class Threat(StrEnum):
    """How a packet is to be taken; see ``schemas.verdicts``."""

    BENIGN = "BENIGN"
    """Threat score below 40."""
    SUSPICIOUS = "SUSPICIOUS"
    """From 40 on."""
    MALICIOUS = "MALICIOUS"
    """From 80 on."""
