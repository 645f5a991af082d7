"""SQL of single hosts: who they are, what they said to whom, and when.

Everything is read from flows: they are kept longer than packets and are far fewer. A flow's bytes are spread evenly
over its time, so a time line is an estimate within a flow (120 s at most) and exact in sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from api.filters import EVER, TimeRange
from api.host_rows import HostPeer, HostPort, HostRow, HostStep, HostTotals
from api.queries_export import address_text
from api.rows import Count
from infra.store import Store
from schemas.classifications import BENIGN_NAME

HostOrder = Literal["bytes", "flows", "peers", "attacks"]

_ORDERS: dict[HostOrder, str] = {
    "bytes": "bytes_sent + bytes_received",
    "flows": "begun + answered",
    "peers": "peers",
    "attacks": "attacks",
}

_IN_TIME = "capture_id = {capture_id:String} AND end_ns >= {from_ns:Int64} AND start_ns < {to_ns:Int64}"

_OF_HOST = f"""
SELECT *, f.src_ip = toIPv6({{ip:String}}) AS is_begun,
       if(is_begun, f.dst_ip, f.src_ip) AS peer,
       if(is_begun, fwd_packets, bwd_packets) AS out_packets, if(is_begun, bwd_packets, fwd_packets) AS in_packets,
       if(is_begun, fwd_bytes, bwd_bytes) AS out_bytes, if(is_begun, bwd_bytes, fwd_bytes) AS in_bytes
FROM flows_now AS f
WHERE {_IN_TIME} AND (f.src_ip = toIPv6({{ip:String}}) OR f.dst_ip = toIPv6({{ip:String}}))
"""  # noqa: S608 - our own text

_SUMS = """
countIf(is_begun) AS begun, countIf(NOT is_begun) AS answered,
sum(out_packets) AS packets_sent, sum(in_packets) AS packets_received,
sum(out_bytes) AS bytes_sent, sum(in_bytes) AS bytes_received, min(start_ns) AS first_ns, max(end_ns) AS last_ns
"""

_TOTALS = f"SELECT {_SUMS}, uniqExact(peer) AS peers FROM ({_OF_HOST})"  # noqa: S608 - our own text

_PEERS = f"""
SELECT {address_text("peer")} AS ip, {_SUMS}, topK(5)((protocol, dst_port)) AS services
FROM ({_OF_HOST}) GROUP BY peer ORDER BY bytes_sent + bytes_received DESC, ip LIMIT {{limit:UInt32}}
"""  # noqa: S608 - our own text

# The port of a flow is where its first packet went: the host's own when another began.
_PORTS = f"""
SELECT NOT is_begun AS is_own, protocol, dst_port AS port, count() AS flows, uniqExact(peer) AS peers,
       sum(out_bytes + in_bytes) AS bytes
FROM ({_OF_HOST}) GROUP BY is_own, protocol, port ORDER BY is_own, flows DESC, port LIMIT {{limit:UInt32}} BY is_own
"""  # noqa: S608 - our own text

# From the step of a flow's start to that of its end, within the line; its share of each by the time it was in it.
_SERIES = f"""
WITH {{step_ns:Int64}} AS step_ns, {{from_ns:Int64}} AS from_ns,
     greatest(0, intDiv(start_ns - from_ns, step_ns)) AS first_step,
     least({{steps:Int64}} - 1, intDiv(end_ns - from_ns, step_ns)) AS last_step
SELECT step, sum(out_bytes * share) AS bytes_sent, sum(in_bytes * share) AS bytes_received,
       countIf(step = first_step) AS flows
FROM (
    SELECT *, first_step, arrayJoin(range(toUInt64(first_step), toUInt64(last_step) + 1)) AS step,
           if(end_ns = start_ns, 1., (least(end_ns, from_ns + (step + 1) * step_ns)
              - greatest(start_ns, from_ns + step * step_ns)) / (end_ns - start_ns)) AS share
    FROM ({_OF_HOST})
)
GROUP BY step ORDER BY step
"""  # noqa: S608 - our own text

_ENDS = """
arrayJoin([(f.src_ip, f.dst_ip, true, fwd_packets, bwd_packets, fwd_bytes, bwd_bytes),
           (f.dst_ip, f.src_ip, false, bwd_packets, fwd_packets, bwd_bytes, fwd_bytes)]) AS e,
e.1 AS address, e.2 AS peer, e.3 AS is_begun,
e.4 AS out_packets, e.5 AS in_packets, e.6 AS out_bytes, e.7 AS in_bytes
"""

_ATTACKS = f"""
SELECT c.src_ip AS address, count() AS attacks FROM classifications_now AS c
WHERE {_IN_TIME} AND c.class_name != {{benign:String}} AND NOT c.is_uncertain GROUP BY c.src_ip
"""  # noqa: S608 - our own text

_ANOMALIES = """
SELECT toIPv6(a.source_ip) AS address, count() AS anomalies FROM anomalies_now AS a
WHERE capture_id = {capture_id:String} AND window_end_ns >= {from_ns:Int64} AND window_start_ns < {to_ns:Int64}
  AND a.source_ip != ''
GROUP BY address
"""

_HOSTS = f"""
SELECT {address_text("h.address")} AS ip, h.* EXCEPT (address), v.attacks AS attacks, n.anomalies AS anomalies
FROM (
    SELECT address, {_SUMS}, uniqExact(peer) AS peers
    FROM (SELECT start_ns, end_ns, {_ENDS} FROM flows_now AS f WHERE {_IN_TIME}) GROUP BY address
) AS h
LEFT JOIN ({_ATTACKS}) AS v ON v.address = h.address
LEFT JOIN ({_ANOMALIES}) AS n ON n.address = h.address
ORDER BY {{order}} DESC, ip LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}
"""  # noqa: S608 - our own text

_COUNT = f"""
SELECT uniqExact(arrayJoin([f.src_ip, f.dst_ip])) AS total FROM flows_now AS f WHERE {_IN_TIME}
"""  # noqa: S608 - our own text


@dataclass(frozen=True)
class OfHost:
    """What is asked about.

    Parameters
    ----------
    capture_id : str
        The capture.
    ip : str
        The host's address, as people write it.
    times : TimeRange
        In which its flows must have had a packet.
    """

    capture_id: str
    ip: str
    times: TimeRange = EVER

    def values(self, **more: object) -> dict[str, object]:
        """Return what the queries take."""
        times = {"from_ns": self.times.from_ns, "to_ns": self.times.to_ns}
        return {"capture_id": self.capture_id, "ip": self.ip, **times, **more}


def totals(store: Store, host: OfHost) -> HostTotals:
    """Return all that a host said, in sum; without any flow all of it is 0."""
    return HostTotals.model_validate(store.query(_TOTALS, host.values())[0])


def peers(store: Store, host: OfHost, limit: int) -> list[HostPeer]:
    """Return with whom a host spoke, most bytes first."""
    return [HostPeer.model_validate(row) for row in store.query(_PEERS, host.values(limit=limit))]


def ports(store: Store, host: OfHost, limit: int) -> list[HostPort]:
    """Return the services that a host offers, and those that it uses; of each so many, most flows first."""
    return [HostPort.model_validate(row) for row in store.query(_PORTS, host.values(limit=limit))]


def series(store: Store, host: OfHost, step_ns: int, steps: int) -> list[HostStep]:
    """Return a host's traffic by steps of time from the beginning of the range on; steps without any are left out."""
    rows = store.query(_SERIES, host.values(step_ns=step_ns, steps=steps))
    return [HostStep.model_validate(row) for row in rows]


def hosts(
    store: Store, capture_id: str, times: TimeRange, order: HostOrder, limit: int, offset: int = 0
) -> list[HostRow]:
    """Return a page of a capture's hosts."""
    page = {"limit": limit, "offset": offset, "benign": BENIGN_NAME}
    sql = _HOSTS.replace("{order}", _ORDERS[order])
    return [HostRow.model_validate(row) for row in store.query(sql, OfHost(capture_id, "", times).values(**page))]


def host_count(store: Store, capture_id: str, times: TimeRange) -> int:
    """Return how many hosts a capture has flows of."""
    return Count.model_validate(store.query(_COUNT, OfHost(capture_id, "", times).values())[0]).total
