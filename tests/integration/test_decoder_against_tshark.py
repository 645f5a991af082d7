"""Our frames and packets are tshark's, capture by capture.

Every capture of the corpus takes tshark five minutes, so by default one in eight is compared, and all those on
which the two have ever differed. With ``SPANWATCH_FULL_CORPUS=1`` all are.
"""

from __future__ import annotations

import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zlib import crc32

import pytest

from schemas.enums import DecodeStatus, Fragment
from schemas.errors import CaptureFormatError
from tests.shared_data import shared_data
from tests.streams.builders import ethernet, ipv4, pcap_file, tcp, udp, vxlan
from tests.tshark import is_tshark_missing, write_profile
from tests.tshark_packets import FRAME_COLUMNS, Row, our_rows, tshark_rows

pytestmark = pytest.mark.skipif(is_tshark_missing(), reason="tshark is not installed")

_SAMPLE = 8
_ADDRESSES = frozenset({"src_ip", "dst_ip", "protocol"})

KNOWN_DIFFERENCES: dict[str, tuple[frozenset[str], str]] = {
    "ipv6-mobility-dst-opts.pcap": (
        frozenset({"src_port", "dst_port"}),
        "an option runs over the end of its header: tshark gives up there, we skip options by the header's length",
    ),
    "ipv4-internally-truncated-header.pcap": (
        _ADDRESSES,
        "the frame ends inside the IP options: tshark shows the source address only, we both",
    ),
    "mpls-6in6-broken.pcap.gz": (
        _ADDRESSES,
        "the frame ends inside the IP options: tshark shows the source address only, we both",
    ),
}
"""Files on which columns differ, and why; docs/decoding.md says so too."""

REGRESSIONS = frozenset(
    {
        *KNOWN_DIFFERENCES,
        *("dns-edns-ecs-bad.pcap", "linux_dlt_sll2.pcap", "pppoe-over-qinq.pcap", "383379789-decrypt-crash.pcap"),
        *("gre-over-udp-4754.pcap", "gre-pptp.pcap", "gtp_ext_header.pcap", "ip6-trunc.pcap"),
        *("mpls-6in6-6in6-4in6-trunc.pcap", "mpls-6in6-6in6-4in6-invalid-version-4.pcap", "vxlan.pcap"),
    }
)
"""Compared every time: on these the two have differed before."""


@pytest.fixture(scope="session")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_profile(tmp_path_factory.mktemp("wireshark"))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shared = shared_data()
    if shared is None:
        pytest.skip("the public captures are not on this machine")
    folder = tmp_path_factory.mktemp("corpus")
    with tarfile.open(shared / "corpus" / "captures.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def _is_compared(path: Path) -> bool:
    if os.environ.get("SPANWATCH_FULL_CORPUS") == "1" or path.name in REGRESSIONS:
        return True
    return crc32(path.name.encode()) % _SAMPLE == 0


def _compared_columns(ours: Row, theirs: Row, name: str) -> list[str]:
    """Return the columns in which the two must agree on a frame."""
    if ours["decode_status"] == DecodeStatus.UNSUPPORTED_LINK_TYPE:
        return list(FRAME_COLUMNS)
    columns = set(theirs) - KNOWN_DIFFERENCES.get(name, (frozenset(), ""))[0]
    is_part = ours["fragment"] == Fragment.FIRST or ours["decode_status"] == DecodeStatus.MALFORMED_TRANSPORT
    if ours["protocol"] == 17 and is_part:
        # tshark shows what the UDP header says about the whole datagram, we what of it is in this packet.
        columns -= {"payload_bytes"}
    return sorted(columns)


def _differences(path: Path, profile: Path) -> list[str]:
    theirs, complaints = tshark_rows(path, profile)
    try:
        ours = our_rows(path)
    except CaptureFormatError as error:
        # tshark also dissects text and other files that are no captures of frames.
        return [] if path.suffix in (".cbordiag", ".txt", ".log", "") else [f"{path.name}: {error} {complaints}"]
    if len(ours) != len(theirs):
        return [f"{path.name}: {len(ours)} frames, tshark has {len(theirs)} {complaints}"]
    return [
        f"{path.name} frame {our['frame']} {column}: {our[column]}, tshark has {their[column]}"
        for our, their in zip(ours, theirs, strict=True)
        for column in _compared_columns(our, their, path.name)
        if our[column] != their[column]
    ]


def test_frames_and_packets_of_the_corpus_are_those_of_tshark(corpus: Path, profile: Path) -> None:
    captures = [path for path in sorted(corpus.rglob("*")) if path.is_file() and _is_compared(path)]
    assert len(captures) > 100
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda path: _differences(path, profile), captures))
    assert [line for lines in found for line in lines] == []


@pytest.mark.timeout(900)
@pytest.mark.skipif(os.environ.get("SPANWATCH_FULL_CORPUS") != "1", reason="SPANWATCH_FULL_CORPUS=1 asks for all")
def test_frames_and_packets_of_the_attacks_are_those_of_tshark(profile: Path) -> None:
    shared = shared_data()
    if shared is None:
        pytest.skip("the public captures are not on this machine")
    captures = sorted(path for path in (shared / "attacks").rglob("*.pcap*") if path.stat().st_size < 20_000_000)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda path: _differences(path, profile), captures))
    assert [line for lines in found for line in lines] == []


def test_a_built_capture_is_read_like_tshark_reads_it(tmp_path: Path, profile: Path) -> None:
    inner = ethernet(ipv4(6, tcp(b"payload", options=b"\x03\x03\x07\x00"), source="10.9.0.1"))
    path = tmp_path / "built.pcap"
    path.write_bytes(
        pcap_file(
            [
                ethernet(ipv4(6, tcp(b"x" * 10))),
                ethernet(ipv4(17, udp(b"y" * 20)), vlans=(100, 200)),
                ethernet(ipv4(17, udp(vxlan(inner), destination_port=4789))),
            ]
        )
    )
    assert _differences(path, profile) == []
    theirs, _ = tshark_rows(path, profile)
    assert [row["src_ip"] for row in theirs] == ["192.0.2.1", "192.0.2.1", "10.9.0.1"]
