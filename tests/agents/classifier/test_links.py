from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from agents.classifier.captures import packets_of
from agents.classifier.links import LONGEST_NS, SHORTEST_NS, over_another_link
from streams.packets import Packets

SAMPLE = Path(__file__).resolve().parents[3] / "samples" / "mixed.pcap.gz"


@pytest.fixture(scope="module")
def packets() -> Packets:
    return next(packets_of(SAMPLE))


def conversations(packets: Packets) -> dict[tuple[object, ...], list[int]]:
    """Return times by conversation."""
    found = defaultdict(list)
    columns = ("src_ip", "dst_ip", "src_port", "dst_port", "protocol", "ts_ns")
    for source, target, *ports, protocol, ts_ns in zip(*(getattr(packets, name) for name in columns), strict=True):
        ends = sorted([(source.tobytes(), int(ports[0])), (target.tobytes(), int(ports[1]))])
        found[(*ends, int(protocol))].append(int(ts_ns))
    return found


def test_another_link_changes_when_packets_come_and_nothing_else(packets: Packets) -> None:
    moved = over_another_link(packets, np.random.default_rng(1))
    assert (np.diff(moved.ts_ns) >= 0).all()
    for name in ("frame", "length_bytes", "tcp_seq"):
        assert sorted(getattr(moved, name).tolist()) == sorted(getattr(packets, name).tolist())
    before, after = conversations(packets), conversations(moved)
    assert before.keys() == after.keys()
    assert all(times[0] == after[key][0] for key, times in before.items())


def test_answers_take_as_long_as_a_link_can(packets: Packets) -> None:
    moved = over_another_link(packets, np.random.default_rng(2))
    scans = [times for times in conversations(moved).values() if len(times) == 2]
    gaps = np.array([times[1] - times[0] for times in scans])
    assert len(gaps) > 300
    assert SHORTEST_NS / 2 < np.median(gaps) < LONGEST_NS * 2
    assert not np.array_equal(moved.ts_ns, packets.ts_ns)
