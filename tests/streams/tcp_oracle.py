"""TCP segments made by hand, as packets for our tracker and as a capture file for tshark."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.enums import TcpAnalysis
from schemas.packets import NO_WINDOW_SCALE, PACKET_COLUMNS
from streams.packets import Packets

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

TSHARK = shutil.which("tshark")

_FIELDS = (
    "frame.number",
    "tcp.stream",
    "tcp.analysis.ack_rtt",
    "tcp.analysis.initial_rtt",
    *(f"tcp.analysis.{verdict.name.lower()}" for verdict in TcpAnalysis if verdict.name),
)


@dataclass(frozen=True)
class Segment:
    """One TCP segment of a conversation between two hosts; the client is the one with port 50001."""

    at_us: int
    from_client: bool
    flags: int
    seq: int
    ack: int = 0
    length: int = 0
    window: int = 1000
    scale: int | None = None
    conversation: int = 0

    @property
    def endpoints(self) -> tuple[bytes, int, bytes, int]:
        """Source address, source port, destination address, destination port."""
        client = bytes([10, 1, self.conversation >> 8, self.conversation & 255]), 50001
        server = bytes([10, 2, self.conversation >> 8, self.conversation & 255]), 50002
        return (*client, *server) if self.from_client else (*server, *client)

    @property
    def ts_ns(self) -> int:
        """Event time, ns since the epoch."""
        return 1_700_000_000_000_000_000 + self.at_us * 1000

    def frame(self) -> bytes:
        """Return the segment as an IPv4 packet."""
        src, src_port, dst, dst_port = self.endpoints
        options = b"" if self.scale is None else bytes([3, 3, self.scale, 1])
        header = struct.pack(
            ">HHIIHHHH",
            src_port,
            dst_port,
            self.seq & 0xFFFFFFFF,
            self.ack & 0xFFFFFFFF,
            (20 + len(options)) // 4 << 12 | self.flags,
            self.window,
            0,
            0,
        )
        body = header + options + bytes(self.length)
        return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, 6, 0, src, dst) + body


def blank_packets(n_packets: int) -> Packets:
    """Return packets whose every column is zero."""
    columns = {}
    for column in PACKET_COLUMNS:
        is_address = column.name in ("src_ip", "dst_ip")
        dtype = np.uint8 if is_address else column.arrow.to_pandas_dtype()
        columns[column.name] = np.zeros((n_packets, 16) if is_address else n_packets, dtype)
    return Packets(**columns)


def packets_of(segments: Sequence[Segment]) -> Packets:
    """Return the segments as decoding would."""
    packets = blank_packets(len(segments))
    packets.src_ip[:, 10:12] = 255
    packets.dst_ip[:, 10:12] = 255
    packets.protocol[:] = 6
    packets.l4_header_bytes[:] = 20
    packets.tcp_window_scale[:] = NO_WINDOW_SCALE
    for row, segment in enumerate(segments):
        src, packets.src_port[row], dst, packets.dst_port[row] = segment.endpoints
        packets.src_ip[row, 12:] = list(src)
        packets.dst_ip[row, 12:] = list(dst)
        packets.ts_ns[row] = segment.ts_ns
        packets.tcp_flags[row] = segment.flags
        packets.tcp_seq[row] = segment.seq & 0xFFFFFFFF
        packets.tcp_ack[row] = segment.ack & 0xFFFFFFFF
        packets.tcp_window_bytes[row] = segment.window
        packets.payload_bytes[row] = segment.length
        if segment.scale is not None:
            packets.tcp_window_scale[row] = segment.scale
    return packets


def write_capture(path: Path, segments: Sequence[Segment]) -> None:
    """Write the segments as a pcap file with nanoseconds and raw IP."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101))
        for segment in segments:
            frame = segment.frame()
            seconds, nanoseconds = divmod(segment.ts_ns, 1_000_000_000)
            file.write(struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)


@dataclass(frozen=True)
class Verdicts:
    """What tshark says of the TCP frames of a capture, one element per frame it takes for TCP.

    Attributes
    ----------
    frame : ndarray of int64
        Frame numbers, from 1.
    stream : ndarray of int64
        ``tcp.stream``.
    analysis : ndarray of uint16
        Bits of ``TcpAnalysis``.
    ack_rtt_ns : ndarray of int64
        -1 without one.
    initial_rtt_ns : ndarray of int64
        On the first frame of a stream that shows it, else -1.
    """

    frame: NDArray[np.int64]
    stream: NDArray[np.int64]
    analysis: NDArray[np.uint16]
    ack_rtt_ns: NDArray[np.int64]
    initial_rtt_ns: NDArray[np.int64]


def _nanoseconds(text: str) -> int:
    whole, _, fraction = text.partition(".")
    value = abs(int(whole)) * 1_000_000_000 + int(fraction.ljust(9, "0"))
    return -value if text.startswith("-") else value


def tshark_verdicts(path: Path) -> Verdicts:
    """Ask tshark, in one pass and with its default preferences, about the innermost TCP layer of each frame."""
    fields = [argument for field in _FIELDS for argument in ("-e", field)]
    command = [str(TSHARK), "-n", "-r", str(path), "-Y", "tcp && !icmp && !icmpv6", "-T", "fields"]
    done = subprocess.run(
        [*command, "-E", "occurrence=l", *fields], capture_output=True, text=True, check=False, timeout=120
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    told: set[str] = set()
    initial_rtt_ns = []
    for row in rows:
        initial_rtt_ns.append(_nanoseconds(row[3]) if row[3] and row[1] not in told else -1)
        if row[3]:
            told.add(row[1])
    bits = [sum(1 << bit for bit, shown in enumerate(row[4:]) if shown) for row in rows]
    return Verdicts(
        frame=np.array([int(row[0]) for row in rows], np.int64),
        stream=np.array([int(row[1]) for row in rows], np.int64),
        analysis=np.array(bits, np.uint16),
        ack_rtt_ns=np.array([_nanoseconds(row[2]) if row[2] else -1 for row in rows], np.int64),
        initial_rtt_ns=np.array(initial_rtt_ns, np.int64),
    )
