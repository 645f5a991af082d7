"""Flow features against CICFlowMeter's own output, and flows against what tshark reads from the same frames."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.flow_parity import PAIRS, Pair, compare, metered
from schemas.enums import FlowMode
from schemas.flows import FEATURE_NAMES
from streams.flow_rules import FlowRules
from tests.shared_data import shared_data
from tests.tshark import is_tshark_missing, read_fields, write_profile

DATA = shared_data()
needs_data = pytest.mark.skipif(DATA is None, reason="the public captures are not here")
needs_tshark = pytest.mark.skipif(is_tshark_missing(), reason="tshark is not installed")

CAPTURES = (
    "cicflowmeter/slowloris/slowloris.pcap",
    "cicflowmeter/official/test.pcap",
    "attacks/ftp_bruteforce/bruteforce.pcap",
    "attacks/ssh_bruteforce/sshguess.pcap",
    "attacks/dos_hulk/hulk.pcap",
    "attacks/portscan/nmap-vsn.pcap",
    "attacks/botnet_malware/emotet.pcap",
)
FIELDS = (
    *("frame.time_epoch", "frame.len", "ip.src", "ip.dst", "tcp.srcport", "tcp.dstport"),
    *("tcp.len", "tcp.hdr_len", "tcp.flags"),
)


@needs_data
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.table)
def test_every_feature_of_every_flow_is_cicflowmeters(pair: Pair) -> None:
    assert DATA is not None
    parity = compare(pair, pair.mode, DATA / "cicflowmeter")
    assert parity.flows > 90
    assert (parity.unmatched, parity.extra) == (0, 0)
    assert {name: int(count) for name, count in zip(FEATURE_NAMES, parity.differs, strict=True) if count} == {}


@needs_data
def test_the_corrected_mode_differs_from_cicflowmeter() -> None:
    assert DATA is not None
    assert not compare(PAIRS[0], FlowMode.CORRECTED, DATA / "cicflowmeter").is_perfect


@needs_data
@needs_tshark
@pytest.mark.parametrize("name", CAPTURES)
def test_counts_sizes_and_times_are_those_that_tshark_reads(name: str, tmp_path: Path) -> None:
    assert DATA is not None
    frames, complaints = read_fields(DATA / name, FIELDS, write_profile(tmp_path))
    assert complaints == ""
    ends: defaultdict[frozenset[tuple[str, str]], list[int]] = defaultdict(list)
    for number, frame in enumerate(frames, 1):
        if frame["tcp.srcport"]:
            source, target = ((frame[f"ip.{end}"][0], frame[f"tcp.{end}port"][0]) for end in ("src", "dst"))
            ends[frozenset([source, target])].append(number)
    records = [record for record in metered(DATA / name, FlowRules()).to_pylist() if record["protocol"] == 6]
    assert records
    for record in records:
        source, target = ((ip_of(record[f"{end}_ip"]), str(record[f"{end}_port"])) for end in ("src", "dst"))
        numbers = [number for number in ends[frozenset([source, target])] if is_in(record, number)]
        assert_same(record, [frames[number - 1] for number in numbers], source)


def is_in(record: dict[str, Any], number: int) -> bool:
    return bool(record["first_frame"] <= number <= record["last_frame"])


def ip_of(octets: bytes) -> str:
    return ".".join(str(octet) for octet in octets[12:])


def assert_same(record: dict[str, Any], frames: list[dict[str, list[str]]], source: tuple[str, str]) -> None:
    ours = dict(zip(FEATURE_NAMES, record["features"], strict=True))
    is_forward = [(frame["ip.src"][0], frame["tcp.srcport"][0]) == source for frame in frames]
    payload = np.array([int(frame["tcp.len"][0]) for frame in frames])
    header = np.array([int(frame["tcp.hdr_len"][0]) for frame in frames])
    flags = np.array([int(frame["tcp.flags"][0], 16) for frame in frames])
    # A packet from before its predecessor comes 0 us after it.
    times_us = np.maximum.accumulate([int(frame["frame.time_epoch"][0].replace(".", "")) // 1000 for frame in frames])
    forward = np.array(is_forward)
    expected: dict[str, float] = {
        "Total Fwd Packets": forward.sum(),
        "Total Backward Packets": (~forward).sum(),
        "Total Length of Fwd Packets": payload[forward].sum(),
        "Total Length of Bwd Packets": payload[~forward].sum(),
        "Max Packet Length": payload.max(),
        "Packet Length Std": payload.std(ddof=1) if len(frames) > 1 else 0,
        "Fwd Header Length": header[forward].sum(),
        "SYN Flag Count": (flags & 2 != 0).sum(),
        "PSH Flag Count": (flags & 8 != 0).sum(),
        "Bwd PSH Flags": (flags[~forward] & 8 != 0).sum(),
        "ECE Flag Count": (flags & 64 != 0).sum(),
        "Flow Duration": times_us[-1] - times_us[0],
    }
    for name, chosen in {"Flow": forward | True, "Fwd": forward, "Bwd": ~forward}.items():
        gaps = np.diff(times_us[chosen])
        expected[f"{name} IAT Max"] = gaps.max(initial=0)
        expected[f"{name} IAT Mean"] = gaps.mean() if len(gaps) else 0
        expected[f"{name} IAT Std"] = gaps.std(ddof=1) if len(gaps) > 1 else 0
    for name, value in expected.items():
        assert ours[name] == pytest.approx(value, rel=1e-6, abs=1e-3), name
    assert record["fwd_bytes"] + record["bwd_bytes"] == sum(int(frame["frame.len"][0]) for frame in frames)
