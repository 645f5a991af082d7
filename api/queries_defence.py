"""SQL of active defence: blocks, what an address had to do with whom, and who looks like an attacker."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from api.defence_policy import Suspect
from api.queries_export import address_text
from api.rows import Count
from infra.store import Store
from schemas.blocks import BlockRow, FirewallKind
from schemas.classifications import BENIGN_NAME

_BLOCK = ", ".join(BlockRow.model_fields)

_STANDING = f"SELECT {_BLOCK} FROM blocks_now WHERE sensor = {{sensor:String}} AND is_in_force ORDER BY block_id DESC"  # noqa: S608 - our own text

_ENDED = f"""
SELECT {_BLOCK} FROM blocks_now
WHERE sensor = {{sensor:String}} AND state = 'active' AND expires_ns <= {{now_ns:Int64}} ORDER BY expires_ns
"""  # noqa: S608 - our own text

_SINCE = f"""
SELECT {_BLOCK} FROM blocks_now
WHERE sensor = {{sensor:String}}
  AND (is_in_force OR blocked_ns >= {{since_ns:Int64}} OR ended_ns >= {{since_ns:Int64}})
"""  # noqa: S608 - our own text

_PAGE = f"""
SELECT {_BLOCK} FROM blocks_now WHERE sensor = {{sensor:String}}
ORDER BY block_id DESC LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}
"""  # noqa: S608 - our own text

_COUNT = "SELECT count() AS total FROM blocks_now WHERE sensor = {sensor:String}"

_USED = "SELECT DISTINCT firewall FROM blocks WHERE sensor = {sensor:String}"

_NEWEST = f"""
SELECT {_BLOCK} FROM blocks_now WHERE sensor = {{sensor:String}} AND ip = {{ip:String}} ORDER BY block_id DESC LIMIT 1
"""  # noqa: S608 - our own text

_OF_ADDRESS = """
FROM flows_now AS f
WHERE (f.src_ip = toIPv6({ip:String}) OR f.dst_ip = toIPv6({ip:String})) AND end_ns >= {from_ns:Int64}
  AND ({capture_id:String} = '' OR capture_id = {capture_id:String})
"""

_PEER = "if(f.src_ip = toIPv6({ip:String}), f.dst_ip, f.src_ip)"

# Both directions of a conversation have the same pair of ends.
_CONVERSATION = "arraySort([(f.src_ip, src_port), (f.dst_ip, dst_port)]), protocol, vlan"

_TOTALS = f"""
SELECT count() AS flows, uniqExact({_CONVERSATION}) AS conversations, uniqExact({_PEER}) AS hosts,
       sum(fwd_packets + bwd_packets) AS packets, sum(fwd_bytes + bwd_bytes) AS bytes,
       countIf(end_reason = 'interim') AS open_flows, min(start_ns) AS first_ns, max(end_ns) AS last_ns
{_OF_ADDRESS}
"""

_PEERS = f"""
SELECT {address_text("peer")} AS ip, count() AS flows, uniqExact({_CONVERSATION}) AS conversations,
       sum(fwd_packets + bwd_packets) AS packets, sum(fwd_bytes + bwd_bytes) AS bytes,
       countIf(end_reason = 'interim') AS open_flows, min(start_ns) AS first_ns, max(end_ns) AS last_ns,
       topK(5)((protocol, dst_port)) AS services
FROM (SELECT *, {_PEER} AS peer {_OF_ADDRESS}) AS f
GROUP BY peer ORDER BY bytes DESC, ip LIMIT {{limit:UInt32}}
"""  # noqa: S608 - our own text

_LIVE = "(SELECT capture_id FROM captures FINAL WHERE source = 'live')"
"""What an old file shows is no reason to block anybody now."""

_VERDICTS = f"""
SELECT {address_text("c.src_ip")} AS ip, c.class_name AS what, '' AS severity, count() AS count,
       min(c.confidence) AS confidence, argMax(c.capture_id, c.end_ns) AS capture_id,
       min(c.start_ns) AS first_ns, max(c.end_ns) AS last_ns
FROM classifications_now AS c
WHERE c.capture_id IN {_LIVE} AND c.start_ns >= {{from_ns:Int64}} - {{longest_ns:Int64}}
  AND c.end_ns >= {{from_ns:Int64}} AND c.class_name != {{benign:String}} AND NOT c.is_uncertain
  AND c.confidence >= {{confidence:Float32}}
GROUP BY c.src_ip, c.class_name
"""  # noqa: S608 - our own text

_ANOMALIES = f"""
SELECT a.source_ip AS ip, a.type AS what, a.severity AS severity, count() AS count, NULL AS confidence,
       argMax(a.capture_id, a.window_end_ns) AS capture_id,
       min(a.window_start_ns) AS first_ns, max(a.window_end_ns) AS last_ns
FROM anomalies_now AS a
WHERE a.capture_id IN {_LIVE} AND a.window_end_ns >= {{from_ns:Int64}} AND a.source_ip != ''
GROUP BY a.source_ip, a.type, a.severity
"""  # noqa: S608 - our own text

_LONGEST_FLOW_NS = 86_400 * 10**9
"""A flow that began earlier is not looked for: flows are sorted by their start, and every flow ends within a day."""


class Traffic(BaseModel):
    """What an address had to do with others, or with one of them."""

    model_config = ConfigDict(frozen=True)

    flows: int
    conversations: int
    packets: int
    bytes: int
    open_flows: int
    first_ns: int
    last_ns: int


class Totals(Traffic):
    """All of it."""

    hosts: int


class Peer(Traffic):
    """One host at the other end; services are pairs of protocol and port, the most used first."""

    ip: str
    services: list[tuple[int, int]]


@dataclass(frozen=True)
class Looked:
    """What is looked at for a preview.

    Parameters
    ----------
    ip : str
        The address.
    from_ns : int
        Flows that ended before are left out, ns since the epoch.
    capture_id : str
        Only this capture; empty for all.
    """

    ip: str
    from_ns: int
    capture_id: str = ""

    @property
    def values(self) -> dict[str, object]:
        """The values of its queries."""
        return {"ip": self.ip, "from_ns": self.from_ns, "capture_id": self.capture_id}


def standing_blocks(store: Store, sensor: str) -> list[BlockRow]:
    """Return the blocks of a machine that are in force, newest first."""
    return [BlockRow.model_validate(row) for row in store.query(_STANDING, {"sensor": sensor})]


def ended_blocks(store: Store, sensor: str, now_ns: int) -> list[BlockRow]:
    """Return the blocks whose time was over by then and of which nobody has taken note, the first to end first."""
    return [BlockRow.model_validate(row) for row in store.query(_ENDED, {"sensor": sensor, "now_ns": now_ns})]


def blocks_since(store: Store, sensor: str, since_ns: int) -> list[BlockRow]:
    """Return the blocks in force, and those that were made or ended since a moment."""
    return [BlockRow.model_validate(row) for row in store.query(_SINCE, {"sensor": sensor, "since_ns": since_ns})]


def blocks(store: Store, sensor: str, limit: int, offset: int) -> list[BlockRow]:
    """Return a page of all blocks there ever were, newest first."""
    rows = store.query(_PAGE, {"sensor": sensor, "limit": limit, "offset": offset})
    return [BlockRow.model_validate(row) for row in rows]


def block_count(store: Store, sensor: str) -> int:
    """Return how many blocks there ever were."""
    return Count.model_validate(store.query(_COUNT, {"sensor": sensor})[0]).total


def firewalls_used(store: Store, sensor: str) -> frozenset[FirewallKind]:
    """Return the firewalls that ever were told to block an address."""
    return frozenset(FirewallKind(str(row["firewall"])) for row in store.query(_USED, {"sensor": sensor}))


def newest_block(store: Store, sensor: str, ip: str) -> BlockRow | None:
    """Return an address's newest block, whether in force or not."""
    rows = store.query(_NEWEST, {"sensor": sensor, "ip": ip})
    return BlockRow.model_validate(rows[0]) if rows else None


def totals(store: Store, looked: Looked) -> Totals:
    """Return what an address had to do with others."""
    return Totals.model_validate(store.query(_TOTALS, looked.values)[0])


def peers(store: Store, looked: Looked, limit: int) -> list[Peer]:
    """Return whom an address had most to do with, by bytes."""
    return [Peer.model_validate(row) for row in store.query(_PEERS, {**looked.values, "limit": limit})]


def suspects(store: Store, from_ns: int, confidence: float) -> list[Suspect]:
    """Return who sent flows that were named attacks, or caused anomalies, on live ports since a moment.

    Parameters
    ----------
    from_ns : int
        Flows and windows that ended before are left out, ns since the epoch.
    confidence : float
        Least confidence of the verdicts.
    """
    values = {"from_ns": from_ns, "longest_ns": _LONGEST_FLOW_NS, "benign": BENIGN_NAME, "confidence": confidence}
    rows = [*store.query(_VERDICTS, values), *store.query(_ANOMALIES, values)]
    return [Suspect.model_validate(row) for row in rows]
