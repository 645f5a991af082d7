"""How fast events, figures and features are answered from a large store.

``python -m benchmarks.events`` makes a store of generated packets (``--packets``, 20 to a flow over an hour; a host
with a twentieth of all packets, port scans, rare bots, anomalies) in a temporary folder and asks what the routes ask,
each question repeatedly, and each time as if for the first time: what ClickHouse remembers of a condition is forgotten
in between. It prints wall and processor time as a page of Markdown and writes nothing else. With ``--store`` it asks
one that is there.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path

import click
import numpy as np
import pyarrow as pa

from api import queries_features, queries_honeypots
from api.event_filters import EventFilter
from api.event_pages import events
from api.filters import TimeRange
from api.traffic_figures import TrafficFigures
from infra.memory import freeze_start
from infra.store import Store
from schemas.anomalies import ANOMALY_SCHEMA
from schemas.enums import AnomalyType, Severity, Threat

BEGIN_NS = 1_795_000_000 * 10**9
MINUTE_NS = 60 * 10**9
HOUR_NS = 60 * MINUTE_NS
WINDOW_NS = 10 * 10**9
CAPTURE = "benchmark"
PACKETS_A_FLOW = 20
CAPTURES = 100
CHUNK = 25_000
"""Flows that are inserted at once."""

HEAVY, SCANNER = "10.0.0.5", "198.51.100.66"

# Flows begin one after another; packet k of a flow comes when 70 × k more have begun, so some 1,400 go on at a time.
_FLOW = f"""
toUInt64(f) AS flow, intDiv(flow * 60, {{flows:UInt64}}) AS minute,
minute IN (10, 11, 12, 40) AND flow % 3 = 0 AS is_scan, cityHash64(flow) % 1000 = 0 AS is_rare,
toIPv6(multiIf(is_scan, '{SCANNER}', flow % 10 = 0, '{HEAVY}', concat('10.', toString(flow % 7), '.',
       toString(intDiv(flow, 7) % 250), '.', toString(flow % 251 + 1)))) AS a,
toIPv6(concat('172.16.', toString(cityHash64(flow, 2) % 8), '.', toString(cityHash64(flow, 3) % 200 + 1))) AS b,
toUInt16(1024 + flow % 60000) AS a_port,
toUInt16(is_scan ? flow % 1000 : [443, 80, 53, 22, 8080][flow % 5 + 1]) AS b_port,
toUInt8(flow % 5 = 2 ? 17 : 6) AS proto
"""

_PACKETS = f"""
INSERT INTO packet_logs (capture_id, event_id, ts_ns, frame, src_ip, dst_ip, src_port, dst_port, protocol, ether_type,
                         ttl, tcp_flags, length_bytes, captured_bytes, payload_bytes)
SELECT '{CAPTURE}', bitShiftLeft(intDiv(number_of, 65536), 18) + number_of % 65536,
       {BEGIN_NS} + slot * {{slot_ns:Int64}} + k * 1000 AS ts_ns, number_of,
       k % 2 = 0 ? a : b, k % 2 = 0 ? b : a, k % 2 = 0 ? a_port : b_port, k % 2 = 0 ? b_port : a_port, proto, 2048,
       64, 16, 60 + cityHash64(flow, k) % 1400, 60, 20
FROM
(
    SELECT slot, k, toInt64(slot) - 70 * toInt64(k) AS f, toUInt64(slot) * 20 + k + 1 AS number_of, {_FLOW}
    FROM (SELECT {{first:UInt64}} + intDiv(number, 20) AS slot, number % 20 AS k FROM numbers({CHUNK * PACKETS_A_FLOW}))
    WHERE toInt64(slot) - 70 * toInt64(k) >= 0 AND toInt64(slot) - 70 * toInt64(k) < toInt64({{flows:UInt64}})
)
ORDER BY ts_ns
SETTINGS max_threads = 1
"""

# Two records of each flow: of its first ten packets, and of the others.
_VERDICTS = f"""
INSERT INTO classifications (capture_id, flow_id, window_id, src_ip, dst_ip, src_port, dst_port, protocol, start_ns,
                             end_ns, end_reason, first_frame, last_frame, since_frame, fwd_packets, bwd_packets,
                             new_fwd_packets, new_bwd_packets, role, model, class_name, confidence, attack_probability)
SELECT '{CAPTURE}', cityHash64(flow), intDiv((flow + 70 * last_k) * {{slot_ns:Int64}}, {WINDOW_NS}), a, b, a_port,
       b_port, proto, {BEGIN_NS} + toInt64(flow) * {{slot_ns:Int64}},
       {BEGIN_NS} + toInt64(flow + 70 * last_k) * {{slot_ns:Int64}} + last_k * 1000, part ? 'fin' : 'interim',
       flow * 20 + 1, (flow + 70 * last_k) * 20 + last_k + 1, (flow + 700 * part) * 20 + 10 * part + 1,
       5 * (part + 1), 5 * (part + 1), 5, 5, 'champion', '0123456789ab',
       multiIf(is_scan, 'PortScan', is_rare, 'Bot', 'BENIGN'), 0.97,
       multiIf(is_scan, 0.98, is_rare, 0.6, 0.01 + (cityHash64(flow, 1) % 100) / 1000)
FROM
(
    SELECT number AS f, part, 10 * part + 9 AS last_k, {_FLOW}
    FROM numbers({{first:UInt64}}, {CHUNK}) ARRAY JOIN [0, 1] AS part WHERE number < {{flows:UInt64}}
)
"""

_WINDOWS = f"""
INSERT INTO windows (capture_id, window_id, window_start_ns, window_end_ns)
SELECT '{CAPTURE}', number, {BEGIN_NS} + number * {WINDOW_NS}, {BEGIN_NS} + (number + 1) * {WINDOW_NS}
FROM numbers({HOUR_NS // WINDOW_NS})
"""

HEAD = """# Questions about events

Written by `python -m benchmarks.events`; see [Events](../events.md#how-fast). {packets:,} packets of an hour (one host
sends a twentieth of them, another only scans; a record for every ten, 200 anomalies), asked {times} times each, each
time as if for the first time: of parts at rest, and besides of parts as they were inserted, which they are for ten
minutes, and of the same packets as 100 captures, one after another. {cores} cores, load {load:.1f} at the end.
"""

QUESTIONS: dict[str, EventFilter] = {
    "no filter": EventFilter(),
    **{f"threat={threat}": EventFilter(threat=threat) for threat in Threat},
    "protocol=udp": EventFilter(given={"protocols": [17]}),
    "protocol=icmp (none)": EventFilter(given={"protocols": [1, 58]}),
    "source, much": EventFilter(given={"source_ip": HEAVY}),
    "source, long ago": EventFilter(given={"source_ip": SCANNER}),
    "source, none": EventFilter(given={"source_ip": "203.0.113.1"}),
    "destination": EventFilter(given={"destination_ip": "172.16.1.34"}),
    "port=8080": EventFilter(given={"port": 8080}),
    "port=999, long ago": EventFilter(given={"port": 999}),
    "threat=MALICIOUS, udp": EventFilter(threat=Threat.MALICIOUS, given={"protocols": [17]}),
    "threat=SUSPICIOUS, source": EventFilter(threat=Threat.SUSPICIOUS, given={"source_ip": HEAVY}),
    "threat=BENIGN, source of threats": EventFilter(threat=Threat.BENIGN, given={"source_ip": SCANNER}),
    "threat=SUSPICIOUS, port=8080": EventFilter(threat=Threat.SUSPICIOUS, given={"port": 8080}),
    "threat=MALICIOUS, minute of a scan": EventFilter(
        TimeRange(BEGIN_NS + 11 * MINUTE_NS, BEGIN_NS + 12 * MINUTE_NS), Threat.MALICIOUS
    ),
    "threat=MALICIOUS, port=53, tcp": EventFilter(threat=Threat.MALICIOUS, given={"port": 53, "protocols": [6]}),
    "port=53, tcp, source": EventFilter(given={"port": 53, "protocols": [6], "source_ip": HEAVY}),
    "source, destination": EventFilter(given={"source_ip": HEAVY, "destination_ip": "172.16.1.34"}),
}


@dataclass(frozen=True)
class Figures:
    """What one question took, ms: wall time at the median and the 95th percentile, processor time at the median."""

    name: str
    bar_ms: float
    p50_ms: float
    p95_ms: float
    cpu_ms: float


def fill(store: Store, packets: int) -> None:
    """Store an hour of generated packets, its windows and the verdicts on them."""
    flows = packets // PACKETS_A_FLOW
    values = {"flows": flows, "slot_ns": HOUR_NS // flows}
    for first in range(0, flows + 70 * PACKETS_A_FLOW, CHUNK):
        store.command(_PACKETS, {**values, "first": first})
    for first in range(0, flows, CHUNK):
        store.command(_VERDICTS, {**values, "first": first})
    store.command(_WINDOWS)
    store.insert("anomalies", pa.Table.from_pylist(list(_anomalies()), schema=ANOMALY_SCHEMA), "anomalies")


def _anomalies() -> Iterator[dict[str, object]]:
    blank = {field.name: _blank(field) for field in ANOMALY_SCHEMA}
    for number in range(200):
        window = number * 9 // 5
        begin_ns = BEGIN_NS + window * WINDOW_NS
        yield blank | {
            "capture_id": CAPTURE,
            "window_id": window,
            "anomaly_id": f"{number:016x}",
            "version": 1,
            "window_start_ns": begin_ns,
            "window_end_ns": begin_ns + WINDOW_NS,
            "type": AnomalyType.TRAFFIC_SPIKE,
            "severity": Severity.HIGH if number % 2 else Severity.MEDIUM,
            "source_ip": SCANNER if number % 4 else HEAVY,
        }


def _blank(field: pa.Field) -> object:
    if field.nullable:
        return None
    if pa.types.is_list(field.type):
        return []
    return "" if pa.types.is_string(field.type) or pa.types.is_dictionary(field.type) else 0


def bring_to_rest(store: Store) -> None:
    """Merge parts at once, as is done in the background when they are ten minutes old (migration 20)."""
    for name in ("packet_logs", "packet_verdicts"):
        store.command(f"OPTIMIZE TABLE {name} FINAL SETTINGS optimize_skip_merged_partitions = 1")


def split(store: Store, packets: int) -> None:
    """Make captures of the one, one after another and each of a hundredth of the packets, and bring them to rest."""
    each = packets // CAPTURES
    of_window = f"window_id * {packets} / {HOUR_NS // WINDOW_NS}"
    places = {"packet_logs": "frame", "packet_verdicts": "since_frame", "windows": of_window, "anomalies": of_window}
    for name, place in places.items():
        capture = f"concat('part-', leftPad(toString(intDiv(toUInt64({place}), {each})), 3, '0'))"
        columns = f"* REPLACE ({capture} AS capture_id)"
        store.command(f"INSERT INTO {name} SELECT {columns} FROM {name} WHERE {name}.capture_id = '{CAPTURE}'")
    for name in (*places, "traffic"):
        store.command(f"DELETE FROM {name} WHERE capture_id = '{CAPTURE}'")
    bring_to_rest(store)


def measured(store: Store, name: str, bar_ms: float, ask: Callable[[], object], times: int) -> Figures:
    """Ask again and again."""
    ask()
    wall_s, cpu_s = [], []
    for _ in range(times):
        store.command("SYSTEM DROP QUERY CONDITION CACHE")
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        ask()
        cpu_s.append(time.process_time() - began_cpu_s)
        wall_s.append(time.perf_counter() - began_s)
    p50, p95 = np.percentile(wall_s, (50, 95)).tolist()
    return Figures(name, bar_ms, p50 * 1e3, p95 * 1e3, float(np.median(cpu_s)) * 1e3)


def pages_of(store: Store, times: int) -> Iterator[Figures]:
    """Measure pages of events."""
    for name, wanted in QUESTIONS.items():
        yield measured(store, f"events, {name}", 100, partial(events, store, wanted, 101), times)


def figures_of(store: Store, times: int) -> Iterator[Figures]:
    """Measure everything."""
    yield from pages_of(store, times)
    yield measured(store, "live traffic", 100, lambda: events(store, EventFilter(), 50), times)
    kept = TrafficFigures(store)
    yield measured(
        store, "stats", 20, lambda: (kept.of(), queries_honeypots.active_honeypots(store, time.time_ns())), times
    )
    yield measured(store, "stats, something new", 0, lambda: TrafficFigures(store).of(), times)
    for name, condition in (
        ("any", "1"),
        ("of the heaviest source", f"src_ip = toIPv6('{HEAVY}')"),
    ):
        rows = store.query(
            f"SELECT event_id FROM packet_logs WHERE {condition} ORDER BY cityHash64(event_id) LIMIT 1000"
        )
        ids = [int(str(row["event_id"])) for row in rows]
        one = cycle([event_id] for event_id in ids)
        yield measured(store, f"features, {name}", 50, partial(_next_features, store, one), times)
        batch = max(3, times // 10)
        yield measured(store, f"features, 1,000 {name}", 2000, partial(_features, store, ids), batch)


def _next_features(store: Store, ids: Iterator[list[int]]) -> None:
    _features(store, next(ids))


def _features(store: Store, ids: list[int]) -> None:
    queries_features.look_backs(store, ids)


def table(at_rest: list[Figures], *others: list[Figures]) -> str:
    """Return the figures as a Markdown table; of other states of the store, the times of what was asked there."""
    lines = [
        "| question | bar, ms | p50, ms | p95, ms | processor, ms | as inserted: p50 | p95 | 100 captures: p50 | p95 |",
        "|---|" + "--:|" * 8,
    ]
    besides = [{one.name: one for one in figures} for figures in others]
    for one in at_rest:
        bar = f"{one.bar_ms:,.0f}" if one.bar_ms else ""
        found = [figures.get(one.name) for figures in besides]
        cells = [bar, *(f"{number:,.1f}" for number in (one.p50_ms, one.p95_ms, one.cpu_ms))]
        for other in found:
            cells += [f"{other.p50_ms:,.1f}", f"{other.p95_ms:,.1f}"] if other else ["", ""]
        lines.append(f"| {one.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


@click.command()
@click.option("--packets", default=10_000_000, help="How many packets the store has.")
@click.option("--times", default=50, help="How often each question is asked.")
@click.option(
    "--store", "folder", type=click.Path(path_type=Path), help="A folder whose store is asked, or made there."
)
def main(packets: int, times: int, folder: Path | None) -> None:
    """Measure the questions about events, and print the page of them."""
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary) / "store"
        is_there = place.exists()
        with Store.open(f"chdb://{place}") as store:
            store.migrate()
            if not is_there:
                fill(store, packets)
            freeze_start()  # as the API does
            as_inserted = [] if is_there else list(figures_of(store, times))
            bring_to_rest(store)
            at_rest = list(figures_of(store, times))
            in_captures: list[Figures] = []
            if folder is None:  # nobody wants to keep it as it is
                split(store, packets)
                in_captures = list(pages_of(store, times))
    print(HEAD.format(packets=packets, times=times, cores=os.cpu_count(), load=os.getloadavg()[0]))
    print(table(at_rest, as_inserted, in_captures))


if __name__ == "__main__":
    main()
