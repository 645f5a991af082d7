"""Packets and records joined as columns: the same as one packet at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import packet_records
from api.packet_records import counted_by, judged
from api.record_verdicts import Record, RecordsByFlow
from schemas.verdicts import NO_VERDICT, verdict_of, verdicts_of

End = tuple[int, int]
"""An address and a port."""

ends = st.tuples(st.integers(0, 2), st.sampled_from((0, 80, 65_535)))
flows = st.tuples(st.integers(1, 2), st.sampled_from((6, 17)), st.sampled_from((0, 4095)), ends, ends)
packets = st.lists(st.tuples(flows, st.integers(0, 30)), max_size=20)
records = st.lists(st.tuples(flows, st.integers(0, 25), st.integers(0, 6)), max_size=20)


def addresses(numbers: list[int]) -> pa.Array:
    return pa.array([bytes(15) + bytes([number]) for number in numbers], pa.binary(16))


def columns(rows: list[tuple[int, int, int, End, End]]) -> dict[str, pa.Array]:
    return {
        "capture": pa.array([row[0] for row in rows], pa.uint64()),
        "protocol": pa.array([row[1] for row in rows], pa.uint8()),
        "vlan": pa.array([row[2] for row in rows], pa.uint16()),
        "src_ip": addresses([row[3][0] for row in rows]),
        "from_port": pa.array([row[3][1] for row in rows], pa.uint16()),
        "dst_ip": addresses([row[4][0] for row in rows]),
        "to_port": pa.array([row[4][1] for row in rows], pa.uint16()),
    }


def frames(numbers: list[int]) -> pa.Array:
    return pa.array(numbers, pa.uint64())


@pytest.mark.parametrize("beyond", [0, 2**40])
@given(packets=packets, records=records)
def test_each_packet_is_counted_by_the_record_that_is_found_one_at_a_time(
    beyond: int,
    packets: list[tuple[tuple[int, int, int, End, End], int]],
    records: list[tuple[tuple[int, int, int, End, End], int, int]],
) -> None:
    records = list(
        {(frozenset(flow[3:]), *flow[:3], since + more): (flow, since, more) for flow, since, more in records}.values()
    )
    by_flow = RecordsByFlow(
        Record(
            key=(str(flow[0]), flow[1], flow[2], frozenset((str(address), port) for address, port in flow[3:])),
            flow_id=number, src=("", 0), dst=("", 0), end_ns=0, packets=0,
            since_frame=beyond + since, last_frame=beyond + since + more, verdict=NO_VERDICT,
        )
        for number, (flow, since, more) in enumerate(records)
    )  # fmt: skip
    expected = []
    for flow, frame in packets:
        key = (str(flow[0]), flow[1], flow[2], frozenset((str(address), port) for address, port in flow[3:]))
        record = by_flow.of(key, beyond + frame)
        expected.append(len(records) if record is None else record.flow_id)
    found = counted_by(
        pa.table({**columns([flow for flow, _ in packets]), "frame": frames([beyond + frame for _, frame in packets])}),
        pa.table(
            {
                **columns([flow for flow, _, _ in records]),
                "since_frame": frames([beyond + since for _, since, _ in records]),
                "last_frame": frames([beyond + since + more for _, since, more in records]),
            }
        ),
    )
    assert found.tolist() == expected


@pytest.mark.parametrize("is_turned", [False, True])
def test_a_last_record_without_packets_hides_none_of_the_one_before(is_turned: bool) -> None:
    flow = (1, 6, 0, (1, 80), (2, 4095))
    spans = [(11, 10), (3, 10)] if is_turned else [(3, 10), (11, 10)]
    key = ("1", 6, 0, frozenset((("1", 80), ("2", 4095))))
    by_flow = RecordsByFlow(
        Record(
            key=key, flow_id=number, src=("", 0), dst=("", 0), end_ns=0, packets=0,
            since_frame=since, last_frame=last, verdict=NO_VERDICT,
        )
        for number, (since, last) in enumerate(spans)
    )  # fmt: skip
    record = by_flow.of(key, 4)
    assert record is not None
    assert spans[record.flow_id] == (3, 10)
    since, last = ([span[part] for span in spans] for part in range(2))
    found = counted_by(
        pa.table({**columns([flow]), "frame": frames([4])}),
        pa.table({**columns([flow] * 2), "since_frame": frames(since), "last_frame": frames(last)}),
    )
    assert [spans[place] for place in found.tolist()] == [(3, 10)]


def test_pairs_of_large_numbers_stay_apart() -> None:
    some, others = np.array([2**61, 2**61, 7, 2**61]), np.array([2**61, 3, 2**61, 2**61])
    found = packet_records._paired(some, others).tolist()
    assert found[0] == found[3]
    assert len(set(found)) == 3


probabilities = st.sampled_from((0.0, 0.25, 0.5, 0.75, 1.0))


@given(
    st.lists(
        st.tuples(probabilities, st.sampled_from(("BENIGN", "DDoS")), st.sampled_from((0.0, 40.0, 60.0, 85.0))),
        max_size=9,
    )
)
def test_verdicts_on_many_records_are_those_on_each(made: list[tuple[float, str, float]]) -> None:
    probability, names, raised = ([one[part] for one in made] for part in range(3))
    scores, classes = verdicts_of(
        np.array(probability, np.float32),
        np.array(names, np.object_),
        np.array(raised, np.float64),
        np.array(["port_scan" if score else "" for score in raised], np.object_),
    )
    expected = [verdict_of(p, name, [(score, "port_scan")] if score else []) for p, name, score in made]
    assert [(v.score, v.attack_class) for v in expected] == list(zip(scores.tolist(), classes.tolist(), strict=True))


def test_packets_that_no_record_counts_are_benign() -> None:
    nothing = {"raised": pa.array([], pa.uint8()), "attack_probability": pa.array([], pa.float32())}
    scores, classes = judged(
        pa.table({**nothing, "class_name": pa.array([], pa.string())}), {"anomaly_scores": [], "anomaly_types": []}
    )
    assert (scores.tolist(), classes.tolist()) == ([0.0], ["BENIGN"])
