from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import LabelError
from lab.labels import BENIGN, CLASSES, Label, Packet, label_of, read_labels, settle, write_labels

SCAN = Label(100, 200, "10.77.0.66", "10.77.0.10", None, None, None, "PortScan", "nmap")
PROBE = Packet(150, "10.77.0.66", "10.77.0.10", 40000, 22, 6)
ANSWER = Packet(160, "10.77.0.10", "10.77.0.66", 22, 40000, 6)
BYSTANDER = Packet(150, "10.77.0.21", "10.77.0.10", 40000, 80, 6)

ports = st.none() | st.integers(0, 65_535)
addresses = st.none() | st.ip_addresses().map(str)


@st.composite
def labels(draw: st.DrawFn) -> Label:
    start_ns = draw(st.integers(0, 2**62))
    end_ns = draw(st.integers(start_ns, 2**63))
    protocol = draw(st.none() | st.integers(0, 255))
    ends = draw(st.tuples(addresses, addresses, ports, ports))
    return Label(
        start_ns, end_ns, *ends, protocol, draw(st.sampled_from(CLASSES)), draw(st.text('abc ,-"é', max_size=9))
    )


@given(rows=st.lists(labels(), max_size=5))
def test_a_label_file_reads_back_as_it_was_written(rows: list[Label], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("labels") / "some.labels.csv"
    write_labels(path, rows)
    assert read_labels(path) == rows


def test_there_are_fifteen_classes_and_benign_is_the_first() -> None:
    assert len(set(CLASSES)) == 15
    assert CLASSES[0] == BENIGN


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(LabelError, match="Web Attack - XSS"):
        replace(SCAN, class_name="Web Attack - XSS")


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("start,end\n1,2\n")
    with pytest.raises(LabelError, match="start_ns"):
        read_labels(path)


def test_a_row_matches_both_directions() -> None:
    assert SCAN.matches(PROBE)
    assert SCAN.matches(ANSWER)
    assert not SCAN.matches(BYSTANDER)


def test_a_row_ends_before_its_end_time() -> None:
    assert SCAN.matches(replace(PROBE, ts_ns=100))
    assert SCAN.matches(replace(PROBE, ts_ns=199))
    assert not SCAN.matches(replace(PROBE, ts_ns=200))


def test_a_destination_port_is_the_responders_in_both_directions() -> None:
    ssh = replace(SCAN, dst_port=22)
    assert ssh.matches(PROBE)
    assert ssh.matches(ANSWER)
    assert not ssh.matches(replace(PROBE, dst_port=23))


def test_a_row_is_extended_to_the_end_of_the_conversations_that_began_in_it() -> None:
    late = replace(ANSWER, ts_ns=900)
    unrelated = replace(PROBE, src_port=40001, ts_ns=950)
    scan, everything = settle([SCAN], [PROBE, ANSWER, late, unrelated])
    assert scan.end_ns == 901
    assert everything.class_name == BENIGN
    assert label_of(late, [scan, everything]) == scan
    assert label_of(unrelated, [scan, everything]) == everything


def test_a_row_without_packets_is_an_error() -> None:
    with pytest.raises(LabelError, match="No packet"):
        settle([SCAN], [BYSTANDER])


def test_a_conversation_in_two_classes_is_an_error() -> None:
    flood = replace(SCAN, start_ns=155, end_ns=300, class_name="DDoS")
    early = replace(SCAN, end_ns=155, dst_port=99)
    with pytest.raises(LabelError, match="began otherwise"):
        settle([flood, early], [PROBE, replace(ANSWER, ts_ns=250), replace(PROBE, dst_port=99)])
