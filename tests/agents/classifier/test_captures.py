from __future__ import annotations

import functools
from collections import Counter
from ipaddress import IPv6Address
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from agents.classifier.captures import labelled_records, labels_beside, read_label_rows, read_whole_labels
from agents.classifier.dataset import OWN, PROBE_US, load_flows
from agents.classifier.own_flows import BENIGN_TIMES, write_own_flows
from lab.labels import Packet, label_of, read_labels
from schemas.enums import FlowEnd
from schemas.errors import FlowFileError
from schemas.flows import FEATURE_NAMES, N_FEATURES

SAMPLE = Path(__file__).resolve().parents[3] / "samples" / "mixed.pcap.gz"


@functools.cache
def records() -> pa.Table:
    return labelled_records(SAMPLE)


def first_packet(row: dict[str, object]) -> Packet:
    """Return what the lab's labels see of a flow's first packet."""
    ends = []
    for side in ("src", "dst"):
        address = IPv6Address(bytes(row[f"{side}_ip"]))  # type: ignore[arg-type]
        ends.append(str(address.ipv4_mapped or address))
    return Packet(row["start_ns"], *ends, row["src_port"], row["dst_port"], row["protocol"])  # type: ignore[arg-type]


def test_a_flow_of_the_sample_is_what_the_lab_says_of_its_first_packet() -> None:
    labels = read_labels(labels_beside(SAMPLE))
    columns = ("src_ip", "dst_ip", "src_port", "dst_port", "protocol", "start_ns", "label", "tool")
    rows = records().select(columns).to_pylist()
    assert len(rows) > 5_000
    for row in rows:
        said = label_of(first_packet(row), labels)
        assert said is not None
        assert (row["label"], row["tool"]) == (said.class_name, said.tool), row


def test_a_labelled_capture_is_read_like_any_file_of_flows() -> None:
    flows = load_flows([SAMPLE])
    assert (flows.sources == OWN).all()
    assert set(np.unique(flows.labels)) == set(range(15))
    assert "hydra ssh" in flows.tools
    assert len(load_flows([SAMPLE], with_interim=True)) > len(flows)


def test_requests_of_a_slow_attacker_that_are_answered_at_once_are_attempts() -> None:
    said, kept = records(), load_flows([SAMPLE], with_interim=True)
    slow = [name.startswith("slowhttptest") for name in said.column("tool").to_pylist()]
    features = np.array(said.filter(pa.array(slow)).column("features").to_pylist(), np.float32)
    names = ("Total Length of Fwd Packets", "Total Length of Bwd Packets", "Flow Duration")
    sent, answered, duration_us = (features[:, FEATURE_NAMES.index(name)] for name in names)
    is_probe = (answered > 0) & (duration_us < PROBE_US)
    assert is_probe.sum() > 5
    is_slow = np.char.startswith(kept.tools, "slowhttptest")
    assert is_slow.sum() == (~is_probe & (sent > 0)).sum()


def test_flows_of_a_guesser_that_says_nothing_are_attempts() -> None:
    flows = load_flows([SAMPLE])
    assert flows.skipped["attempted"] > 0
    is_mute = flows.features[:, FEATURE_NAMES.index("Total Length of Fwd Packets")] == 0
    assert {flows.tools[row] for row in np.flatnonzero(is_mute)} <= {
        "background", "hping3 -S", "nmap -sS", "nmap -6 -sS", "ab"
    }  # fmt: skip


def test_a_table_of_flows_holds_what_the_capture_holds_and_no_flood_whole(tmp_path: Path) -> None:
    path, at_most = tmp_path / "flows.parquet", 30
    count = write_own_flows([SAMPLE], path, at_most)
    kept = load_flows([path], with_interim=True)
    assert count == len(kept) + kept.skipped["attempted"]
    for tool, number in Counter(kept.tools.tolist()).items():
        assert number <= at_most * (BENIGN_TIMES if tool == "background" else 1)
    whole = load_flows([SAMPLE], with_interim=True)
    known = {row.tobytes() for row in whole.features}
    assert all(row.tobytes() in known for row in kept.features)
    assert len(load_flows([path])) < len(kept)


def test_whole_captures_can_be_named_in_one_list(tmp_path: Path) -> None:
    capture = tmp_path / "scan" / "mixed.pcap.gz"
    capture.parent.mkdir()
    capture.symlink_to(SAMPLE)
    listed = tmp_path / "captures.csv"
    listed.write_text("file,class,tool\nscan/mixed.pcap.gz,PortScan,some scan\n")
    flows = load_flows([capture], whole=read_whole_labels(listed))
    assert set(flows.tools) == {"some scan"}
    with pytest.raises(FlowFileError, match="no list of captures"):
        read_whole_labels(SAMPLE.with_name("nothing.csv"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("start_ns,end_ns\n1,2\n", "no column src_ip"),
        ("start_ns,end_ns,src_ip,dst_ip,src_port,dst_port,protocol,class,tool\n1,2,nowhere,,,,,Bot,x\n", "no label"),
    ],
)
def test_label_files_that_do_not_serve_are_refused_in_words(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "a.labels.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(FlowFileError, match=said):
        read_label_rows(path)


def test_records_of_flows_need_all_features(tmp_path: Path) -> None:
    path = tmp_path / "flows.parquet"
    table = {"label": ["BENIGN"], "end_reason": [FlowEnd.FIN.value], "features": [[0.0] * (N_FEATURES - 1)]}
    pyarrow.parquet.write_table(pa.table(table), path)
    with pytest.raises(Exception, match="78 features"):
        load_flows([path])
