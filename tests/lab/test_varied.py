from __future__ import annotations

from lab.labels import BENIGN, TCP, Label, Packet, label_of
from lab.varied import chosen, rows_of


def packet(ts_ns: int, src_port: int, dst_port: int = 80) -> Packet:
    return Packet(ts_ns, "10.77.0.66", "10.77.0.10", src_port, dst_port, TCP)


def attack(start_ns: int, end_ns: int, class_name: str) -> Label:
    return Label(start_ns, end_ns, "10.77.0.66", "10.77.0.10", None, 80, TCP, class_name, class_name)


def test_a_conversation_keeps_its_class_when_the_next_attack_has_begun() -> None:
    labels = [attack(0, 10, "DoS Hulk"), attack(10, 20, "DoS slowloris"), attack(50, 60, "DDoS")]
    packets = [packet(5, 1000), packet(12, 2000), packet(15, 1000), packet(30, 2000), packet(31, 3000)]
    rows = rows_of(labels, packets)
    said = [row.class_name for one in packets if (row := label_of(one, rows)) is not None]
    assert said == ["DoS Hulk", "DoS slowloris", "DoS Hulk", "DoS slowloris", BENIGN]
    assert not any(row.class_name == "DDoS" for row in rows)


def test_what_takes_minutes_or_is_held_out_is_recorded_only_when_asked_for() -> None:
    usual, all_but_long = ({one.name for one in chosen(is_held_out=held)} for held in (False, True))
    assert all_but_long - usual >= {"scan-xmas", "slow-nmap", "flood-ack"}
    assert "slow-long" not in all_but_long
    assert [one.name for one in chosen(only=("slow-long", "scan-xmas"))] == ["scan-xmas", "slow-long"]
