"""SQL of events: packets with the verdict on them, newest first.

A packet has the verdict of the first record of its flow that counts it: the one of its endpoints with the lowest
``last_frame`` that is not below its own number, if that record began with it or before (``since_frame``). An ASOF join
finds it. Packets are looked through in slices of time from the newest on, each wider than the one before, so that a
page costs what lies in it and not what the store holds; where only threats are wanted, only the times in which there
are some.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from api.event_filters import EventFilter
from api.filters import EVER_NS
from api.queries_export import address_text
from infra.store import Store
from schemas.enums import Threat
from schemas.packets import ROW_BITS
from schemas.tables import EVENT_BATCH
from schemas.verdicts import REACH_NS

MINUTE_NS = 60 * 10**9

FIRST_SLICE_NS = 10**9
GROWTH = 8
"""The first slice of time is a second, every further one eight times as long."""


class EventRow(BaseModel):
    """A packet with its verdict; see ``schemas.verdicts``. Addresses are texts."""

    model_config = ConfigDict(frozen=True)

    event_id: int
    capture_id: str
    ts_ns: int
    frame: int
    src_ip: str
    dst_ip: str
    src_port: int
    dst_port: int
    protocol: int
    ether_type: int
    length_bytes: int
    flow_id: int
    threat_score: float
    threat: Threat
    attack_class: str
    is_judged: bool


@dataclass(frozen=True)
class EventsBehind:
    """Where a page begins: behind this packet; by default before none."""

    ts_ns: int = EVER_NS
    event_id: int = 2**63 - 1


# Fragments have no ports, so they are flows of their own with ports 0; see docs/flows.md.
_PORTS = ("if(fragment = 0, src_port, 0)", "if(fragment = 0, dst_port, 0)")


def _ends(src_port: str, dst_port: str) -> str:
    """Return the endpoints in order of size, as two columns."""
    pair = f"(src_ip, {src_port}), (dst_ip, {dst_port})"
    return f"least({pair}) AS low, greatest({pair}) AS high"


_PACKETS = f"""
SELECT event_id, capture_id, ts_ns, frame, src_ip, dst_ip, src_port, dst_port, protocol, ether_type, vlan, length_bytes,
       {_ends(*_PORTS)}
FROM packet_logs
WHERE ts_ns >= {{from_ns:Int64}} AND ts_ns < {{to_ns:Int64}}
  AND (ts_ns, event_id) < ({{last_ns:Int64}}, {{last_id:UInt64}}) AND <wanted>
"""  # noqa: S608 - our own text

_RECORDS = f"""
SELECT capture_id, flow_id, protocol, vlan, since_frame, last_frame, threat_score, threat, attack_class,
       {_ends("src_port", "dst_port")}
FROM record_verdicts
WHERE end_ns >= {{from_ns:Int64}} AND end_ns < {{to_ns:Int64}} + {REACH_NS} AND <of_capture> AND <needed>
"""  # noqa: S608 - our own text

_ROW = ", ".join(
    (
        *("p.event_id AS event_id", "p.capture_id AS capture_id", "p.ts_ns AS ts_ns", "p.frame AS frame"),
        *(f"{address_text(f'p.{name}')} AS {name}" for name in ("src_ip", "dst_ip")),
        *("p.src_port AS src_port", "p.dst_port AS dst_port", "p.protocol AS protocol", "p.ether_type AS ether_type"),
        "p.length_bytes AS length_bytes",
        "v.last_frame > 0 AND v.since_frame <= p.frame AS is_judged",
        "if(is_judged, v.flow_id, 0) AS flow_id",
        "if(is_judged, v.threat_score, 0) AS threat_score",
        "if(is_judged, v.threat, 'BENIGN') AS threat",
        "if(is_judged, v.attack_class, 'BENIGN') AS attack_class",
    )
)

_JOINED = f"""
WITH page AS (<packets>)
SELECT {_ROW} FROM page AS p
ASOF <kind> JOIN (<records>) AS v
ON p.capture_id = v.capture_id AND p.protocol = v.protocol AND p.vlan = v.vlan AND p.low = v.low AND p.high = v.high
    AND p.frame <= v.last_frame
WHERE <threat>
ORDER BY ts_ns DESC, event_id DESC LIMIT {{limit:UInt32}}
"""  # noqa: S608 - our own text

_CONDITIONS = {
    "capture_id": "capture_id = {capture_id:String}",
    "source_ip": "src_ip = toIPv6({source_ip:String})",
    "destination_ip": "dst_ip = toIPv6({destination_ip:String})",
    "port": "dst_port = {port:UInt16}",
    "protocols": "protocol IN {protocols:Array(UInt8)}",
}
"""What each filter that is given adds."""

_NEWEST = " ORDER BY ts_ns DESC, event_id DESC LIMIT {limit:UInt32}"

_THREATS = (Threat.SUSPICIOUS, Threat.MALICIOUS)

_OF_PAGE = "(src_ip, dst_ip) IN (SELECT src_ip, dst_ip FROM page UNION ALL SELECT dst_ip, src_ip FROM page)"
"""Records that may have a packet of the page, which is short."""

_MINUTES = """
SELECT min(start_ns) AS first_ns, max(start_ns) AS last_ns
FROM traffic WHERE interval_s = 60 AND <of_capture>
HAVING count() > 0
"""

# An anomaly may make more of a flow than the classifier does: its window counts for every threat.
_THREAT_MINUTES = f"""
SELECT DISTINCT minute_ns FROM
(
    SELECT minute_ns FROM traffic_stats WHERE threat = {{threat:String}} AND <of_capture>
    UNION ALL
    SELECT {MINUTE_NS} * toInt64(arrayJoin(range(
        toUInt64(intDiv(window_start_ns, {MINUTE_NS})), toUInt64(intDiv(window_end_ns, {MINUTE_NS}) + 1)
    ))) AS minute_ns
    FROM anomalies_now WHERE window_start_ns >= 0 AND <of_capture>
)
ORDER BY minute_ns DESC
"""  # noqa: S608 - our own text

_TIME_OF_EVENT = f"""
SELECT ts_ns, capture_id FROM packet_logs
WHERE event_id = {{event_id:UInt64}} AND {EVENT_BATCH} = bitShiftRight({{event_id:UInt64}}, {ROW_BITS})
LIMIT 1
"""  # noqa: S608 - our own text


def _filled(sql: str, **parts: str) -> str:
    """Return a statement with its ``<parts>``, which are texts of ours; values travel apart."""
    for name, text in parts.items():
        sql = sql.replace(f"<{name}>", text)
    return sql


def events(store: Store, wanted: EventFilter, limit: int, behind: EventsBehind | None = None) -> list[EventRow]:
    """Return the newest events that the filters let through, newest first.

    Parameters
    ----------
    limit : int
        Most events.
    behind : EventsBehind or None
        The last event of the page before.
    """
    place = behind or EventsBehind()
    found: list[EventRow] = []
    for from_ns, to_ns in _slices(store, wanted, place):
        found += _events_between(store, wanted, from_ns, to_ns, place, limit - len(found))
        if len(found) >= limit:
            break
    return found


def event(store: Store, event_id: int) -> EventRow | None:
    """Return an event by its id, or None when there is none."""
    packets = store.query(_TIME_OF_EVENT, {"event_id": event_id})
    if not packets:
        return None
    ts_ns, capture_id = int(str(packets[0]["ts_ns"])), str(packets[0]["capture_id"])
    wanted = EventFilter(given={"capture_id": capture_id})
    rows = _events_between(store, wanted, ts_ns, ts_ns + 1, EventsBehind(ts_ns, event_id + 1), 1)
    return rows[0] if rows else None


def _events_between(
    store: Store, wanted: EventFilter, from_ns: int, to_ns: int, behind: EventsBehind, limit: int
) -> list[EventRow]:
    """Return the newest events of ``[from_ns, to_ns)``."""
    is_threat = wanted.threat in _THREATS
    sql = _filled(
        _JOINED,
        packets=_PACKETS + ("" if wanted.threat else _NEWEST),
        kind="INNER" if is_threat else "LEFT",
        records=_RECORDS,
        threat="is_judged" if is_threat else "threat = {threat:String}" if wanted.threat else "1",
        wanted=" AND ".join(_CONDITIONS[name] for name in wanted.given) or "1",
        of_capture=_of_capture(wanted),
        needed="threat = {threat:String}" if is_threat else _OF_PAGE,
    )
    place = {"from_ns": from_ns, "to_ns": to_ns, "last_ns": behind.ts_ns, "last_id": behind.event_id, "limit": limit}
    threat = {"threat": wanted.threat.value} if wanted.threat else {}
    return [EventRow.model_validate(row) for row in store.query(sql, {**wanted.given, **place, **threat})]


def _of_capture(wanted: EventFilter) -> str:
    return _CONDITIONS["capture_id"] if "capture_id" in wanted.given else "1"


def _slices(store: Store, wanted: EventFilter, behind: EventsBehind) -> Iterator[tuple[int, int]]:
    """Yield the times to look through, newest first, without overlap."""
    newest_ns = min(wanted.times.to_ns, behind.ts_ns + 1)
    for first_ns, last_ns in _stretches(store, wanted):
        first_ns, to_ns = max(first_ns, wanted.times.from_ns), min(last_ns, newest_ns)
        width_ns = FIRST_SLICE_NS
        while first_ns < to_ns:
            from_ns = max(first_ns, to_ns - width_ns)
            yield from_ns, to_ns
            to_ns, width_ns = from_ns, width_ns * GROWTH


def _stretches(store: Store, wanted: EventFilter) -> Iterator[tuple[int, int]]:
    """Yield the stretches of time in which wanted events can be, newest first, without overlap."""
    given = {name: value for name, value in wanted.given.items() if name == "capture_id"}
    if wanted.threat not in _THREATS:
        for row in store.query(_filled(_MINUTES, of_capture=_of_capture(wanted)), given):
            yield int(str(row["first_ns"])), int(str(row["last_ns"])) + MINUTE_NS
        return
    sql = _filled(_THREAT_MINUTES, of_capture=_of_capture(wanted))
    minutes = [int(str(row["minute_ns"])) for row in store.query(sql, {**given, "threat": str(wanted.threat)})]
    last = 0
    for at, minute_ns in enumerate(minutes):
        if at + 1 == len(minutes) or minutes[at + 1] + MINUTE_NS < minute_ns - REACH_NS:
            yield minute_ns - REACH_NS, minutes[last] + MINUTE_NS
            last = at + 1
