"""The bundled capture, seen by tshark, against its labels."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from lab.labels import BENIGN, CLASSES, Label, Packet, label_of, read_labels
from lab.pcap import frames, read_packets

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
CAPTURE, LABELS = SAMPLES / "mixed.pcap.gz", SAMPLES / "mixed.labels.csv"
ATTACKERS = {"10.77.0.66", "10.77.0.67", *(f"10.77.0.{number}" for number in range(201, 207))}
_FIELDS = ("frame.time_epoch", "ip.src", "ip.dst", "ip.proto", "ipv6.src", "ipv6.dst", "ipv6.nxt")
_PORTS = ("tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "icmpv6.type")

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def tshark(*arguments: str) -> list[str]:
    command = ["tshark", "-n", "-r", str(CAPTURE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def count(display_filter: str) -> int:
    return len(tshark("-Y", display_filter, "-T", "fields", "-e", "frame.number"))


@functools.cache
def labels() -> list[Label]:
    return read_labels(LABELS)


@functools.cache
def packets() -> list[Packet]:
    """Return the IP packets as tshark reads them; of nested headers the outer ones."""
    wanted = [word for name in (*_FIELDS, *_PORTS) for word in ("-e", name)]
    lines = tshark("-T", "fields", "-E", "occurrence=f", *wanted)
    rows = (dict(zip((*_FIELDS, *_PORTS), line.split("\t"), strict=True)) for line in lines)
    return [packet for row in rows if (packet := packet_of(row)) is not None]


def packet_of(row: dict[str, str]) -> Packet | None:
    is_ipv4 = bool(row["ip.src"])
    if not is_ipv4 and not row["ipv6.src"]:
        return None
    seconds, nanoseconds = row["frame.time_epoch"].split(".")
    protocol = int(row["ip.proto"] if is_ipv4 else 58 if row["icmpv6.type"] else row["ipv6.nxt"])
    kind = {6: "tcp", 17: "udp"}.get(protocol)
    ports = (int(row[f"{kind}.srcport"]), int(row[f"{kind}.dstport"])) if kind else (0, 0)
    ends = (row["ip.src"], row["ip.dst"]) if is_ipv4 else (row["ipv6.src"], row["ipv6.dst"])
    return Packet(int(seconds) * 1_000_000_000 + int(nanoseconds), *ends, *ports, protocol)


@functools.cache
def by_class() -> dict[str, list[Packet]]:
    found: dict[str, list[Packet]] = {name: [] for name in CLASSES}
    for packet in packets():
        row = label_of(packet, labels())
        assert row is not None, packet
        found[row.class_name].append(packet)
    return found


def test_the_labs_reader_and_tshark_see_the_same_packets() -> None:
    assert read_packets(CAPTURE) == packets()


def test_the_capture_is_small_and_minutes_long() -> None:
    stamps = [ts_ns for ts_ns, _ in frames(CAPTURE)]
    assert 20_000 <= len(stamps) <= 60_000
    assert (max(stamps) - min(stamps)) / 10e9 >= 20
    assert CAPTURE.stat().st_size <= 4_000_000


def test_every_class_occurs() -> None:
    counts = Counter({name: len(found) for name, found in by_class().items()})
    assert min(counts.values()) > 0, counts
    assert counts[BENIGN] > 10_000


def test_the_counts_of_the_page_are_those_of_the_capture() -> None:
    page = (SAMPLES / "README.md").read_text(encoding="utf-8")
    rows = {
        name: int(number.replace(",", "")) for name, number in re.findall(r"^\| ([^|`]+?) \| ([\d,]+) \|", page, re.M)
    }
    assert rows == {name: len(found) for name, found in by_class().items()}


def test_every_row_but_the_last_names_somebody() -> None:
    *named, everything = labels()
    assert all(row.src_ip and row.dst_ip for row in named)
    assert everything.class_name == BENIGN
    assert everything.src_ip is None


def test_nothing_an_attacking_host_says_over_ip_is_benign() -> None:
    benign = [p for p in by_class()[BENIGN] if {p.src_ip, p.dst_ip} & ATTACKERS]
    assert benign == []


def test_ordinary_work_goes_on_during_every_attack() -> None:
    for row in labels()[:-1]:
        if row.class_name not in (BENIGN, "Bot") and row.end_ns - row.start_ns > 5_000_000_000:
            assert any(row.start_ns <= p.ts_ns < row.end_ns for p in by_class()[BENIGN]), row


def test_both_address_families_and_several_services_occur() -> None:
    hierarchy = "\n".join(tshark("-q", "-z", "io,phs"))
    found = dict(re.findall(r"^ +([a-z0-9]+) +frames:(\d+)", hierarchy, re.MULTILINE))
    assert {"ip", "ipv6", "tcp", "udp", "dns", "http", "tls", "ssh", "ftp", "arp", "icmpv6"} <= found.keys()
    assert count("ipv6 && tcp") > 1000


def test_checksums_are_those_of_the_wire() -> None:
    lines = tshark("-o", "tcp.check_checksum:TRUE", "-T", "fields", "-e", "tcp.checksum.status")
    statuses = Counter(line for line in lines if line)
    assert statuses["0"] == 0, "bad checksums: offload was on"
    assert statuses["1"] > 10_000


def test_the_bad_link_makes_retransmissions_and_round_trips_worth_measuring() -> None:
    bob = "(ip.addr == 10.77.0.22 || ipv6.addr == fd00:77::22)"
    assert count(f"tcp.analysis.retransmission && {bob}") > 50
    # A host that had to wait for its processor may probe its tail once in a while.
    assert count(f"tcp.analysis.retransmission && !{bob}") < 20
    times = tshark(
        "-Y", "tcp.analysis.initial_rtt && ip.src == 10.77.0.22", "-T", "fields", "-e", "tcp.analysis.initial_rtt"
    )
    assert median(float(value) for value in times if value) > 0.03


def test_the_port_scan_touches_hundreds_of_ports() -> None:
    probes = [p for p in by_class()["PortScan"] if p.src_ip == "10.77.0.66"]
    assert len({p.dst_port for p in probes}) >= 300


def test_the_guesses_are_many_connections_to_one_port() -> None:
    for name, port in (("SSH-Patator", 22), ("FTP-Patator", 21), ("Web Attack – Brute Force", 80)):
        guesses = by_class()[name]
        assert {port} == {min(p.src_port, p.dst_port) for p in guesses}
        assert len({p.conversation for p in guesses}) >= 4


def test_the_flood_comes_from_six_addresses() -> None:
    flood = by_class()["DDoS"]
    assert len({p.src_ip for p in flood} - {"10.77.0.10"}) == 6
    assert len(flood) > 5000


def test_slow_attacks_keep_their_connections_for_seconds() -> None:
    for name in ("DoS slowloris", "DoS Slowhttptest"):
        spans: dict[object, list[int]] = {}
        for p in by_class()[name]:
            spans.setdefault(p.conversation, []).append(p.ts_ns)
        assert median(max(times) - min(times) for times in spans.values()) > 5e9, name


@pytest.mark.parametrize(
    ("class_name", "words"),
    [("Web Attack – Sql Injection", "UNION%20SELECT"), ("Web Attack – XSS", "%3Cscript%3E")],
)
def test_the_payload_of_a_web_attack_is_inside_its_label_and_nowhere_else(class_name: str, words: str) -> None:
    pattern = f'http.request.uri contains "{words}"'
    stamps = [line.replace(".", "") for line in tshark("-Y", pattern, "-T", "fields", "-e", "frame.time_epoch")]
    assert len(stamps) >= 3
    assert {int(ts_ns) for ts_ns in stamps} <= {p.ts_ns for p in by_class()[class_name]}


def test_the_beacon_reports_every_ten_seconds() -> None:
    starts: dict[object, int] = {}
    for p in by_class()["Bot"]:
        starts.setdefault(p.conversation, p.ts_ns)
    times = sorted(starts.values())
    gaps_s = [(later - sooner) / 1e9 for sooner, later in pairwise(times)]
    assert len(gaps_s) >= 20
    assert 9 < median(gaps_s) < 11


def test_a_heartbeat_answer_is_far_longer_than_its_question() -> None:
    leak = by_class()["Heartbleed"]
    assert count("tls.record.content_type == 24 && ip.src == 10.77.0.66") >= 1
    assert sum(p.src_ip == "10.77.0.10" for p in leak) > 30
