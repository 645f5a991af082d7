"""SQL of the packets of events, newest first.

Packets of one capture come in the order of the table's key, so a page costs what it holds. What they are taken for is
added by ``api.event_verdicts``; threats alone are found the other way round: ``queries_event_threats``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from api.event_filters import EventFilter
from api.filters import EVER_NS
from api.queries_export import address_text
from infra.store import Store

MINUTE_NS = 60 * 10**9

MAX_PAGE = 1 << 14
"""Most packets that are looked at in one go."""

GROUP_PACKETS = 500_000
"""Captures that have no more packets together are looked through together: sorting costs less than asking."""

MORE_PACKETS = 8
"""So many times as many each time that was not enough: what few packets meet is asked for in few statements."""


@dataclass(frozen=True)
class EventsBehind:
    """Where a page begins: behind this packet; by default before none."""

    ts_ns: int = EVER_NS
    event_id: int = 2**63 - 1


@dataclass(frozen=True)
class Stretch:
    """Captures that are looked through together, and when their packets are.

    Parameters
    ----------
    captures : tuple of str
    first_ns, last_ns : int
        No packet is earlier than the first or later than the last.
    packets : int
    """

    captures: tuple[str, ...]
    first_ns: int
    last_ns: int
    packets: int


@dataclass(frozen=True)
class MoreConditions:
    """What is asked of packets besides the filters.

    Parameters
    ----------
    first, more : str
        One on few bytes that few packets meet, asked before the filters, and one to ask of what they leave.
    values : dict of str to object
        Of their parameters.
    """

    first: str = ""
    more: str = "1"
    values: dict[str, object] = field(default_factory=dict)


Row = dict[str, object]

COLUMNS = f"""event_id, capture_id, ts_ns, frame, {address_text("packet_logs.src_ip")} AS src_text,
       {address_text("packet_logs.dst_ip")} AS dst_text, src_port, dst_port, protocol, ether_type, vlan,
       length_bytes, fragment"""
"""Of packets that are to be events."""

# Read ahead, every part would be looked through for its first packet that fits before the newest is given out. What is
# wanted is asked before all else: read for the order and for the limit, the times would be, of every packet.
_PACKETS = """
SELECT <columns> FROM packet_logs<wanted>
WHERE <of_captures> AND ts_ns >= {from_ns:Int64} AND ts_ns < {to_ns:Int64} AND ts_ns <= {last_ns:Int64}
  AND (ts_ns < {last_ns:Int64} OR event_id < {last_id:UInt64}) AND <more>
ORDER BY ts_ns DESC, event_id DESC LIMIT {limit:UInt32}
SETTINGS read_in_order_use_buffering = 0, optimize_read_in_order = <in_order>
"""

CONDITIONS = {
    "port": "dst_port = {port:UInt16}",
    "protocols": "protocol IN {protocols:Array(UInt8)}",
    "source_ip": "src_ip = toIPv6({source_ip:String})",
    "destination_ip": "dst_ip = toIPv6({destination_ip:String})",
}
"""What each filter that is given adds, but for the capture's: what few packets meet and those of few bytes first."""

_STRETCHES = f"""
SELECT capture_id, min(start_ns) AS first_ns, max(start_ns) + {MINUTE_NS} - 1 AS last_ns,
       sum(traffic.packets) AS packets
FROM traffic WHERE interval_s = 60 AND <of_capture>
GROUP BY capture_id
HAVING first_ns < {{to_ns:Int64}} AND last_ns >= {{from_ns:Int64}}
ORDER BY last_ns DESC, capture_id DESC
"""  # noqa: S608 - our own text


def packets_sql(
    captures: int,
    wanted: EventFilter,
    more: MoreConditions | None = None,
    *,
    columns: str = COLUMNS,
    in_order: bool = True,
) -> str:
    """Return the statement of a page of packets of that many captures.

    Flows to look for are parameters.

    Parameters
    ----------
    in_order : bool
        Whether packets of one capture are read in the order of the key, by one thread, up to where the page is full.
        Where few packets are wanted, all are read sooner.
    """
    more = more or MoreConditions()
    # Few packets have a port, and it is read fastest; all others come behind what is asked besides.
    by_port = conditions_of(wanted, {"port": CONDITIONS["port"]})
    others = conditions_of(wanted, {name: text for name, text in CONDITIONS.items() if name != "port"})
    asked = " AND ".join([*by_port, *([more.first] if more.first else []), *others])
    sql = _PACKETS.replace("<columns>", columns).replace("<of_captures>", of_captures(captures))
    sql = sql.replace("<wanted>", f" PREWHERE {asked}" if asked else "").replace("<more>", more.more)
    return sql.replace("<in_order>", str(int(in_order)))


def packets(
    store: Store,
    wanted: EventFilter,
    stretch: Stretch,
    behind: EventsBehind,
    limit: int,
    more: MoreConditions | None = None,
    *,
    in_order: bool = True,
) -> list[Row]:
    """Return the newest packets of some captures that the filters let through, whatever they are taken for.

    Parameters
    ----------
    behind : EventsBehind
        Where the page begins.
    limit : int
        Most packets.
    in_order : bool
        As ``packets_sql`` has it.
    """
    sql = packets_sql(len(stretch.captures), wanted, more, in_order=in_order)
    return store.query(sql, page_values(wanted, stretch, behind, limit) | (more.values if more else {}))


def of_captures(count: int) -> str:
    """Return the condition on so many captures: of one, rows are read in the order of the key."""
    return "capture_id = {captures:String}" if count == 1 else "capture_id IN {captures:Array(String)}"


def captures_value(captures: Sequence[str]) -> str | list[str]:
    """Return the parameter of ``of_captures``."""
    return captures[0] if len(captures) == 1 else sorted(captures)


def conditions_of(wanted: EventFilter, texts: Mapping[str, str]) -> list[str]:
    """Return the conditions of the filters that are given, in the order of the texts."""
    return [text for name, text in texts.items() if name in wanted.given]


def page_values(wanted: EventFilter, stretch: Stretch, behind: EventsBehind, limit: int) -> dict[str, object]:
    """Return the parameters of ``packets_sql``, those of the filters included."""
    return {
        **{name: value for name, value in wanted.given.items() if name != "capture_id"},
        "captures": captures_value(stretch.captures),
        "from_ns": max(wanted.times.from_ns, stretch.first_ns),
        "to_ns": wanted.times.to_ns,
        "last_ns": behind.ts_ns,
        "last_id": behind.event_id,
        "limit": limit,
    }


def stretches(store: Store, wanted: EventFilter, behind: EventsBehind) -> list[Stretch]:
    """Return the captures that have packets of the times wanted, those that end last first."""
    given = {"capture_id": wanted.given["capture_id"]} if "capture_id" in wanted.given else {}
    sql = _STRETCHES.replace("<of_capture>", "capture_id = {capture_id:String}" if given else "1")
    times = {"from_ns": wanted.times.from_ns, "to_ns": min(wanted.times.to_ns, behind.ts_ns + 1)}
    return [
        Stretch((str(row["capture_id"]),), *(int(str(row[name])) for name in ("first_ns", "last_ns", "packets")))
        for row in store.query(sql, {**given, **times})
    ]


def together(captures: list[Stretch], packets: int = 0) -> Iterator[Stretch]:
    """Yield captures one by one, small ones that follow one another together.

    Parameters
    ----------
    packets : int
        Most that those of the first group have together, 0 for ``GROUP_PACKETS``; of each further group
        ``MORE_PACKETS`` times as many.
    """
    packets = packets or GROUP_PACKETS
    group: list[Stretch] = []
    for capture in captures:
        if group and sum(one.packets for one in group) + capture.packets > packets:
            yield united(group)
            group, packets = [], packets * MORE_PACKETS
        group.append(capture)
    if group:
        yield united(group)


def united(group: list[Stretch]) -> Stretch:
    """Return several captures as one to look through."""
    return Stretch(
        tuple(name for one in group for name in one.captures),
        min(one.first_ns for one in group),
        max(one.last_ns for one in group),
        sum(one.packets for one in group),
    )
