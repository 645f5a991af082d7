"""SQL of the features of events: the same few queries for any number of events; they only read.

One finds the events by their ids, beside it one what of their captures is settled, one the anomalies; then many events
are one statement (``api.look_back_sql``), and one event two that run side by side (``api.look_back``). What an earlier
one found stands in the later one as a value: so each table is read once, and only what the key allows of it. All sums
are of whole numbers, so a feature is the same alone and in a batch, on one thread and on many.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, ConfigDict

from api.filters import EVER_NS
from api.look_back import LOOK_BACK_NS, PACKETS, records_sql, sums_of, verdicts_on
from api.look_back_sql import look_back_sql
from api.queries import newest_windows, settled_until
from api.threat_anomalies import NEAR, threat_anomalies
from api.verdict_sql import raised
from infra.store import Store
from schemas.honeypots import HoneypotType
from schemas.packets import ROW_BITS
from schemas.tables import EVENT_BATCH
from schemas.verdicts import REACH_NS

HONEYPOT_TABLES = tuple(kind.table for kind in HoneypotType)


class LookBack(BaseModel):
    """An event and what its source did until then: counts and sums over the look-back.

    Parameters
    ----------
    is_settled : bool
        Whether its verdict stays what it is.
    n, n_rate, n_burst : int
        Packets in the look-back, in the last 60 s and in the last 10 s.
    length_sum, length_squares : int
        Of their lengths, bytes and bytes².
    n_malicious, n_same_class, n_destinations : int
        Malicious ones, those of the event's attack class, distinct destinations.
    session_ns : int
        Time of the first packet of the session that the event is in.
    n_honeypot : int
        Lines of honeypots about the source that are not later.
    """

    model_config = ConfigDict(frozen=True)

    event_id: int
    capture_id: str
    ts_ns: int
    protocol: int
    dst_port: int
    length_bytes: int
    has_port: bool
    is_settled: bool
    threat_score: float
    n: int
    n_rate: int
    n_burst: int
    length_sum: int
    length_squares: int
    n_malicious: int
    n_same_class: int
    n_destinations: int
    session_ns: int
    n_honeypot: int = 0


_ASKED = f"""
SELECT capture_id, event_id, ts_ns, toString(src_ip) AS source, dst_port, protocol, length_bytes,
       protocol IN (6, 17, 132) AND fragment = 0 AS has_port
FROM packet_logs
PREWHERE event_id IN {{ids:Array(UInt64)}}
WHERE {EVENT_BATCH} IN {{batches:Array(UInt64)}}
"""  # noqa: S608 - our own text

_HONEYPOT_LINES = " UNION ALL ".join(
    f"SELECT source_ip, ts_ns AS told_ns FROM {table} FINAL WHERE source_ip IN {{sources:Array(IPv6)}}"  # noqa: S608
    for table in HONEYPOT_TABLES
)

_HONEYPOT_SOURCES = f"SELECT count() AS lines FROM ({_HONEYPOT_LINES})"  # noqa: S608 - our own text

_HONEYPOTS = f"""
SELECT event.1 AS event_id, count() AS n_honeypot
FROM (SELECT arrayJoin({{events:Array(Tuple(UInt64, Int64, IPv6))}}) AS event) AS e
INNER JOIN ({_HONEYPOT_LINES}) AS line ON event.3 = line.source_ip
WHERE line.told_ns <= event.2
GROUP BY event_id
"""  # noqa: S608 - our own text

Row = dict[str, object]


class _CapturesOfBatches:
    """Which capture the packets of a batch were of when they were last asked for: a guess at whose they are next time.

    A guess only, since a store may be put in the place of another. It lets what is settled be asked for beside the
    events.
    """

    def __init__(self) -> None:
        self._of: dict[int, str] = {}

    def captures_of(self, batches: Sequence[int]) -> list[str]:
        """Return the captures of batches; none if any is unknown."""
        found = {self._of.get(batch, "") for batch in batches}
        return [] if "" in found else sorted(found)

    def learn(self, asked: Sequence[Row]) -> None:
        """Remember whose events were."""
        if len(self._of) > MOST_BATCHES:
            self._of.clear()
        self._of |= {int(str(row["event_id"])) >> ROW_BITS: str(row["capture_id"]) for row in asked}


MOST_BATCHES = 65_536
"""Batches remembered, some 10 MB."""

_known = _CapturesOfBatches()


def look_backs(store: Store, event_ids: Sequence[int]) -> dict[int, LookBack]:
    """Return what events look back on, by event id; those that the store does not have are left out."""
    ids = sorted(set(event_ids))
    if not ids:
        return {}
    batches = sorted({one >> ROW_BITS for one in ids})
    with ThreadPoolExecutor(2) as beside:
        expected = _known.captures_of(batches)
        begun = beside.submit(newest_windows, store, expected) if expected else None
        asked = store.query(_ASKED, {"ids": ids, "batches": batches})
        if not asked:
            return {}
        values, captures = _values(asked), _captures(asked)
        told = beside.submit(_honeypot_lines, store, asked, values)
        _known.learn(asked)
        # Asked before anything it is about: whatever is stored meanwhile, what was settled then is in what is read now.
        is_expected = set(captures) <= set(expected)
        begun_ns = begun.result() if begun and is_expected else newest_windows(store, captures)
        settled_ns = settled_until(store, _newest(asked), begun_ns)
        packets = beside.submit(store.query_arrow, PACKETS, values) if len(asked) == 1 else None
        place, raising = raised(threat_anomalies(store, captures, NEAR, values), captures)
        values |= raising
        if packets is None:
            rows = store.query(look_back_sql(place), values)
        else:
            records = store.query_arrow(records_sql(place), values)
            verdicts = verdicts_on(records, values)  # while the packets are on their way
            rows = sums_of(values, packets.result(), records, verdicts)
    sums = {row["event_id"]: row for row in rows}
    lines = told.result()
    found = (
        LookBack.model_validate(
            {
                **row,
                **sums[row["event_id"]],
                "is_settled": int(str(row["ts_ns"])) < settled_ns.get(str(row["capture_id"]), EVER_NS),
                "n_honeypot": lines.get(int(str(row["event_id"])), 0),
            }
        )
        for row in asked
        if row["event_id"] in sums
    )
    return {row.event_id: row for row in found}


def _captures(asked: Sequence[Row]) -> list[str]:
    return sorted({str(row["capture_id"]) for row in asked})


def _newest(asked: Sequence[Row]) -> dict[str, int]:
    """Return when the newest event of each capture happened."""
    newest: dict[str, int] = defaultdict(int)
    for row in asked:
        capture_id = str(row["capture_id"])
        newest[capture_id] = max(newest[capture_id], int(str(row["ts_ns"])))
    return newest


def _values(asked: Sequence[Row]) -> dict[str, object]:
    """Return the parameters of ``look_back_sql`` for the events that were found."""
    times: dict[str, list[int]] = defaultdict(list)
    for row in asked:
        times[str(row["source"])].append(int(str(row["ts_ns"])))
    sources = sorted(times)
    after_ns = [min(times[source]) - LOOK_BACK_NS for source in sources]
    until_ns = [max(times[source]) for source in sources]
    return {
        "captures": _captures(asked),
        "ids": [row["event_id"] for row in asked],
        "event_id": asked[0]["event_id"],
        "capture": asked[0]["capture_id"],
        "source": asked[0]["source"],
        "sources": sources,
        "after_each_ns": after_ns,
        "until_each_ns": until_ns,
        "after_ns": min(after_ns),
        "until_ns": max(until_ns),
        "reach_ns": max(until_ns) + REACH_NS,
    }


def _honeypot_lines(store: Store, asked: Sequence[Row], values: dict[str, object]) -> dict[int, int]:
    """Return how often honeypots had heard of the source of each event; events without are left out."""
    if not store.query(_HONEYPOT_SOURCES, values)[0]["lines"]:
        return {}
    events = [(row["event_id"], row["ts_ns"], row["source"]) for row in asked]
    rows = store.query(_HONEYPOTS, {**values, "events": events})
    return {int(str(row["event_id"])): int(str(row["n_honeypot"])) for row in rows}
