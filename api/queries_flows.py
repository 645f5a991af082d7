"""SQL of flows.

``flows_now`` holds of each flow the record with most packets; ``flows`` also those from before that the store has not
merged away yet. Addresses are IPv6 columns, IPv4 mapped into them; rows have them as people write them.
"""

from __future__ import annotations

from api.flow_filters import FlowFilter
from api.flow_lists import FlowOrder, FlowOrders, FlowsBehind
from api.flow_rows import FlowDetailRow, FlowRow, PacketRow
from api.queries_export import address_text
from api.rows import Count
from infra.store import Store

REORDERED_NS = 600 * 10**9
"""A packet of a flow may have a time that lies so far before that of the first one."""

_COLUMNS = (
    *("capture_id", "flow_id", "window_id", "end_reason", "community_id", "src_port", "dst_port", "protocol", "vlan"),
    *("icmp_type", "icmp_code", "start_ns", "end_ns", "first_frame", "last_frame"),
    *("fwd_packets", "bwd_packets", "fwd_bytes", "bwd_bytes"),
)

_ROW = ", ".join((*_COLUMNS, *(f"{address_text(f'f.{name}')} AS {name}" for name in ("src_ip", "dst_ip"))))

ORDERS = FlowOrders(
    {
        "newest": FlowOrder("n", "start_ns"),
        "oldest": FlowOrder("o", "start_ns", "ASC"),
        "bytes": FlowOrder("b", "toInt64(fwd_bytes + bwd_bytes)"),
        "packets": FlowOrder("p", "toInt64(fwd_packets + bwd_packets)"),
        "duration": FlowOrder("d", "end_ns - start_ns"),
    }
)
"""What a list may be ordered by."""

_CONDITIONS = {
    "source_ip": "f.src_ip = toIPv6({source_ip:String})",
    "destination_ip": "f.dst_ip = toIPv6({destination_ip:String})",
    "ip": "(f.src_ip = toIPv6({ip:String}) OR f.dst_ip = toIPv6({ip:String}))",
    "source_port": "src_port = {source_port:UInt16}",
    "destination_port": "dst_port = {destination_port:UInt16}",
    "port": "(src_port = {port:UInt16} OR dst_port = {port:UInt16})",
    "protocol": "protocol = {protocol:UInt8}",
    "community_id": "community_id = {community_id:String}",
    "end_reason": "end_reason = {end_reason:String}",
    "min_packets": "fwd_packets + bwd_packets >= {min_packets:UInt64}",
    "min_bytes": "fwd_bytes + bwd_bytes >= {min_bytes:UInt64}",
}
"""What each filter that is given adds; times and capture always count."""

_IN_TIME = "capture_id = {capture_id:String} AND end_ns >= {from_ns:Int64} AND start_ns < {to_ns:Int64}"

# The same file that is read twice has the same flows: the newest capture's counts. Its id sorts behind.
_BY_ID = f"""
SELECT {_ROW}, features FROM flows_now AS f
WHERE flow_id = {{flow_id:UInt64}} AND ({{capture_id:String}} = '' OR capture_id = {{capture_id:String}})
ORDER BY capture_id DESC LIMIT 1
"""  # noqa: S608 - our own text

_INTERIM = f"""
SELECT {_ROW} FROM flows AS f
WHERE capture_id = {{capture_id:String}} AND start_ns = {{start_ns:Int64}} AND flow_id = {{flow_id:UInt64}}
  AND end_reason = 'interim'
ORDER BY version
"""  # noqa: S608 - our own text

# A fragment has no ports, so fragments are flows of their own with ports 0; see docs/flows.md.
_OF_FLOW = """
capture_id = {capture_id:String} AND ts_ns BETWEEN {first_ns:Int64} AND {end_ns:Int64}
AND frame BETWEEN {first_frame:UInt64} AND {last_frame:UInt64}
AND protocol = {protocol:UInt8} AND vlan = {vlan:UInt16}
AND ((p.src_ip = toIPv6({a:String}) AND p.dst_ip = toIPv6({b:String})
      AND if(fragment = 0, src_port, 0) = {a_port:UInt16} AND if(fragment = 0, dst_port, 0) = {b_port:UInt16})
  OR (p.src_ip = toIPv6({b:String}) AND p.dst_ip = toIPv6({a:String})
      AND if(fragment = 0, src_port, 0) = {b_port:UInt16} AND if(fragment = 0, dst_port, 0) = {a_port:UInt16}))
"""

_PACKET_COLUMNS = (
    *("event_id", "ts_ns", "frame", "src_port", "dst_port", "protocol", "vlan", "fragment", "ttl", "tcp_flags"),
    *("tcp_seq", "tcp_ack", "tcp_window_bytes", "payload_bytes", "length_bytes", "icmp_type", "icmp_code"),
)

_PACKET = ", ".join((*_PACKET_COLUMNS, *(f"{address_text(f'p.{name}')} AS {name}" for name in ("src_ip", "dst_ip"))))

_PACKETS = f"""
SELECT {_PACKET} FROM packet_logs AS p
WHERE {_OF_FLOW} AND frame > {{behind_frame:UInt64}}
ORDER BY frame LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}
"""  # noqa: S608 - our own text

_PACKET_COUNT = f"SELECT count() AS total FROM packet_logs AS p WHERE {_OF_FLOW}"  # noqa: S608 - our own text


def _where(wanted: FlowFilter) -> str:
    return " AND ".join((_IN_TIME, *(_CONDITIONS[name] for name in wanted.given)))


def _values(capture_id: str, wanted: FlowFilter) -> dict[str, object]:
    times = {"from_ns": wanted.times.from_ns, "to_ns": wanted.times.to_ns}
    return {"capture_id": capture_id, **times, **wanted.given}


def flows(
    store: Store, capture_id: str, wanted: FlowFilter, behind: FlowsBehind, limit: int, offset: int = 0
) -> list[FlowRow]:
    """Return a page of a capture's flows."""
    sql = ORDERS.page_sql(_ROW, "flows_now AS f", _where(wanted), behind)
    rows = store.query(sql, {**_values(capture_id, wanted), **behind.values(limit, offset)})
    return [FlowRow.model_validate(row) for row in rows]


def flow_count(store: Store, capture_id: str, wanted: FlowFilter) -> int:
    """Return how many flows of a capture the filters let through."""
    sql = f"SELECT count() AS total FROM flows_now AS f WHERE {_where(wanted)}"  # noqa: S608 - our own text
    return Count.model_validate(store.query(sql, _values(capture_id, wanted))[0]).total


def flow(store: Store, flow_id: int, capture_id: str = "") -> FlowDetailRow | None:
    """Return a flow, or None when there is none of this id.

    Parameters
    ----------
    capture_id : str
        Empty for the newest capture that has it.
    """
    rows = store.query(_BY_ID, {"flow_id": flow_id, "capture_id": capture_id})
    return FlowDetailRow.model_validate(rows[0]) if rows else None


def interim_records(store: Store, row: FlowRow) -> list[FlowRow]:
    """Return the interim records of a flow that are still there, in order."""
    values = {"capture_id": row.capture_id, "start_ns": row.start_ns, "flow_id": row.flow_id}
    return [FlowRow.model_validate(found) for found in store.query(_INTERIM, values)]


def _packet_values(row: FlowRow) -> dict[str, object]:
    return {
        "capture_id": row.capture_id,
        "first_ns": row.start_ns - REORDERED_NS,
        "end_ns": row.end_ns,
        "first_frame": row.first_frame,
        "last_frame": row.last_frame,
        "protocol": row.protocol,
        "vlan": row.vlan,
        "a": row.src_ip,
        "a_port": row.src_port,
        "b": row.dst_ip,
        "b_port": row.dst_port,
    }


def packets(store: Store, row: FlowRow, limit: int, offset: int = 0, behind_frame: int = 0) -> list[PacketRow]:
    """Return a page of a flow's packets, in the order of the capture."""
    place = {"limit": limit, "offset": offset, "behind_frame": behind_frame}
    found = store.query(_PACKETS, {**_packet_values(row), **place})
    return [PacketRow.model_validate(packet) for packet in found]


def packet_count(store: Store, row: FlowRow) -> int:
    """Return how many packets of a flow are still in the store."""
    return Count.model_validate(store.query(_PACKET_COUNT, _packet_values(row))[0]).total
