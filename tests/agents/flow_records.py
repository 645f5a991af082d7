"""Flow records as the flows agent sends them, made by the meter from made-up traffic."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from streams.flow_rules import FlowRules
from streams.flows import FlowMeter
from tests.streams.traffic import ACK, RST, SYN, Row, packets, row

WINDOW_NS = 10_000_000_000

PSH = 0x08


def flow_records(count: int) -> pa.Table:
    """Return so many records: every second flow tries a closed port, the others talk with a web server."""
    random = np.random.default_rng(0)
    rows: list[Row] = []
    for number in range(count):
        start_ns = number * 1_000_000
        if number % 2:
            there = row(ts_ns=start_ns, src=3, dst=2, src_port=50_000, dst_port=number, tcp_flags=SYN)
            back = row(ts_ns=start_ns + 90_000, src=2, dst=3, src_port=number, dst_port=50_000, tcp_flags=RST | ACK)
            rows += [there, back]
        else:
            rows += _talk(20_000 + number, start_ns, random)
    meter = FlowMeter(WINDOW_NS, 0, FlowRules())
    records = [meter.feed(packets(sorted(rows, key=lambda each: each["ts_ns"])), 0), meter.flush()]
    table = pa.concat_tables(records).combine_chunks()
    assert table.num_rows == count
    return table


def _talk(port: int, start_ns: int, random: np.random.Generator) -> list[Row]:
    """Return a connection in which a client asks a few times and a server answers at length."""
    rows, at_ns = [row(ts_ns=start_ns, src=1, dst=2, src_port=port, dst_port=80, tcp_flags=SYN)], start_ns
    for _ in range(int(random.integers(1, 6))):
        at_ns += int(random.integers(1_000_000, 300_000_000))
        rows.append(row(ts_ns=at_ns, src=1, dst=2, src_port=port, dst_port=80, tcp_flags=PSH | ACK, payload_bytes=400))
        at_ns += int(random.integers(100_000, 30_000_000))
        answer = {"tcp_flags": PSH | ACK, "payload_bytes": int(random.integers(100, 1400))}
        rows.append(row(ts_ns=at_ns, src=2, dst=1, src_port=80, dst_port=port, **answer))
    return rows
