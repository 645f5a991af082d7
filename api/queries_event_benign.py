"""The benign events where nearly all others are threats: what no record counts, or one without a threat.

They are looked for in pages of many packets, from the newest on, with as little of each as says which record counts it
(``api.packet_records``). Only those that are found are read whole.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa

from api.event_filters import EventFilter
from api.packet_records import OF_CAPTURES, ONE_CAPTURE, PACKET_COLUMNS, RECORD_COLUMNS, counted_by, judged
from api.queries_event_threats import RECORD_CONDITIONS
from api.queries_events import (
    CONDITIONS,
    EventsBehind,
    Row,
    Stretch,
    conditions_of,
    packets,
    packets_sql,
    page_values,
)
from api.threat_anomalies import threat_anomalies
from api.verdict_sql import raised
from infra.store import Store
from schemas.verdicts import REACH_NS, SUSPICIOUS_FROM

PAGE = 1 << 17
"""Most packets that are looked at in one go."""

_RECORDS = f"""
SELECT {RECORD_COLUMNS}
FROM packet_verdicts
PREWHERE start_ns <= {{until_ns:Int64}} AND <wanted>
WHERE capture_id IN {{captures:Array(String)}} AND end_ns >= {{from_ns:Int64}}
  AND end_ns <= {{until_ns:Int64}} + {REACH_NS}
""".replace("<capture>", OF_CAPTURES)  # noqa: S608 - our own text

_OUT_OF_ORDER = ", optimize_read_in_order = 0"
"""Added to the settings of a page of one host: its packets are few among all, so nothing is gained by ending early, and
in order they are read by one thread."""

_OF_IDS = "event_id IN {ids:Array(UInt64)}"


def benign_packets(store: Store, wanted: EventFilter, stretch: Stretch, behind: EventsBehind, limit: int) -> list[Row]:
    """Return the newest packets of some captures that the filters let through and that are taken for benign.

    Parameters
    ----------
    behind : EventsBehind
        Where the page begins.
    limit : int
        Most packets.
    """
    first_ns = max(wanted.times.from_ns, stretch.first_ns)
    last_ns = min(wanted.times.to_ns - 1, behind.ts_ns, stretch.last_ns)
    has_ends = _has_ends(wanted)
    ids: list[int] = []
    place = behind
    with ThreadPoolExecutor(1) as beside:
        # Few records have an end that is asked for: they are read once, beside the packets.
        of_all = beside.submit(_records, store, wanted, stretch, first_ns, last_ns) if has_ends else None
        while len(ids) < limit:
            page = _page(store, wanted, stretch, place)
            if len(page):
                newest_ns, oldest_ns = page["ts_ns"][0].as_py(), page["ts_ns"][-1].as_py()
                judging = of_all.result() if of_all else _records(store, wanted, stretch, oldest_ns, newest_ns)
                ids += _benign(page, *judging)[: limit - len(ids)]
                place = EventsBehind(oldest_ns, page["event_id"][-1].as_py())
            if len(page) < PAGE:
                break
    since = replace(stretch, first_ns=max(stretch.first_ns, place.ts_ns))
    return packets(store, wanted, since, behind, limit, {_OF_IDS: {"ids": ids}}) if ids else []


def _has_ends(wanted: EventFilter) -> bool:
    """Return whether the packets of some host are asked for."""
    return bool({"source_ip", "destination_ip"} & wanted.given.keys())


def _page(store: Store, wanted: EventFilter, stretch: Stretch, behind: EventsBehind) -> pa.Table:
    one = len(stretch.captures) == 1
    columns = "src_ip, " + PACKET_COLUMNS.replace("<capture>", ONE_CAPTURE if one else OF_CAPTURES)
    sql = packets_sql(len(stretch.captures), *conditions_of(wanted, CONDITIONS), columns=columns)
    sql = sql.rstrip() + _OUT_OF_ORDER if _has_ends(wanted) else sql
    return store.query_arrow(sql, page_values(wanted, stretch, behind, PAGE))


def _records(
    store: Store, wanted: EventFilter, stretch: Stretch, first_ns: int, last_ns: int
) -> tuple[pa.Table, dict[str, object]]:
    """Return the records that may count packets of a time, and the values of the anomalies that raise them."""
    captures = sorted(stretch.captures)
    place, of_anomalies = raised(threat_anomalies(store, captures), captures)
    conditions = conditions_of(wanted, RECORD_CONDITIONS)
    sql = _RECORDS.replace("<wanted>", " AND ".join(conditions) or "1").replace("<raised>", place)
    values = {**wanted.given, **of_anomalies, "captures": captures, "from_ns": first_ns, "until_ns": last_ns}
    return store.query_arrow(sql, values), of_anomalies


def _benign(page: pa.Table, records: pa.Table, of_anomalies: dict[str, object]) -> list[int]:
    """Return the ids of those packets of a page that are benign, in its order."""
    scores, _ = judged(records, of_anomalies)
    is_benign = scores[counted_by(page, records)] < SUSPICIOUS_FROM
    return [int(event_id) for event_id in page["event_id"].to_numpy()[is_benign]]
