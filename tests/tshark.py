"""tshark as the reference decoder: what it reads from a capture, field by field."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

DECODED_PROTOCOLS = frozenset(
    {
        *("eth", "vlan", "ieee8021ad", "mpls", "pwethheuristic", "pwethcw", "llc", "pppoes", "ppp"),
        *("null", "loop", "raw", "sll", "ethertype", "ip", "ipv6", "arp", "ah", "mipv6", "hip", "shim6"),
        *("ipv6.hopopts", "ipv6.routing", "ipv6.fraghdr", "ipv6.dstopts", "ipv6.routing.type.rt0"),
        *("ipv6.routing.type.mipv6", "ipv6.routing.type.srh", "ipv6.routing.type.crh"),
        *("tcp", "udp", "udplite", "sctp", "icmp", "icmpv6", "gre", "erspan", "vxlan"),
    }
)
"""What our decoder takes apart. Everything else is switched off in tshark, so that both see the same layers."""

_PREFERENCES = (
    "ip.defragment:FALSE",
    "ipv6.defragment:FALSE",
    "tcp.desegment_tcp_streams:FALSE",
    "tcp.analyze_sequence_numbers:FALSE",
    "sctp.reassembly:FALSE",
)


def is_tshark_missing() -> bool:
    """Whether this machine has no tshark."""
    return shutil.which("tshark") is None


def write_profile(folder: Path) -> Path:
    """Write a Wireshark configuration that decodes ``DECODED_PROTOCOLS`` only, and return its folder."""
    listed = subprocess.run(["tshark", "-G", "protocols"], capture_output=True, text=True, check=True)
    names = {line.split("\t")[2] for line in listed.stdout.splitlines()}
    (folder / "disabled_protos").write_text("\n".join(sorted(names - DECODED_PROTOCOLS)) + "\n")
    return folder


def read_fields(path: Path, fields: Sequence[str], profile: Path) -> tuple[list[dict[str, list[str]]], str]:
    """Return each frame's fields (all their values, from the outside in), and what tshark complained about."""
    arguments = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", "separator=/t"]
    for preference in _PREFERENCES:
        arguments += ["-o", preference]
    for field in fields:
        arguments += ["-e", field]
    environment = {**os.environ, "WIRESHARK_CONFIG_DIR": str(profile)}
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    frames = [
        {field: value.split(",") if value else [] for field, value in zip(fields, row, strict=True)} for row in rows
    ]
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("Running as user")]
    return frames, "\n".join(complaints)
