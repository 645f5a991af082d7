"""TCP verdicts and round trips of whole captures, from the file through decoding, are tshark's.

All captures take tshark minutes, so by default those are compared that have much TCP, and one in 16 of the
others. With ``SPANWATCH_FULL_CORPUS=1`` all are.
"""

from __future__ import annotations

import csv
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.enums import TcpAnalysis
from streams.conversations import ConversationTracker
from streams.decode import NO_TIME_NS, decode
from streams.files import open_capture
from tests.shared_data import shared_data
from tests.streams.tcp_oracle import TSHARK, tshark_verdicts

pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

_SAMPLE = 16
_MANY_PACKETS = 300
_BLOCK_FRAMES = 1000

IS_FULL = os.environ.get("SPANWATCH_FULL_CORPUS") == "1"


@dataclass(frozen=True)
class Comparison:
    """One capture, judged by both.

    Attributes
    ----------
    differences : list of str
        Where the two differ, at most a few.
    segments, retransmissions, round_trips : int
        What tshark counts.
    """

    differences: list[str]
    segments: int
    retransmissions: int
    round_trips: int


def shared() -> Path:
    folder = shared_data()
    if folder is None:
        pytest.skip("the public captures are not on this machine")
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The captures of the corpus that are compared."""
    source = shared() / "corpus"
    with (source / "INDEX.tsv").open(newline="") as file:
        captures = {row["file"]: row for row in csv.DictReader(file, delimiter="\t") if "tcp" in row["tags"].split(",")}
    chosen = {
        name
        for name, row in captures.items()
        if IS_FULL or int(row["packets"]) >= _MANY_PACKETS or crc32(name.encode()) % _SAMPLE == 0
    }
    folder = tmp_path_factory.mktemp("tcp_corpus")
    with tarfile.open(source / "captures.tar.xz") as archive:
        wanted = [member for member in archive if member.name.removeprefix("./") in chosen]
        archive.extractall(folder, wanted, filter="data")
    return [folder / name for name in sorted(chosen)]


def our_verdicts(path: Path) -> tuple[NDArray[np.uint16], NDArray[np.int64], NDArray[np.int64]]:
    """Return analysis, ack_rtt_ns and initial_rtt_ns of every frame."""
    tracker = ConversationTracker()
    results = []
    newest_ns = NO_TIME_NS
    with open_capture(path) as capture:
        for block in capture.blocks(_BLOCK_FRAMES):
            packets = decode(block, newest_ns)
            newest_ns = max(newest_ns, int(packets.ts_ns.max()))
            results.append(tracker.track(packets))
    return (
        np.concatenate([result.analysis for result in results]),
        np.concatenate([result.ack_rtt_ns for result in results]),
        np.concatenate([result.initial_rtt_ns for result in results]),
    )


def compare(path: Path) -> Comparison:
    analysis, ack_rtt_ns, initial_rtt_ns = our_verdicts(path)
    theirs = tshark_verdicts(path)
    row = theirs.frame - 1
    pairs = {
        "analysis": (analysis, theirs.analysis, 0),
        "ack_rtt_ns": (ack_rtt_ns, theirs.ack_rtt_ns, -1),
        "initial_rtt_ns": (initial_rtt_ns, theirs.initial_rtt_ns, -1),
    }
    differences = []
    for name, (ours, shown, nothing) in pairs.items():
        expected = np.full(len(ours), nothing, ours.dtype)
        expected[row] = shown
        differences += [
            f"{path.name} frame {at + 1} {name}: {ours[at]}, tshark has {expected[at]}"
            for at in np.flatnonzero(ours != expected)[:3]
        ]
    return Comparison(
        differences,
        len(row),
        int(np.count_nonzero(theirs.analysis & TcpAnalysis.RETRANSMISSION)),
        int(np.count_nonzero(theirs.ack_rtt_ns != -1)),
    )


def compare_all(paths: list[Path]) -> Comparison:
    """Return the comparisons of all captures in one."""
    with ThreadPoolExecutor(2) as pool:
        all_of_them = list(pool.map(compare, paths))
    return Comparison(
        [line for one in all_of_them for line in one.differences],
        sum(one.segments for one in all_of_them),
        sum(one.retransmissions for one in all_of_them),
        sum(one.round_trips for one in all_of_them),
    )


@pytest.mark.timeout(900)
def test_tcp_of_the_corpus_is_judged_as_tshark_judges_it(corpus: list[Path]) -> None:
    found = compare_all(corpus)

    assert found.differences == []
    assert found.segments > 100_000
    assert found.retransmissions > 100
    assert found.round_trips > 40_000


@pytest.mark.timeout(900)
def test_tcp_of_the_attacks_is_judged_as_tshark_judges_it() -> None:
    found = compare_all(sorted((shared() / "attacks").rglob("*.pcap*")))

    assert found.differences == []
    assert found.segments > 80_000
    assert found.retransmissions > 10_000
    assert found.round_trips > 10_000
