"""SQL of the events of one threat: from the newest records that have it to their packets.

Every packet is not later than the record that counts it (``end_ns``), and the record ends within ``REACH_NS`` of it. So
the newest records down to one that ends at ``b`` have every packet that is later than ``b``.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv6Address

from api.event_filters import EventFilter
from api.event_verdicts import EventRow, event_row
from api.queries_events import (
    CONDITIONS,
    MAX_PAGE,
    EventsBehind,
    MoreConditions,
    Stretch,
    captures_value,
    conditions_of,
    of_captures,
    packets,
)
from api.record_verdicts import RECORD_COLUMNS, Record, RecordsByFlow, end_values, judged
from api.threat_anomalies import ThreatAnomaly, threat_anomalies
from api.verdict_sql import BY_CLASSIFIER
from infra.store import Store
from schemas.enums import Threat
from schemas.verdicts import MALICIOUS_FROM, REACH_NS, SUSPICIOUS_FROM, threat_of

SPARE = 4
"""Records are taken for so many times the packets that are missing: not all of them lie behind ``b`` or fit."""

FEW_RECORDS = 256
"""So many records are looked for at once however many packets they have: asking twice takes longer.

With filters it does not: packets are then read up to the end of the time, not only until the page is full.
"""

THREAT_PACKETS = 10_000_000
"""Captures that have no more packets together are looked through together for their threats, which may be few."""

GROWTH = 8
MAX_RECORDS = 1 << 13
"""So much more is tried each time a page does not become full, and most records in one go (unless all end too late)."""

_RECORDS = f"""
SELECT {RECORD_COLUMNS} FROM packet_verdicts
PREWHERE <wanted>
WHERE <of_captures> AND end_ns >= {{from_ns:Int64}} AND <when>
ORDER BY end_ns DESC<limit>
SETTINGS read_in_order_use_buffering = 0, optimize_read_in_order = <in_order>
"""  # noqa: S608 - our own text

_UP_TO_NOW = f"end_ns <= {{to_ns:Int64}} + {REACH_NS}"
_ENDED = "end_ns <= {to_ns:Int64}"
_OVERLAPPING = f"start_ns <= {{to_ns:Int64}} AND end_ns > {{to_ns:Int64}} AND {_UP_TO_NOW}"
"""Records of all packets so far; those that end within the time that is asked for, and such as end later."""

# A filter of packets as one of records, which may let more through: either end may have sent the packet, and fragments,
# which have no ports, may have some where their packets begin.
RECORD_CONDITIONS = {
    "protocols": "protocol IN {protocols:Array(UInt8)}",
    "port": "(src_port = {port:UInt16} OR dst_port = {port:UInt16} OR (src_port = 0 AND dst_port = 0))",
    "source_ip": "(src_ip = toIPv6({source_ip:String}) OR dst_ip = toIPv6({source_ip:String}))",
    "destination_ip": "(src_ip = toIPv6({destination_ip:String}) OR dst_ip = toIPv6({destination_ip:String}))",
}

# What few records meet: the score, or an anomaly that raises it. The larger score counts: an anomaly makes nothing
# suspicious that the classifier takes for malicious.
_OF_THREAT = {
    Threat.SUSPICIOUS: f"{BY_CLASSIFIER} < {MALICIOUS_FROM} AND ({BY_CLASSIFIER} >= {SUSPICIOUS_FROM}<raised>)",
    Threat.MALICIOUS: f"({BY_CLASSIFIER} >= {MALICIOUS_FROM}<raised>)",
}
_IN_WINDOWS = " OR window_id IN {of_windows:Array(UInt32)}"
"""Asked of few bytes before ``_RAISED`` is asked of what that leaves."""

_RAISED = """
  OR (<capture_id>window_id, src_ip) IN {of_sources:Array(Tuple(<String>UInt32, IPv6))}
  OR (<capture_id>window_id, src_ip, dst_ip) IN {of_flows:Array(Tuple(<String>UInt32, IPv6, IPv6))}
"""
_RAISED_OF_ONE = _RAISED.replace("<capture_id>", "").replace("<String>", "")
_RAISED_OF_MANY = _RAISED.replace("<capture_id>", "capture_id, ").replace("<String>", "String, ")

# Packets between ends that are asked for: few more than those of the flows, whose tuples would take longer to parse.
_OF_PORTS = (
    "(src_port IN {ports:Array(UInt16)} OR fragment != 0) AND (dst_port IN {ports:Array(UInt16)} OR fragment != 0)"
)
_OF_PAIRS = (
    "(src_ip, dst_ip) IN {pairs:Array(Tuple(IPv6, IPv6))} AND ts_ns > {after_ns:Int64} AND ts_ns <= {until_ns:Int64}"
)


def threats_of(store: Store, wanted: EventFilter, stretch: Stretch, behind: EventsBehind, limit: int) -> list[EventRow]:
    """Return the newest events of some captures that are taken for the threat wanted and that the filters let pass."""
    anomalies = threat_anomalies(store, stretch.captures)
    from_ns = max(wanted.times.from_ns, stretch.first_ns)
    until_ns = min(wanted.times.to_ns - 1, behind.ts_ns, stretch.last_ns)
    found: list[EventRow] = []
    size, spare = 2 * limit, SPARE
    few = 0 if conditions_of(wanted, CONDITIONS) else FEW_RECORDS
    while until_ns >= from_ns and len(found) < limit:
        records, after_ns = _records(store, wanted, stretch, anomalies, (from_ns, until_ns), size)
        size = max(size, min(size * GROWTH, MAX_RECORDS)) if after_ns < until_ns else size * GROWTH
        while after_ns < until_ns and len(found) < limit:
            chosen, chosen_after_ns = _enough(records, (after_ns, until_ns), spare * (limit - len(found)), few)
            times = chosen_after_ns, until_ns
            found += _packets_of(store, wanted, stretch, behind, chosen, times, limit - len(found))
            until_ns, spare = chosen_after_ns, spare * GROWTH
    return found


def _records(
    store: Store,
    wanted: EventFilter,
    stretch: Stretch,
    anomalies: Sequence[ThreatAnomaly],
    times: tuple[int, int],
    limit: int,
) -> tuple[list[Record], int]:
    """Return the newest records with a threat, newest first, and the time behind which no packet of another one is.

    Parameters
    ----------
    times : tuple of int
        When the packets that are looked for are.
    limit : int
        Most records that end within that time; those that end later come besides.
    """
    raising = [one for one in anomalies if threat_of(one.score) == wanted.threat]
    values = {
        **wanted.given,
        "captures": captures_value(stretch.captures),
        "from_ns": times[0],
        "to_ns": times[1],
        **_named(raising, len(stretch.captures)),
    }
    sql = _records_sql(wanted, len(stretch.captures), bool(raising))
    is_cut = times[1] < stretch.last_ns
    ended = sql.replace("<when>", _ENDED if is_cut else _UP_TO_NOW).replace("<limit>", " LIMIT {limit:UInt32}")
    overlapping = sql.replace("<when>", _OVERLAPPING).replace("<limit>", "")
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(store.query, overlapping, values) if is_cut else None
        rows = store.query(ended, {**values, "limit": limit})
        later = asked.result() if asked else []
    after_ns = times[0] - 1 if len(rows) < limit else int(str(rows[-1]["end_ns"]))
    records = judged(store, [*later, *rows], anomalies)
    return [record for record in records if record.verdict.threat == wanted.threat], after_ns


def _records_sql(wanted: EventFilter, captures: int, is_raised: bool) -> str:
    """Return the statement of the records of a threat, but for when they are and how many."""
    threat = _OF_THREAT[wanted.threat or Threat.MALICIOUS]
    filters = conditions_of(wanted, RECORD_CONDITIONS)
    asked = [threat.replace("<raised>", _IN_WINDOWS if is_raised else ""), *filters]
    if is_raised:
        asked.append(threat.replace("<raised>", _RAISED_OF_ONE if captures == 1 else _RAISED_OF_MANY))
    # Few records pass the filters, so nearly all are read: by all threads, which in order they would not be.
    sql = _RECORDS.replace("<of_captures>", of_captures(captures)).replace("<wanted>", " AND ".join(asked))
    return sql.replace("<in_order>", str(int(not filters)))


def _named(raising: Sequence[ThreatAnomaly], captures: int) -> dict[str, object]:
    """Return the parameters of ``_RAISED``: whom anomalies name in their windows, flows from either end."""
    sources: set[tuple[object, ...]] = set()
    flows: set[tuple[object, ...]] = set()
    for one in raising:
        window = (one.window_id,) if captures == 1 else (one.capture_id, one.window_id)
        if one.source is not None:
            sources.add((*window, str(IPv6Address(one.source))))
        else:
            a, b = (sorted(str(IPv6Address(address)) for address, _ in one.ends) * 2)[:2]
            flows |= {(*window, a, b), (*window, b, a)}
    windows = {one.window_id for one in raising}
    return {"of_windows": sorted(windows), "of_sources": sorted(sources), "of_flows": sorted(flows)}


def _enough(records: list[Record], times: tuple[int, int], count: int, few: int) -> tuple[list[Record], int]:
    """Return the newest records that have so many packets of some time, and the time as of ``_records``.

    How many packets of a record that ends later are of that time nobody knows: such ones are taken and not counted.

    Parameters
    ----------
    few : int
        So many records are taken however many packets they have.
    """
    after_ns, until_ns = times
    for at, record in enumerate(records):
        if count <= 0 and at >= few and record.end_ns < until_ns:
            return records[:at], max(after_ns, record.end_ns)
        if record.end_ns <= until_ns:
            count -= record.packets
    return records, after_ns


def _packets_of(
    store: Store,
    wanted: EventFilter,
    stretch: Stretch,
    behind: EventsBehind,
    records: list[Record],
    times: tuple[int, int],
    limit: int,
) -> list[EventRow]:
    """Return the newest packets that records count, later than the first time and not later than the second."""
    if not records:
        return []
    by_flow = RecordsByFlow(records)
    values = {**end_values({one.key for one in records}), "after_ns": times[0], "until_ns": times[1]}
    of_records = MoreConditions(_OF_PORTS, _OF_PAIRS, values)
    concerned = replace(stretch, captures=tuple(sorted({one.key[0] for one in records})))
    in_order = not conditions_of(wanted, CONDITIONS)  # where few packets are wanted, the page is not full for long
    found: list[EventRow] = []
    size = 2 * limit
    while True:
        page = packets(store, wanted, concerned, behind, size, of_records, in_order=in_order)
        found += [event for event in (event_row(packet, by_flow) for packet in page) if event.is_judged]
        if len(page) < size or len(found) >= limit:
            return found[:limit]
        behind = EventsBehind(int(str(page[-1]["ts_ns"])), int(str(page[-1]["event_id"])))
        size = max(size, min(size * GROWTH, MAX_PAGE))
