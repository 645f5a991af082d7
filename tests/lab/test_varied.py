from __future__ import annotations

import random

from lab.labels import BENIGN, TCP, Label, Packet, label_of
from lab.variant_floods import looks
from lab.variants import VARIANTS
from lab.varied import RECIPE, chosen, rows_of


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


def test_every_capture_of_the_recipe_has_a_seed_of_its_own_and_attacks_that_exist() -> None:
    names = {variant.name for variant in VARIANTS}
    assert len({take.seed for take in RECIPE}) == len(RECIPE)
    assert {name for take in RECIPE for name in take.only} <= names


def test_floods_of_packets_look_different_and_half_of_them_as_the_program_makes_them() -> None:
    chance = random.Random(1)
    drawn = [looks(chance) for _ in range(400)]
    assert 150 < sum(not words for words in drawn) < 250
    windows = {words[words.index("-w") + 1] for words in drawn if words}
    assert {"1024", "65535"} <= windows
    assert any("-X" in words for words in drawn)
    assert any("--tcp-timestamp" in words for words in drawn)
