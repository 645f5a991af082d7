from __future__ import annotations

import pytest

from schemas.errors import SettingsError
from schemas.thresholds import Thresholds


def test_the_defaults_of_the_documented_types_are_the_contracts() -> None:
    thresholds = Thresholds()
    assert (thresholds.traffic_spike_medium, thresholds.traffic_spike_high) == (2, 3)
    assert (thresholds.port_scan_ports, thresholds.port_scan_hosts, thresholds.port_scan_s) == (20, 50, 60)
    assert thresholds.port_scan_high_factor == 2.5
    assert (thresholds.high_latency_medium, thresholds.high_latency_high) == (1.5, 2)
    assert (thresholds.packet_loss_medium, thresholds.packet_loss_high, thresholds.packet_loss_min_segments) == (
        5,
        15,
        20,
    )
    assert (thresholds.protocol_anomaly_medium, thresholds.protocol_anomaly_high) == (30, 45)
    assert (thresholds.long_lived_medium, thresholds.long_lived_high, thresholds.long_lived_min_s) == (1.5, 2, 300)


def test_every_threshold_says_why() -> None:
    assert [name for name, field in Thresholds.model_fields.items() if len(field.description or "") < 40] == []


def test_an_override_replaces_one_value() -> None:
    thresholds = Thresholds(packet_loss_medium=3).with_overrides({"packet_loss_high": 50})
    assert (thresholds.packet_loss_medium, thresholds.packet_loss_high) == (3, 50)
    assert thresholds.port_scan_ports == 20


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"packet_los_high": 3}, "There is no threshold named 'packet_los_high'. Did you mean packet_loss_high?"),
        ({"packet_loss_high": -1}, "packet_loss_high cannot be -1: input should be greater than or equal to 0"),
        ({"packet_loss_high": float("nan")}, "packet_loss_high cannot be nan"),
        ({"port_scan_ports": 2.5}, "port_scan_ports cannot be 2.5"),
        ({"packet_loss_medium": 50}, r"packet_loss_high \(15\) must not be below packet_loss_medium \(50\)"),
    ],
)
def test_an_override_that_cannot_work_is_refused_in_words(overrides: dict[str, float], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Thresholds().with_overrides(overrides)
