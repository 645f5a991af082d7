"""Which packets are a flow, when it ends, and that batches, partitions and snapshots leave no trace."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import FlowEnd, FlowMode, Fragment
from schemas.errors import WireError
from schemas.flows import FEATURE_NAMES, FLOW_SCHEMA
from schemas.packets import NO_PROTOCOL
from schemas.protocols import ICMP, TCP, UDP
from streams.flow_rows import features_of
from streams.flow_rules import MAX_TOTAL_NS, FlowRules
from streams.flows import FlowMeter
from streams.packets import Packets
from streams.split import split
from streams.wire import packets_of

from .flow_oracle import Meter
from .traffic import ACK, FIN, RST, SECOND, SYN, packets, row, rows_of

WINDOW = 10 * SECOND
PSH, URG, ECE, CWR = 0x08, 0x20, 0x40, 0x80

Record = dict[str, Any]


def metered(
    capture: Packets, rules: FlowRules, cuts: list[int] | None = None, partitions: int = 1, *, snapshots: bool = False
) -> list[Record]:
    """Return the records of a capture, computed in these batches and partitions, in order of flow and window."""
    origin = int(capture.ts_ns[0])
    meters = [FlowMeter(WINDOW, origin, rules) for _ in range(partitions)]
    batches: list[pa.Table] = []
    clock = origin
    for first, last in pairwise([0, *(cuts or []), len(capture.ts_ns)]):
        if first == last:
            continue
        batch = rows_of(capture, slice(first, last))
        clock = max(clock, int(batch.ts_ns.max()))
        for number, part in enumerate(split(batch, partitions)):
            meter = meters[number]
            batches.append(meter.advance(clock) if part is None else meter.feed(packets_of(part), clock))
            if snapshots:
                meters[number] = FlowMeter.restore(meter.snapshot())
    batches += [meter.flush() for meter in meters]
    assert sum(meter.records for meter in meters) == len(capture.ts_ns)
    return ordered(pa.concat_tables(batches))


def ordered(table: pa.Table) -> list[Record]:
    rows: list[Record] = table.to_pylist()
    return sorted(rows, key=lambda record: (record["first_frame"], record["window_id"], record["end_reason"]))


@st.composite
def traffic(draw: st.DrawFn, max_packets: int = 50) -> Packets:
    """Draw a capture of few flows with many packets, pauses of all lengths and time that runs back now and then."""
    rows, now = [], 1_000 * SECOND
    flags = st.sampled_from(
        [SYN, SYN | ACK, ACK, ACK, ACK | PSH, ACK | URG, FIN | ACK, FIN | ACK, RST, RST | ACK, ECE | CWR]
    )
    steps = st.sampled_from([0, 1, 999, 1_000, 2_500_000, 2_500_000, SECOND, 3 * SECOND, 11 * SECOND, 130 * SECOND])
    for _ in range(draw(st.integers(1, max_packets))):
        now += draw(steps)
        protocol = draw(st.sampled_from([TCP, TCP, TCP, TCP, UDP, ICMP, NO_PROTOCOL]))
        values = row(ts_ns=now - draw(st.sampled_from([0, 0, 0, 0, 5_000, SECOND])), protocol=protocol)
        sides = [("src", "src_port", 1, 40_000), ("dst", "dst_port", draw(st.integers(2, 3)), 80)]
        if draw(st.booleans()):
            sides = [(*sides[0][:2], *sides[1][2:]), (*sides[1][:2], *sides[0][2:])]
        for name, port_name, host, port in sides:
            values[name] = host
            values[port_name] = port if protocol in (TCP, UDP) else 0
        values["vlan"] = draw(st.sampled_from([0, 0, 0, 7]))
        values["fragment"] = draw(st.sampled_from([0, 0, 0, 0, 1])) if protocol == UDP else 0
        values["tcp_flags"] = draw(flags) if protocol == TCP else 0
        values["payload_bytes"] = draw(st.sampled_from([0, 0, 1, 10, 1400])) if protocol in (TCP, UDP) else 0
        values["l4_header_bytes"] = draw(st.sampled_from([20, 32])) if protocol == TCP else 8
        values["tcp_window_bytes"] = draw(st.integers(0, 65_535)) if protocol == TCP else 0
        values["length_bytes"] = 54 + values["payload_bytes"]
        rows.append(values)
    return packets(rows)


modes = st.sampled_from(list(FlowMode))


def lists(record: Record) -> Record:
    return record | {"features": [str(np.float32(value)) for value in record["features"]]}


@settings(max_examples=40)
@given(traffic(), modes, st.data())
def test_flows_do_not_depend_on_batches_or_partitions(capture: Packets, mode: FlowMode, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(capture.ts_ns)), max_size=8)))
    partitions = data.draw(st.integers(1, 5))
    rules = FlowRules(mode=mode)
    pieces = metered(capture, rules, cuts, partitions)
    assert [lists(record) for record in pieces] == [lists(record) for record in metered(capture, rules)]


@settings(max_examples=40)
@given(traffic(), modes, st.integers(1, 4), st.data())
def test_snapshots_and_a_full_table_do_not_depend_on_batches(
    capture: Packets, mode: FlowMode, capacity: int, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(capture.ts_ns)), max_size=8)))
    rules = FlowRules(mode=mode, capacity=capacity)
    pieces = metered(capture, rules, cuts, snapshots=True)
    assert [lists(record) for record in pieces] == [lists(record) for record in metered(capture, rules)]


@settings(max_examples=60)
@given(traffic(), modes)
def test_flows_and_features_are_what_a_plain_computation_finds(capture: Packets, mode: FlowMode) -> None:
    rules = FlowRules(mode=mode)
    expected = Meter(WINDOW, int(capture.ts_ns[0]), rules).run(capture)
    expected.sort(key=lambda record: (record["first_frame"], record["window_id"], record["end_reason"]))
    found = metered(capture, rules)
    assert [{name: record[name] for name in record if name != "features"} for record in expected] == [
        {name: record[name] for name in expected[0] if name != "features"} for record in found
    ]
    for ours, theirs in zip(found, expected, strict=True):
        for name, mine, value in zip(FEATURE_NAMES, ours["features"], theirs["features"], strict=True):
            assert mine == pytest.approx(float(value), rel=1e-6, abs=1e-3, nan_ok=True), name


def one_flow(*rows: Record) -> list[Record]:
    """Return the records of packets between 10.0.0.1:40000 and 10.0.0.2:80, interim ones left out."""
    return [record for record in metered(packets(rows), FlowRules()) if record["end_reason"] != FlowEnd.INTERIM]


def there(at_ms: int, flags: int = ACK, **values: Any) -> Record:
    return row(ts_ns=SECOND + at_ms * 1_000_000, tcp_flags=flags, **values)


def back(at_ms: int, flags: int = ACK, **values: Any) -> Record:
    ends = {"src": 2, "dst": 1, "src_port": 80, "dst_port": 40_000}
    return row(**{"ts_ns": SECOND + at_ms * 1_000_000, "tcp_flags": flags} | ends | values)


def feature(record: Record, name: str) -> float:
    value: float = record["features"][FEATURE_NAMES.index(name)]
    return value


def test_a_flow_ends_when_both_sides_have_sent_fin_and_takes_stragglers() -> None:
    (record,) = one_flow(there(0, SYN), there(1, FIN | ACK), back(2), back(3, FIN | ACK), there(4), back(9_900, RST))
    assert record["end_reason"] == "fin"
    assert (record["fwd_packets"], record["bwd_packets"]) == (3, 3)


def test_a_fin_of_one_side_does_not_end_a_flow() -> None:
    (record,) = one_flow(there(0, SYN), there(1, FIN | ACK), there(2, FIN | ACK), back(3), there(60_000))
    assert record["end_reason"] == "end_of_capture"


def test_a_reset_ends_a_flow_and_a_new_syn_begins_the_next_at_once() -> None:
    first, second = one_flow(there(0, SYN), back(1, RST | ACK), there(2, SYN), back(3, SYN | ACK))
    assert [first["end_reason"], second["end_reason"]] == ["rst", "end_of_capture"]
    assert first["flow_id"] != second["flow_id"]
    assert first["community_id"] == second["community_id"]


def test_what_comes_long_after_the_end_is_another_flow() -> None:
    first, second = one_flow(there(0, SYN), back(1, RST | ACK), back(11_002, RST))
    assert (first["end_reason"], first["bwd_packets"]) == ("rst", 1)
    assert (second["src_port"], second["fwd_packets"]) == (80, 1)


def test_a_flow_is_cut_after_two_minutes_and_forward_stays_forward() -> None:
    regular = [there(at, PSH | ACK) for at in range(0, 120_001, 10_000)]
    first, second = one_flow(*regular, back(120_002), there(120_003))
    assert (first["end_reason"], first["fwd_packets"]) == ("timeout", 13)
    assert (second["src_port"], second["fwd_packets"], second["bwd_packets"]) == (40_000, 1, 1)


def test_a_quiet_flow_ends_by_the_clock_of_the_capture() -> None:
    other = row(ts_ns=200 * SECOND, src=3, dst=4)
    first, _ = one_flow(there(0, SYN), back(1, SYN | ACK), other)
    assert first["end_reason"] == "idle"


def test_a_flow_that_goes_on_reports_each_window_in_which_it_had_packets() -> None:
    slow = [there(at, PSH | ACK, payload_bytes=10) for at in (0, 1_000, 12_000, 45_000)]
    records = metered(packets(slow), FlowRules())
    assert [(record["window_id"], record["end_reason"], record["fwd_packets"]) for record in records] == [
        (0, "interim", 2),
        (1, "interim", 3),
        (4, "end_of_capture", 4),
    ]
    assert len({record["flow_id"] for record in records}) == 1


def test_an_interim_record_comes_when_the_clock_passes_without_packets() -> None:
    meter = FlowMeter(WINDOW, 0)
    assert meter.feed(packets([there(0), there(1)]), 2 * SECOND).num_rows == 0
    assert meter.advance(WINDOW).column("end_reason").to_pylist() == ["interim"]
    assert meter.advance(2 * WINDOW).num_rows == 0


def test_one_packet_has_no_interim_record() -> None:
    meter = FlowMeter(WINDOW, 0)
    meter.feed(packets([there(0, SYN)]), 2 * SECOND)
    assert meter.advance(3 * WINDOW).num_rows == 0
    assert meter.flush().num_rows == 1


def test_vlans_are_kept_apart() -> None:
    assert [record["vlan"] for record in one_flow(there(0), there(1, vlan=7))] == [0, 7]


def test_fragments_of_two_hosts_are_one_flow_without_ports() -> None:
    first = row(ts_ns=SECOND, protocol=UDP, fragment=Fragment.FIRST)
    later = row(ts_ns=SECOND, protocol=UDP, fragment=Fragment.LATER, src_port=0, dst_port=0)
    (record,) = one_flow(first, later)
    assert (record["src_port"], record["dst_port"], record["fwd_packets"]) == (0, 0, 2)


def test_frames_without_ip_are_counted_and_in_no_flow() -> None:
    meter = FlowMeter(WINDOW, 0)
    meter.feed(packets([row(protocol=NO_PROTOCOL), row()]), 0)
    assert (meter.records, meter.skipped, meter.live) == (2, 1, 1)


def test_rates_of_a_flow_without_duration_are_zero_and_finite() -> None:
    (record,) = one_flow(there(0, SYN, payload_bytes=5))
    assert np.isfinite(record["features"]).all()
    assert feature(record, "Flow Bytes/s") == 0


def test_time_that_runs_backwards_makes_no_negative_times() -> None:
    (record,) = one_flow(there(1_000), back(500), there(1_500))
    assert feature(record, "Flow Duration") == 500_000
    assert min(record["features"]) == 0


def test_flow_ids_are_the_same_in_both_directions_of_looking_and_differ_between_flows() -> None:
    capture = packets([there(0), back(1), there(2, src_port=40_001), there(3, src_port=40_002)])
    ids = [record["flow_id"] for record in metered(capture, FlowRules())]
    assert len(set(ids)) == 3
    assert ids == [record["flow_id"] for record in metered(capture, FlowRules(), [1, 2, 3], 4)]


def flood(count: int) -> Packets:
    """Return one-packet flows from random addresses, a million a second, between two long-lived ones."""
    choose = np.random.default_rng(1)
    built = packets([there(0, SYN)] * count)
    built.ts_ns[:] = SECOND + 1000 * np.arange(count)
    built.lag_ns[:] = 0
    built.src_ip[:, 12:] = choose.integers(0, 256, (count, 4))
    built.src_port[:] = choose.integers(1024, 65_536, count)
    for number in range(0, count, 10_000):
        kept = packets([there(0, ACK | PSH, payload_bytes=10)])
        built.src_ip[number], built.src_port[number] = kept.src_ip[0], kept.src_port[0]
    return built


def test_a_flood_of_a_million_one_packet_flows_does_not_grow_the_table() -> None:
    capture, rules = flood(1_000_000), FlowRules(capacity=20_000)
    meter = FlowMeter(WINDOW, SECOND, rules)
    rows = bytes_after = 0
    for first in range(0, 1_000_000, 50_000):
        batch = rows_of(capture, slice(first, first + 50_000))
        rows += meter.feed(batch, int(batch.ts_ns.max())).num_rows
        assert meter.live <= rules.capacity
        bytes_after = bytes_after or meter.state_bytes
    assert meter.state_bytes == bytes_after < 32_768 * 1_000
    evicted, last = meter.ended[FlowEnd.EVICTED], meter.flush()
    assert evicted == rows > 900_000
    packets_metered = rows + sum(last.column("fwd_packets").to_pylist())
    assert packets_metered == 1_000_000, "the flow with many packets was not evicted"


def test_flows_of_one_packet_are_evicted_first_and_the_quietest_of_them() -> None:
    meter = FlowMeter(WINDOW, 0, FlowRules(capacity=3))
    many = [there(0), there(0)]
    meter.feed(packets([*many, there(1, src_port=1), there(2, src_port=2)]), 2 * SECOND)
    gone = meter.feed(packets([there(3, src_port=3)]), 2 * SECOND)
    assert [(r["src_port"], r["end_reason"]) for r in gone.to_pylist()] == [(1, "evicted")]


def test_a_snapshot_holds_rules_and_counts() -> None:
    rules = FlowRules(capacity=2, linger_ns=7, mode=FlowMode.COMPATIBLE)
    meter = FlowMeter(WINDOW, 5, rules)
    meter.feed(packets([there(0, src_port=port) for port in (1, 2, 3)]), SECOND)
    restored = FlowMeter.restore(meter.snapshot())
    assert (restored.rules, restored.window_ns, restored.origin_ns) == (rules, WINDOW, 5)
    assert (restored.ended, restored.live, restored.records) == (meter.ended, meter.live, 3)
    assert meter.ended[FlowEnd.EVICTED] == 1


@pytest.mark.parametrize("damage", [b"", b"swop", b"x" * 100])
def test_what_is_no_snapshot_is_refused(damage: bytes) -> None:
    with pytest.raises(WireError):
        FlowMeter.restore(damage)


def test_a_cut_snapshot_is_refused() -> None:
    meter = FlowMeter(WINDOW, 0)
    meter.feed(packets([there(0)]), SECOND)
    with pytest.raises(WireError):
        FlowMeter.restore(meter.snapshot()[:-20])


@pytest.mark.parametrize("wrong", [{"total_ns": 0}, {"total_ns": MAX_TOTAL_NS + 1}, {"idle_ns": -1}, {"capacity": 0}])
def test_nonsensical_rules_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        FlowRules(**wrong)


def test_features_are_read_without_a_copy() -> None:
    meter = FlowMeter(WINDOW, 0)
    meter.feed(packets([there(0), back(1)]), SECOND)
    table = meter.flush()
    assert table.schema == FLOW_SCHEMA
    (batch,) = table.to_batches()
    vectors = features_of(batch)
    assert vectors.shape == (1, len(FEATURE_NAMES))
    assert not vectors.flags.owndata
    assert vectors.tolist() == features_of(table).tolist()
