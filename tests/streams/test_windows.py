from __future__ import annotations

import ipaddress
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.packets import NO_PROTOCOL
from streams.merge import MAX_EMPTY_RUN, WindowMerger
from streams.packets import Packets
from streams.partials import PARTIAL_SCHEMA, PartialWindow, partials_from_arrow, partials_to_arrow
from streams.split import split
from streams.window_rows import window_rows
from streams.windows import PartitionWindows
from streams.wire import decode_table, encode_table, packets_of

from .traffic import ACK, RST, SECOND, SYN, captures, packets, row, rows_of

SIZE = 10 * SECOND
LATENESS = 2 * SECOND


def windows_of(
    capture: Packets, cuts: list[int], partitions: int, order: list[int], *, snapshot: bool = False
) -> list[dict[str, Any]]:
    """Return the rows of a capture's windows, computed in these batches and partitions.

    ``order`` is in which order the partitions' messages reach the merger. With ``snapshot``, every operator is
    replaced by its restored snapshot after each batch.
    """
    origin = int(capture.ts_ns[0])
    operators = [PartitionWindows(SIZE, origin, LATENESS) for _ in range(partitions)]
    merger = WindowMerger(partitions)
    newest: dict[int, PartialWindow] = {}
    clock = origin
    for first, last in pairwise([0, *cuts, len(capture.ts_ns)]):
        if first == last:
            continue
        batch = rows_of(capture, slice(first, last))
        clock = max(clock, int(batch.ts_ns.max()))
        parts = split(batch, partitions)
        for partition in sorted(range(partitions), key=lambda number: order[number % len(order)]):
            operator, part = operators[partition], parts[partition]
            partials = operator.advance(clock) if part is None else operator.feed(packets_of(part), clock)
            partials = over_the_wire(partials)
            newest |= {w.window_id: w for w in merger.feed(partition, operator.closed_through, partials)}
        if snapshot:
            operators = [PartitionWindows.restore(operator.snapshot()) for operator in operators]
            merger = WindowMerger.restore(merger.snapshot())
    for partition, operator in enumerate(operators):
        flushed = over_the_wire(operator.flush())
        newest |= {w.window_id: w for w in merger.feed(partition, operator.closed_through, flushed)}
    newest |= {w.window_id: w for w in merger.finish()}
    assert merger.records == len(capture.ts_ns)
    rows: list[dict[str, Any]] = window_rows("c", SIZE, origin, [newest[w] for w in sorted(newest)]).to_pylist()
    return rows


def over_the_wire(partials: list[PartialWindow]) -> list[PartialWindow]:
    return partials_from_arrow(decode_table(encode_table(partials_to_arrow(partials)), PARTIAL_SCHEMA))


def whole(capture: Packets) -> list[dict[str, Any]]:
    return windows_of(capture, [], 1, [0])


@settings(max_examples=40)
@given(captures(), st.data())
def test_windows_do_not_depend_on_batches_partitions_or_merge_order(capture: Packets, data: st.DataObject) -> None:
    n_packets = len(capture.ts_ns)
    cuts = sorted(data.draw(st.lists(st.integers(0, n_packets), max_size=8)))
    partitions = data.draw(st.integers(1, 5))
    order = data.draw(st.permutations(range(partitions)))
    assert windows_of(capture, cuts, partitions, order) == whole(capture)


@settings(max_examples=40)
@given(captures(), st.data())
def test_snapshots_leave_no_trace(capture: Packets, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(capture.ts_ns)), max_size=5)))
    partitions = data.draw(st.integers(1, 3))
    restored = windows_of(capture, cuts, partitions, [0], snapshot=True)
    assert restored == windows_of(capture, cuts, partitions, [0])


def test_the_lowest_share_kept_of_its_batches_is_that_of_a_window() -> None:
    operator = PartitionWindows(SIZE, 0, LATENESS)
    for second, rate in ((1, 1.0), (2, 0.25), (3, 0.5), (11, 1.0)):
        operator.feed(packets([row(ts_ns=second * SECOND)]), second * SECOND, rate)
    rows = window_rows("c", SIZE, 0, over_the_wire(operator.flush())).to_pylist()
    assert [found["sampling_rate"] for found in rows] == [0.25, 1.0]


@settings(max_examples=40)
@given(captures())
def test_windows_hold_what_a_plain_computation_finds(capture: Packets) -> None:
    origin = int(capture.ts_ns[0])
    numbers = [max(0, (ts - origin) // SIZE) for ts in capture.ts_ns.tolist()]
    rows = {row["window_id"]: row for row in whole(capture)}
    assert sorted(rows) == list(range(max(numbers) + 1))
    members: defaultdict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(numbers):
        members[number].append(index)
    for number, found in rows.items():
        assert found == found | plain_window(capture, members[number])


def plain_window(capture: Packets, members: list[int]) -> dict[str, Any]:
    """Return part of a window's row, packet by packet."""
    sent, received, protocols = Counter[str](), Counter[str](), Counter[str]()
    conversations = set()
    for index in members:
        length, protocol = int(capture.length_bytes[index]), int(capture.protocol[index])
        if protocol == NO_PROTOCOL:
            continue
        source, target = (text_of(ip[index]) for ip in (capture.src_ip, capture.dst_ip))
        sent[source] += length
        received[target] += length
        protocols[str(protocol)] += 1
        ends = ((source, int(capture.src_port[index])), (target, int(capture.dst_port[index])))
        conversations.add((protocol, *sorted(ends)))
    times = [int(capture.ts_ns[index]) for index in members]
    return {
        "record_count": len(members),
        "version": len(members),
        "bytes": sum(int(capture.length_bytes[index]) for index in members),
        "first_ts_ns": min(times, default=None),
        "last_ts_ns": max(times, default=None),
        "top_src_bytes": ranked(sent),
        "top_dst_bytes": ranked(received),
        "hosts": len(sent.keys() | received.keys()),
        "connections_total": len(conversations),
        "ip_protocol_packets": sorted(protocols.items()),
    }


def text_of(octets: np.ndarray[Any, Any]) -> str:
    return str(ipaddress.IPv6Address(octets.tobytes()).ipv4_mapped)


def ranked(counts: Counter[str]) -> list[dict[str, Any]]:
    order = sorted(counts.items(), key=lambda item: (-item[1], ipaddress.ip_address(item[0])))
    return [{"ip": ip, "bytes": n_bytes} for ip, n_bytes in order if n_bytes]


def test_a_late_packet_corrects_its_window() -> None:
    operator, merger = PartitionWindows(SIZE, 0, LATENESS), WindowMerger(1)
    capture = packets([row(ts_ns=SECOND), row(ts_ns=13 * SECOND), row(ts_ns=2 * SECOND)])
    closed = operator.feed(rows_of(capture, slice(0, 2)), 13 * SECOND)
    first = merger.feed(0, operator.closed_through, closed)
    assert [(w.window_id, w.records) for w in first] == [(0, 1)]
    correction = merger.feed(0, operator.closed_through, operator.feed(rows_of(capture, slice(2, 3)), 13 * SECOND))
    (corrected,) = window_rows("c", SIZE, 0, correction).to_pylist()
    assert (corrected["window_id"], corrected["record_count"], corrected["late_packets"]) == (0, 2, 1)
    assert corrected["version"] > first[0].records


def test_a_window_waits_for_the_allowed_lateness() -> None:
    operator = PartitionWindows(SIZE, 0, LATENESS)
    assert operator.feed(packets([row(ts_ns=SECOND)]), 12 * SECOND - 1) == []
    assert [partial.window_id for partial in operator.advance(12 * SECOND)] == [0]


def test_a_window_waits_for_every_partition() -> None:
    merger = WindowMerger(2)
    operator = PartitionWindows(SIZE, 0, LATENESS)
    closed = operator.feed(packets([row(ts_ns=SECOND)]), 20 * SECOND)
    assert merger.feed(0, operator.closed_through, closed) == []
    assert [window.window_id for window in merger.feed(1, 1, [])] == [0]


def test_empty_windows_inside_a_capture_exist() -> None:
    rows = whole(packets([row(ts_ns=0), row(ts_ns=45 * SECOND)]))
    assert [found["record_count"] for found in rows] == [1, 0, 0, 0, 1]
    assert rows[2]["first_ts_ns"] is None
    assert rows[2]["rtt_p95_ns"] is None


def test_a_jump_of_the_clock_does_not_fill_the_store_with_empty_windows() -> None:
    rows = whole(packets([row(ts_ns=0), row(ts_ns=(MAX_EMPTY_RUN + 50) * SIZE)]))
    assert [found["record_count"] for found in rows] == [1, *[0] * MAX_EMPTY_RUN, 1]


def test_packets_before_the_first_one_count_in_window_zero() -> None:
    rows = whole(packets([row(ts_ns=100 * SECOND), row(ts_ns=10 * SECOND)]))
    assert [(found["window_id"], found["record_count"]) for found in rows] == [(0, 2)]


def test_attempts_are_told_apart_by_what_became_of_them() -> None:
    answered = [
        row(src_port=1, tcp_flags=SYN),
        row(src=2, dst=1, src_port=80, dst_port=1, tcp_flags=SYN | ACK),
    ]
    refused = [
        row(src_port=2, tcp_flags=SYN),
        row(src=2, dst=1, src_port=80, dst_port=2, tcp_flags=RST | ACK),
    ]
    (found,) = whole(packets([*answered, *refused, row(src_port=3, tcp_flags=SYN)]))
    assert found["connections_attempted"] == 3
    assert found["connections_established"] == 1
    assert found["connections_failed"] == 1
    assert found["connections_half_open"] == 1


def test_protocols_are_named_by_service_then_transport_then_network() -> None:
    dns = row(protocol=17, src_port=40_000, dst_port=53)
    unknown = row(protocol=17, src_port=40_000, dst_port=40_001)
    arp = row(protocol=NO_PROTOCOL, ether_type=0x0806, src_port=0, dst_port=0)
    (found,) = whole(packets([row(), dns, unknown, arp]))
    assert dict(found["protocol_packets"]) == {"http": 1, "dns": 1, "udp": 1, "arp": 1}
    assert dict(found["ip_protocol_packets"]) == {"6": 1, "17": 2}


def test_later_fragments_are_no_conversation_of_their_own() -> None:
    first = row(protocol=17, dst_port=53, fragment=1)
    later = row(protocol=17, src_port=0, dst_port=0, fragment=2)
    (found,) = whole(packets([first, later]))
    assert found["connections_total"] == 1
    assert found["top_src_bytes"] == [{"ip": "10.0.0.1", "bytes": 200}]


def test_acknowledged_data_that_was_never_seen_makes_a_window_incomplete() -> None:
    there = {"src_port": 40_000, "dst_port": 80}
    back = {"src": 2, "dst": 1, "src_port": 80, "dst_port": 40_000}
    handshake = [
        row(**there, tcp_flags=SYN, tcp_seq=100, tcp_ack=0),
        row(**back, tcp_flags=SYN | ACK, tcp_seq=500, tcp_ack=101),
        row(**there, tcp_seq=101, tcp_ack=501),
        row(**there, tcp_seq=101, tcp_ack=501, payload_bytes=100),
    ]
    (seen,) = whole(packets(handshake))
    assert seen["is_complete"]
    (missing,) = whole(packets([*handshake, row(**back, tcp_seq=501, tcp_ack=301)]))
    assert missing["lost_upstream"] == 1
    assert not missing["is_complete"]
