"""The benign events where nearly all others are threats: what no record counts, or one without a threat.

They are looked for in pages of many packets, from the newest on, with as little of each as says which record counts it
(``api.packet_records``). Only those that are found are read whole.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Self

import pyarrow as pa

from api.event_filters import EventFilter
from api.packet_records import OF_CAPTURES, ONE_CAPTURE, PACKET_COLUMNS, RECORD_COLUMNS, counted_by, judged
from api.queries_event_threats import RECORD_CONDITIONS
from api.queries_events import (
    EventsBehind,
    MoreConditions,
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

Judging = tuple[pa.Table, dict[str, object]]
"""Records, and the anomalies that raise them as ``api.packet_records.judged`` takes them."""

PAGE = 1 << 17
"""Most packets that are looked at in one go."""

_RECORDS = f"""
SELECT {RECORD_COLUMNS}
FROM packet_verdicts
PREWHERE start_ns <= {{until_ns:Int64}} AND <wanted>
WHERE capture_id IN {{captures:Array(String)}} AND end_ns >= {{from_ns:Int64}}
  AND end_ns <= {{until_ns:Int64}} + {REACH_NS}
""".replace("<capture>", OF_CAPTURES)  # noqa: S608 - our own text

_OF_IDS = "event_id IN {ids:Array(UInt64)}"


class ReadAhead:
    """What ``benign_packets`` asks for first where the packets of a host are wanted, read in threads of its own.

    The records with that host are few among all and the same for every page: they are read once for some captures.
    """

    def __init__(self, store: Store, wanted: EventFilter) -> None:
        self._store = store
        self._wanted = wanted
        self._beside = ThreadPoolExecutor(2)
        self._pages: dict[tuple[Stretch, EventsBehind], Future[pa.Table]] = {}
        self._records: dict[tuple[str, ...], Future[Judging]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._beside.shutdown(wait=False, cancel_futures=True)

    def begin(self, stretch: Stretch, behind: EventsBehind) -> None:
        """Read the first page behind a packet and the records of its time, if a host is wanted."""
        if has_ends(self._wanted):
            self.records(stretch, behind)
            self._pages[stretch, behind] = self._beside.submit(_page, self._store, self._wanted, stretch, behind)

    def page(self, stretch: Stretch, behind: EventsBehind) -> pa.Table:
        """Return a page."""
        begun = self._pages.pop((stretch, behind), None)
        return begun.result() if begun else _page(self._store, self._wanted, stretch, behind)

    def records(self, stretch: Stretch, behind: EventsBehind) -> Future[Judging]:
        """Return the records that may count packets of some captures up to one, where a host is wanted."""
        if stretch.captures not in self._records:
            first_ns = max(self._wanted.times.from_ns, stretch.first_ns)
            last_ns = min(self._wanted.times.to_ns - 1, behind.ts_ns, stretch.last_ns)
            asked = self._beside.submit(_records, self._store, self._wanted, stretch, first_ns, last_ns)
            self._records[stretch.captures] = asked
        return self._records[stretch.captures]


def benign_packets(
    ahead: ReadAhead, store: Store, wanted: EventFilter, stretch: Stretch, behind: EventsBehind, limit: int
) -> list[Row]:
    """Return the newest packets of some captures that the filters let through and that are taken for benign.

    Parameters
    ----------
    ahead : ReadAhead
        What may have been read already.
    behind : EventsBehind
        Where the page begins.
    limit : int
        Most packets.
    """
    of_host = ahead.records(stretch, behind) if has_ends(wanted) else None
    ids: list[int] = []
    place = behind
    while len(ids) < limit:
        page = ahead.page(stretch, place)
        if len(page):
            newest_ns, oldest_ns = page["ts_ns"][0].as_py(), page["ts_ns"][-1].as_py()
            judging = of_host.result() if of_host else _records(store, wanted, stretch, oldest_ns, newest_ns)
            ids += _benign(page, *judging)[: limit - len(ids)]
            place = EventsBehind(oldest_ns, page["event_id"][-1].as_py())
        if len(page) < PAGE:
            break
    since = replace(stretch, first_ns=max(stretch.first_ns, place.ts_ns))
    return packets(store, wanted, since, behind, limit, MoreConditions(_OF_IDS, values={"ids": ids})) if ids else []


def has_ends(wanted: EventFilter) -> bool:
    """Return whether the packets of some host are asked for."""
    return bool({"source_ip", "destination_ip"} & wanted.given.keys())


def _page(store: Store, wanted: EventFilter, stretch: Stretch, behind: EventsBehind) -> pa.Table:
    one = len(stretch.captures) == 1
    columns = "src_ip, " + PACKET_COLUMNS.replace("<capture>", ONE_CAPTURE if one else OF_CAPTURES)
    sql = packets_sql(len(stretch.captures), wanted, columns=columns, in_order=not has_ends(wanted))
    return store.query_arrow(sql, page_values(wanted, stretch, behind, PAGE))


def _records(store: Store, wanted: EventFilter, stretch: Stretch, first_ns: int, last_ns: int) -> Judging:
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
