"""What windows say of conversations, sources and targets, against a plain computation packet by packet."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from schemas.packets import ARP_REQUEST, NO_PROTOCOL
from schemas.protocols import ICMP, ICMPV6, TCP, UDP
from schemas.windows import MAX_CONTACTS_PER_SOURCE, MAX_SCAN_SOURCES, NOTABLE_CONVERSATIONS
from streams.packets import Packets

from .evidence_oracle import plain_conversations, plain_evidence
from .test_windows import whole, windows_of
from .traffic import ACK, ARP, FIN, RST, SECOND, SYN, Row, captures, packets, row


@settings(max_examples=100)
@given(captures())
def test_evidence_is_what_a_plain_computation_finds(capture: Packets) -> None:
    plain = plain_conversations(capture)
    for found in whole(capture):
        # Packets before the origin count in window 0.
        start_ns = found["window_start_ns"] if found["window_id"] else -1
        expected = plain_evidence(list(plain.get(found["window_id"], {}).values()), start_ns)
        contact = ("src_ip", "dst_ip", "dst_port", "protocol", "conversations")
        assert [tuple(entry[name] for name in contact) for entry in found["contacts"]] == expected["contacts"]
        source = ("src_ip", "targets", "failed_targets")
        assert [tuple(entry[name] for name in source) for entry in found["scan_sources"]] == expected["scan_sources"]
        sums = ("sources", "conversations", "begun", "failed")
        responders = {entry["dst_ip"]: tuple(entry[name] for name in sums) for entry in found["responders"]}
        assert responders == expected["responders"]
        assert (found["age_median_ns"], found["age_max_ns"]) == (expected["age_median_ns"], expected["age_max_ns"])


def only(values: list[dict[str, Any]]) -> dict[str, Any]:
    (value,) = values
    return value


def failed_in(rows: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Return window and port of all failed contacts."""
    return [(found["window_id"], contact["dst_port"]) for found in rows for contact in found["contacts"]]


there = {"src_port": 40_000, "dst_port": 80}
back = {"src": 2, "dst": 1, "src_port": 80, "dst_port": 40_000}


@pytest.mark.parametrize("flags", [SYN, FIN, 0, FIN | 0x28, ACK])
def test_a_probe_that_nobody_answers_has_failed(flags: int) -> None:
    found = only(whole(packets([row(tcp_flags=flags)])))
    assert found["contacts"] == [
        {"src_ip": "10.0.0.1", "dst_ip": "10.0.0.2", "dst_port": 80, "protocol": 6, "conversations": 1, "resets": 0}
    ]
    assert found["scan_sources"] == [
        {"src_ip": "10.0.0.1", "targets": 1, "failed_targets": 1, "max_ports": 1, "max_hosts": 1}
    ]


@pytest.mark.parametrize("flags", [SYN, FIN, ACK])
def test_a_probe_that_is_reset_has_failed_and_says_so(flags: int) -> None:
    found = only(whole(packets([row(**there, tcp_flags=flags), row(**back, tcp_flags=RST | ACK)])))
    assert only(found["contacts"])["resets"] == 1


def test_a_target_that_answered_another_conversation_was_reached() -> None:
    answered = [row(**there, tcp_flags=SYN), row(**back, tcp_flags=SYN | ACK)]
    found = only(whole(packets([*answered, row(src_port=40_001, tcp_flags=SYN)])))
    assert found["contacts"] == []
    assert only(found["responders"])["failed"] == 1


def test_a_reset_alone_asks_for_nothing() -> None:
    assert failed_in(whole(packets([row(tcp_flags=RST)]))) == []


def test_a_connection_that_goes_on_has_not_failed_where_only_one_side_is_heard() -> None:
    begun = [row(**there), row(**back)]
    assert failed_in(whole(packets([*begun, row(**there, ts_ns=15 * SECOND)]))) == []


@pytest.mark.parametrize(
    ("answer_ns", "expected"), [(10 * SECOND, []), (12 * SECOND - 1, []), (12 * SECOND, [(0, 80)])]
)
def test_an_answer_counts_for_the_window_before_while_that_is_open(
    answer_ns: int, expected: list[tuple[int, int]]
) -> None:
    first = [row(dst=9), row(**{**back, "src": 9})]
    asked = row(**there, ts_ns=9 * SECOND, tcp_flags=SYN)
    capture = packets([*first, asked, row(**back, ts_ns=answer_ns, tcp_flags=SYN | ACK)])
    for cuts in ([], [3], [1, 2, 3]):
        assert failed_in(windows_of(capture, cuts, 1, [0])) == expected


def test_a_new_connection_on_used_ports_is_judged_for_itself() -> None:
    first = [
        row(**there, tcp_flags=SYN, tcp_seq=100, tcp_ack=0),
        row(**back, tcp_flags=SYN | ACK, tcp_seq=500, tcp_ack=101),
    ]
    again = row(**there, ts_ns=25 * SECOND, tcp_flags=SYN, tcp_seq=9_000, tcp_ack=0)
    rows = whole(packets([*first, again]))
    assert failed_in(rows) == [(2, 80)]
    assert rows[2]["age_max_ns"] == 0
    assert only(rows[2]["responders"])["begun"] == 1


def test_the_age_of_a_connection_counts_from_its_first_packet_ever() -> None:
    rows = whole(packets([row(ts_ns=SECOND), row(ts_ns=35 * SECOND), row(ts_ns=39 * SECOND, protocol=UDP)]))
    assert [found["age_max_ns"] for found in rows] == [0, None, None, 34 * SECOND]
    assert rows[3]["conversations"][0]["first_ts_ns"] == SECOND
    assert [entry["begun"] for entry in rows[3]["service_clients"]] == [1, 0]


@pytest.mark.parametrize(
    ("protocol", "icmp_type", "fails"),
    [(UDP, 0, True), (ICMP, 8, True), (ICMP, 3, False), (ICMP, 0, False), (ICMPV6, 128, True), (ICMPV6, 1, False),
     (ICMPV6, 129, False), (47, 0, True)],
)  # fmt: skip
def test_who_asks_without_a_connection_and_hears_nothing_has_failed(protocol: int, icmp_type: int, fails: bool) -> None:
    asked = row(protocol=protocol, tcp_flags=0, src_port=0, dst_port=0, icmp_type=icmp_type)
    answer = asked | {"src": 2, "dst": 1}
    assert bool(failed_in(whole(packets([asked])))) is fails
    assert failed_in(whole(packets([asked, answer]))) == []


def arp(src: int, dst: int, operation: int = ARP_REQUEST, **more: int) -> Row:
    ports = dict.fromkeys(("tcp_flags", "src_port", "dst_port"), 0)
    return row(protocol=NO_PROTOCOL, ether_type=ARP, src=src, dst=dst, icmp_type=operation, **ports, **more)


def test_who_asks_for_an_address_by_arp_and_hears_nothing_has_failed() -> None:
    found = only(whole(packets([arp(1, dst) for dst in (2, 3, 4, 4)] + [arp(3, 1, 2)])))
    assert [(c["src_ip"], c["dst_ip"], c["dst_port"], c["protocol"]) for c in found["contacts"]] == [
        ("10.0.0.1", "10.0.0.2", 0, NO_PROTOCOL),
        ("10.0.0.1", "10.0.0.4", 0, NO_PROTOCOL),
    ]
    assert found["scan_sources"] == [
        {"src_ip": "10.0.0.1", "targets": 3, "failed_targets": 2, "max_ports": 0, "max_hosts": 2}
    ]


def test_an_arp_answer_counts_like_any_other_for_the_window_before_while_that_is_open() -> None:
    begun = arp(9, 8, 2)
    for answer_ns, expected in ((12 * SECOND - 1, []), (12 * SECOND, [(0, 0)])):
        capture = packets([begun, arp(1, 2, ts_ns=9 * SECOND), arp(2, 1, 2, ts_ns=answer_ns)])
        assert failed_in(windows_of(capture, [1, 2], 2, [1, 0])) == expected


@pytest.mark.parametrize(
    "packet", [arp(1, 2, 2), arp(1, 1), arp(1, 2, 3)], ids=["an answer nobody asked for", "announcement", "RARP"]
)
def test_what_does_not_ask_for_an_address_has_not_failed(packet: Row) -> None:
    assert only(whole(packets([packet])))["contacts"] == []


def test_an_arp_probe_comes_from_nobody_yet() -> None:
    capture = packets([arp(1, 2)])
    capture.src_ip[0, 12:] = 0
    assert only(whole(capture))["contacts"] == []


def test_arp_makes_no_host_no_traffic_and_no_connection() -> None:
    found = only(whole(packets([arp(1, 2), row(src=1, dst=3, length_bytes=70)])))
    assert (found["hosts"], found["connections_total"], found["record_count"]) == (2, 1, 2)
    assert [(host["ip"], host["bytes_sent"], host["conversations"]) for host in found["host_traffic"]] == [
        ("10.0.0.1", 70, 1),
        ("10.0.0.3", 0, 1),
    ]
    assert found["top_src_bytes"] == [{"ip": "10.0.0.1", "bytes": 70}]
    assert [entry["dst_ip"] for entry in found["responders"]] == ["10.0.0.3"]
    assert [entry["dst_ip"] for entry in found["service_clients"]] == ["10.0.0.3"]
    assert len(found["conversations"]) == 1
    assert found["ip_protocol_packets"] == [("6", 1)]


def test_a_source_of_both_has_an_entry_for_each() -> None:
    tried = [row(src=1, dst=dst, tcp_flags=SYN) for dst in (2, 3)]
    found = only(whole(packets([*tried, *(arp(1, dst) for dst in (2, 3, 4))])))
    assert [list(entry.values()) for entry in found["scan_sources"]] == [
        ["10.0.0.1", 3, 3, 0, 3],
        ["10.0.0.1", 2, 2, 1, 2],
    ]
    assert [contact["protocol"] for contact in found["contacts"]] == [NO_PROTOCOL] * 3 + [TCP] * 2


@pytest.mark.parametrize("octets", [(224, 0, 0, 251), (239, 255, 255, 250), (255, 255, 255, 255)])
def test_nobody_has_to_answer_a_group(octets: tuple[int, ...]) -> None:
    capture = packets([row(protocol=UDP, tcp_flags=0)])
    capture.dst_ip[0, 12:] = octets
    assert failed_in(whole(capture)) == []


def test_the_sender_of_a_syn_is_the_originator_also_when_the_answer_is_seen_first() -> None:
    answered_first = [row(**back, tcp_flags=SYN | ACK)]
    found = only(whole(packets(answered_first)))
    assert (only(found["conversations"])["src_ip"], only(found["conversations"])["dst_port"]) == ("10.0.0.1", 80)
    old_talk = [row(**back), row(**there, tcp_flags=SYN, tcp_seq=77)]
    assert only(only(whole(packets(old_talk)))["conversations"])["src_ip"] == "10.0.0.1"


def test_a_connection_under_way_began_with_whoever_is_heard_first() -> None:
    found = only(whole(packets([row(**back), row(**there)])))
    assert only(found["conversations"])["src_ip"] == "10.0.0.2"


def test_retransmitted_data_is_counted_by_conversation_and_direction() -> None:
    data = row(**there, tcp_seq=101, tcp_ack=501, payload_bytes=100)
    story = [
        row(**there, tcp_flags=SYN, tcp_seq=100, tcp_ack=0),
        row(**back, ts_ns=SECOND, tcp_flags=SYN | ACK, tcp_seq=500, tcp_ack=101),
        data | {"ts_ns": 2 * SECOND},
        data | {"ts_ns": 3 * SECOND},
        row(**back, ts_ns=4 * SECOND, tcp_seq=501, tcp_ack=201),
    ]
    found = only(whole(packets(story)))
    conversation = only(found["conversations"])
    assert found["tcp_retransmissions"] == conversation["retransmissions_forward"] == 1
    assert (conversation["data_segments_forward"], conversation["retransmissions_backward"]) == (2, 0)
    assert (conversation["rtt_count"], conversation["rtt_max_ns"]) == (found["rtt_count"], found["rtt_max_ns"])
    assert conversation["name"] == "http"


def test_a_scan_of_ports_and_one_of_hosts_show_their_true_size_beyond_the_bounds() -> None:
    ports = [row(src=7, dst_port=port, tcp_flags=SYN) for port in range(1, 701)]
    hosts = [row(src=8, dst=10 + number, tcp_flags=SYN) for number in range(200)]
    found = only(whole(packets([*ports, *hosts])))
    assert [list(entry.values()) for entry in found["scan_sources"]] == [
        ["10.0.0.7", 700, 700, 700, 1],
        ["10.0.0.8", 200, 200, 1, 200],
    ]
    listed = [contact["dst_port"] for contact in found["contacts"] if contact["src_ip"] == "10.0.0.7"]
    assert listed == list(range(1, MAX_CONTACTS_PER_SOURCE + 1))
    assert len(found["contacts"]) == MAX_CONTACTS_PER_SOURCE + 200


def test_sources_beyond_the_bound_are_the_ones_with_the_highest_addresses() -> None:
    capture = packets([row(src_port=40_000, tcp_flags=SYN) for _ in range(300)])
    for number in range(300):
        capture.src_ip[number, 14:] = divmod(number, 256)
    found = only(whole(capture))
    assert len(found["scan_sources"]) == MAX_SCAN_SOURCES
    assert found["scan_sources"][-1]["src_ip"] == "10.0.0.255"
    assert len(found["contacts"]) == 300


def test_notable_conversations_are_those_that_lead_by_some_measure() -> None:
    large = [row(src_port=port, length_bytes=1000 + port, protocol=UDP, tcp_flags=0) for port in range(1, 31)]
    old = [row(src_port=1_000 + port, ts_ns=port * SECOND // 10) for port in range(30)]
    late = [row(src_port=1_000 + port, ts_ns=9 * SECOND) for port in range(30)]
    found = only(whole(packets([*large, *old, *late])))
    ports = [conversation["src_port"] for conversation in found["conversations"]]
    assert ports == [*range(30, 20, -1), *range(1_000, 1_000 + NOTABLE_CONVERSATIONS)]


def test_later_fragments_are_traffic_of_hosts_but_no_evidence() -> None:
    found = only(whole(packets([row(protocol=UDP, src_port=0, dst_port=0, fragment=2)])))
    assert found["contacts"] == found["conversations"] == found["service_clients"] == []
    assert only(found["host_traffic"][:1])["conversations"] == 0
    assert len(found["host_traffic"]) == 2


def test_a_service_client_sums_up_what_one_source_asked_of_one_service() -> None:
    tries = [row(src_port=port, dst_port=22, tcp_flags=SYN, length_bytes=60) for port in range(1, 6)]
    answers = [row(src=2, dst=1, src_port=22, dst_port=port, tcp_flags=SYN | ACK) for port in range(1, 4)]
    assert only(only(whole(packets([*tries, *answers])))["service_clients"]) == {
        "src_ip": "10.0.0.1",
        "dst_ip": "10.0.0.2",
        "dst_port": 22,
        "protocol": 6,
        "name": "ssh",
        "conversations": 5,
        "begun": 5,
        "failed": 2,
        "packets_forward": 5,
        "packets_backward": 3,
        "bytes_forward": 300,
        "bytes_backward": 300,
    }
