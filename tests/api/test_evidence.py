from __future__ import annotations

from typing import Any

from api.analysis_rows import AnomalyRow
from api.evidence import selection_of
from schemas.evidence import Ends
from tests.api.feed import anomaly_values

FLOW = {
    "src_ip": "10.0.0.1",
    "src_port": 40_000,
    "dst_ip": "10.0.0.2",
    "dst_port": 443,
    "protocol": 6,
    "name": "https",
    **dict.fromkeys(("first_ts_ns", "last_ts_ns", "rtt_count", "rtt_sum_ns", "rtt_max_ns"), 0),
    **{
        f"{what}_{way}": 1
        for what in ("packets", "bytes", "data_segments", "retransmissions")
        for way in ("forward", "backward")
    },
}


def ends(**changed: Any) -> list[Ends]:
    nobody = {"source_ip": "", "destination_ip": "", "hosts": []}
    values = anomaly_values("c", **{"type": "packet_loss", **nobody, **changed})
    return selection_of(AnomalyRow.model_validate(values), 0, 10).ends


def test_an_anomaly_about_one_flow_is_that_flow() -> None:
    named = ends(flow_src="10.0.0.1:51148", flow_dst="[2001:db8::1]:443", flows=[FLOW], source_ip="10.0.0.1")
    assert named == [Ends(a="10.0.0.1", a_port=51_148, b="2001:db8::1", b_port=443)]


def test_a_scan_is_all_that_its_source_did() -> None:
    assert ends(type="port_scan", source_ip="10.0.0.9", flows=[FLOW]) == [Ends(a="10.0.0.9")]
    assert ends(type="port_scan", source_ip="10.0.0.9", destination_ip="10.0.0.2") == [Ends(a="10.0.0.9", b="10.0.0.2")]


def test_an_arp_sweep_is_the_arp_of_its_source() -> None:
    assert ends(type="port_scan", signal="arp_sweep", source_ip="10.0.0.9") == [Ends(a="10.0.0.9", protocol=255)]


def test_else_its_conversations_its_ends_its_hosts_or_everybody() -> None:
    conversation = Ends(a="10.0.0.1", a_port=40_000, b="10.0.0.2", b_port=443, protocol=6)
    assert ends(flows=[FLOW], source_ip="10.0.0.1") == [conversation]
    assert ends(source_ip="10.0.0.1", hosts=["10.0.0.3"]) == [Ends(a="10.0.0.1")]
    assert ends(hosts=["10.0.0.3", "10.0.0.4"]) == [Ends(a="10.0.0.3"), Ends(a="10.0.0.4")]
    assert ends() == []


def test_the_time_is_the_windows_with_a_margin() -> None:
    row = AnomalyRow.model_validate(anomaly_values("c"))
    wanted = selection_of(row, 1.5, 10)
    assert wanted.first_ns == row.window_start_ns - 1_500_000_000
    assert wanted.last_ns == row.window_end_ns + 1_500_000_000 - 1
    assert wanted.max_packets == 10
