"""SQL of verdicts.

``classifications`` holds the verdict on every record of a flow, of each role; with FINAL, on the newest record.
``classifications_now`` is the champion's part of that.
"""

from __future__ import annotations

from collections.abc import Sequence

from api.classification_filters import VerdictFilter
from api.classification_rows import ClassRow, FlowVerdicts, VerdictRow
from api.flow_lists import FlowOrder, FlowOrders, FlowsBehind
from api.flow_rows import FlowRow
from api.queries_export import address_text
from api.rows import Count
from infra.store import Store
from schemas.enums import ModelRole

_COLUMNS = (
    *("capture_id", "flow_id", "role", "model", "src_port", "dst_port", "protocol", "vlan", "start_ns", "end_ns"),
    *("end_reason", "window_id", "fwd_packets", "bwd_packets", "class_name", "confidence", "attack_probability"),
    *("is_uncertain", "reason_features", "reason_values", "reason_contributions"),
)

_ROW = ", ".join((*_COLUMNS, *(f"{address_text(f'c.{name}')} AS {name}" for name in ("src_ip", "dst_ip"))))

IS_ATTACK = "(class_name != 'BENIGN' AND NOT is_uncertain)"
"""What makes a verdict name an attack."""

ORDERS = FlowOrders(
    {
        "newest": FlowOrder("v", "start_ns"),
        "oldest": FlowOrder("u", "start_ns", "ASC"),
        "confidence": FlowOrder("c", "toInt64(confidence * 1e9)"),
        "attack_probability": FlowOrder("a", "toInt64(attack_probability * 1e9)"),
        "packets": FlowOrder("q", "toInt64(fwd_packets + bwd_packets)"),
    }
)
"""What a list may be ordered by."""

_CONDITIONS = {
    "class_name": "class_name = {class_name:String}",
    "is_attack": f"{IS_ATTACK} = {{is_attack:Bool}}",
    "uncertain": "is_uncertain = {uncertain:Bool}",
    "min_confidence": "confidence >= {min_confidence:Float64}",
    "source_ip": "c.src_ip = toIPv6({source_ip:String})",
    "destination_ip": "c.dst_ip = toIPv6({destination_ip:String})",
    "ip": "(c.src_ip = toIPv6({ip:String}) OR c.dst_ip = toIPv6({ip:String}))",
    "source_port": "src_port = {source_port:UInt16}",
    "destination_port": "dst_port = {destination_port:UInt16}",
    "port": "(src_port = {port:UInt16} OR dst_port = {port:UInt16})",
    "protocol": "protocol = {protocol:UInt8}",
    "model": "model = {model:String}",
}
"""What each filter that is given adds; times, capture and role always count."""

_ALWAYS = """
capture_id = {capture_id:String} AND role = {role:String}
AND end_ns >= {from_ns:Int64} AND start_ns < {to_ns:Int64}
"""

_CLASSES = """
SELECT class_name, is_uncertain, count() AS flows, sum(c.fwd_packets + c.bwd_packets) AS packets,
       avg(c.confidence) AS mean_confidence, min(c.confidence) AS least_confidence,
       uniqExact(c.src_ip) AS sources, uniqExact(c.dst_ip) AS destinations,
       min(c.start_ns) AS first_seen_ns, max(c.end_ns) AS last_seen_ns
FROM classifications AS c FINAL
WHERE {wanted}
GROUP BY class_name, is_uncertain
ORDER BY flows DESC, class_name, is_uncertain
"""

_MODELS = "SELECT DISTINCT model FROM classifications AS c FINAL WHERE {wanted} ORDER BY model"

_OF_FLOWS = f"""
SELECT {_ROW} FROM classifications AS c FINAL
WHERE capture_id = {{capture_id:String}} AND role = {{role:String}}
  AND start_ns BETWEEN {{from_ns:Int64}} AND {{to_ns:Int64}} AND flow_id IN {{flow_ids:Array(UInt64)}}
"""  # noqa: S608 - our own text

_OF_FLOW = f"""
SELECT {_ROW} FROM classifications AS c
WHERE capture_id = {{capture_id:String}} AND start_ns = {{start_ns:Int64}} AND flow_id = {{flow_id:UInt64}}
ORDER BY version
"""  # noqa: S608 - our own text


def _where(wanted: VerdictFilter) -> str:
    return " AND ".join((_ALWAYS, *(_CONDITIONS[name] for name in wanted.given)))


def _values(capture_id: str, wanted: VerdictFilter) -> dict[str, object]:
    times = {"from_ns": wanted.times.from_ns, "to_ns": wanted.times.to_ns}
    return {"capture_id": capture_id, "role": wanted.role.value, **times, **wanted.given}


def verdicts(
    store: Store, capture_id: str, wanted: VerdictFilter, behind: FlowsBehind, limit: int, offset: int = 0
) -> list[VerdictRow]:
    """Return a page of the verdicts on a capture's flows."""
    sql = ORDERS.page_sql(_ROW, "classifications AS c FINAL", _where(wanted), behind)
    rows = store.query(sql, {**_values(capture_id, wanted), **behind.values(limit, offset)})
    return [VerdictRow.model_validate(row) for row in rows]


def verdict_count(store: Store, capture_id: str, wanted: VerdictFilter) -> int:
    """Return how many verdicts on a capture's flows the filters let through."""
    sql = f"SELECT count() AS total FROM classifications AS c FINAL WHERE {_where(wanted)}"  # noqa: S608 - our own text
    return Count.model_validate(store.query(sql, _values(capture_id, wanted))[0]).total


def classes(store: Store, capture_id: str, wanted: VerdictFilter) -> list[ClassRow]:
    """Return what was said of a capture's flows, by class, the most frequent first."""
    rows = store.query(_CLASSES.format(wanted=_where(wanted)), _values(capture_id, wanted))
    return [ClassRow.model_validate(row) for row in rows]


def models(store: Store, capture_id: str, wanted: VerdictFilter) -> list[str]:
    """Return the fingerprints of the models that judged a capture's flows."""
    rows = store.query(_MODELS.format(wanted=_where(wanted)), _values(capture_id, wanted))
    return [str(row["model"]) for row in rows]


def of_flows(store: Store, flows: Sequence[FlowRow]) -> dict[int, VerdictRow]:
    """Return the champion's verdicts on some flows of one capture, by flow id; some may have none."""
    if not flows:
        return {}
    starts = [flow.start_ns for flow in flows]
    values = {
        "capture_id": flows[0].capture_id,
        "role": ModelRole.CHAMPION.value,
        "from_ns": min(starts),
        "to_ns": max(starts),
        "flow_ids": [flow.flow_id for flow in flows],
    }
    rows = (VerdictRow.model_validate(row) for row in store.query(_OF_FLOWS, values))
    return {row.flow_id: row for row in rows}


def of_flow(store: Store, flow: FlowRow) -> FlowVerdicts:
    """Return every verdict on a flow that is still there."""
    values = {"capture_id": flow.capture_id, "start_ns": flow.start_ns, "flow_id": flow.flow_id}
    rows = [VerdictRow.model_validate(row) for row in store.query(_OF_FLOW, values)]
    champion, challenger = ([row for row in rows if row.role is role] for role in ModelRole)
    return FlowVerdicts(
        champion[-1] if champion else None,
        champion[:-1],
        challenger[-1] if challenger else None,
    )
