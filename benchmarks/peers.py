"""The tools that spanwatch is compared with, each as a child process over the same file."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.measured import Measured
from benchmarks.processes import TreeWatch

NFSTREAM = "nfstream with statistics"
NFSTREAM_BARE = "nfstream with statistics, no DPI"
TSHARK = "tshark -T fields"

TSHARK_FIELDS = (
    "frame.number",
    "frame.time_epoch",
    "frame.len",
    "frame.cap_len",
    "eth.type",
    "vlan.id",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "ip.proto",
    "ip.ttl",
    "ip.hdr_len",
    "tcp.srcport",
    "tcp.dstport",
    "udp.srcport",
    "udp.dstport",
    "tcp.flags",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.window_size_value",
    "tcp.len",
    "tcp.hdr_len",
    "icmp.type",
    "icmp.code",
    "tcp.analysis.ack_rtt",
    "tcp.analysis.initial_rtt",
    "tcp.analysis.retransmission",
)
"""What a row of ``packet_logs`` and the TCP analysis hold, in tshark's words."""

_NFSTREAM_SCRIPT = """
import sys
import time

from nfstream import NFStreamer

if __name__ == "__main__":
    began_s, packets = time.perf_counter(), 0
    streamer = NFStreamer(
        source=sys.argv[1], statistical_analysis=True, n_dissections=int(sys.argv[2]), performance_report=0
    )
    for flow in streamer:
        packets += flow.bidirectional_packets
    print(packets, time.perf_counter() - began_s)
"""


def missing(tool: str) -> str | None:
    """Return why a peer cannot be measured here, or None."""
    if tool == TSHARK:
        return None if shutil.which("tshark") else "tshark is not installed"
    return None if importlib.util.find_spec("nfstream") else "nfstream is not installed (pip install nfstream)"


def measure_peer(tool: str, path: Path, packets: int, folder: Path) -> Measured:
    """Let a peer read the whole file.

    Raises
    ------
    RuntimeError
        When it fails.
    """
    if tool == TSHARK:
        fields = [word for name in TSHARK_FIELDS for word in ("-e", name)]
        return _child(["tshark", "-n", "-r", str(path), "-T", "fields", *fields], packets)
    script = folder / "nfstream_run.py"
    script.write_text(_NFSTREAM_SCRIPT)
    dissections = "0" if tool == NFSTREAM_BARE else "20"
    output = folder / "nfstream.out"
    with output.open("wb") as out:
        measured = _child([sys.executable, str(script), str(path), dissections], packets, out.fileno())
    # Its own clock: importing it takes a second, which is not reading packets.
    return replace(measured, seconds=float(output.read_text().split()[-1]))


def _child(command: Sequence[str], packets: int, stdout: int = subprocess.DEVNULL) -> Measured:
    began_s = time.perf_counter()
    process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL)
    with TreeWatch(process.pid) as watch:
        # Not Popen.wait: the processor time of this child and of its own children is wanted.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with status {process.returncode}")
    return Measured(
        packets=packets,
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes={"all processes": watch.peak_total_bytes},
    )
