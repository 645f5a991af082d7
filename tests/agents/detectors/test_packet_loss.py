from __future__ import annotations

import pytest

from tests.agents.observations import CLIENT, SERVER, conversation, found, signals, window


def lossy(retransmitted: int, sent: int, way: str = "forward") -> dict[str, object]:
    return conversation(**{f"retransmissions_{way}": retransmitted, f"data_segments_{way}": sent})


@pytest.mark.parametrize(
    ("retransmitted", "sent", "severity"),
    [(5, 100, None), (6, 100, "medium"), (15, 100, "medium"), (16, 100, "high"), (19, 19, None), (20, 20, "high")],
)
def test_the_bounds_are_the_contracts(retransmitted: int, sent: int, severity: str | None) -> None:
    anomalies = found([window(0, tcp_retransmissions=retransmitted, tcp_data_segments=sent)])
    assert signals(anomalies) == ([(0, "network_loss", severity)] if severity else [])


def test_the_message_has_the_documented_form() -> None:
    (anomaly,) = found([window(0, tcp_retransmissions=25, tcp_data_segments=30)])
    assert anomaly["message"] == "High packet loss detected: 83.33% (25 retrans / 30 sent)"
    assert (anomaly["metric"], anomaly["threshold"]) == ("packet_loss_percent", 15)
    assert anomaly["current_value"] == pytest.approx(83.33, abs=0.01)


@pytest.mark.parametrize(
    ("way", "ends"),
    [("forward", (f"{CLIENT}:40000", f"{SERVER}:443")), ("backward", (f"{SERVER}:443", f"{CLIENT}:40000"))],
)
def test_the_direction_that_loses_is_named(way: str, ends: tuple[str, str]) -> None:
    row = window(0, tcp_retransmissions=10, tcp_data_segments=1000, conversations=[lossy(10, 40, way)])
    (anomaly,) = found([row])
    assert (anomaly["signal"], anomaly["flow_src"], anomaly["flow_dst"]) == ("flow_loss", *ends)
    assert anomaly["flows"] == row["conversations"]


def test_one_lossy_flow_is_not_the_networks_loss() -> None:
    one = window(0, tcp_retransmissions=30, tcp_data_segments=100, conversations=[lossy(30, 50)])
    assert signals(found([one])) == [(0, "flow_loss", "high")]
    flows = [lossy(10, 50) | {"src_port": port} for port in (1, 2, 3)]
    three = window(0, tcp_retransmissions=30, tcp_data_segments=150, conversations=flows)
    assert signals(found([three])) == [(0, "network_loss", "high"), *[(0, "flow_loss", "high")] * 3]


def test_an_ipv6_flow_is_written_in_brackets() -> None:
    flow = lossy(10, 40) | {"src_ip": "fd00::1", "dst_ip": "fd00::2"}
    (anomaly,) = found([window(0, conversations=[flow], tcp_retransmissions=10, tcp_data_segments=1000)])
    assert (anomaly["flow_src"], anomaly["flow_dst"]) == ("[fd00::1]:40000", "[fd00::2]:443")
