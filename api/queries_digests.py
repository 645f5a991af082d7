"""What a capture's rows come to: counts, sums and hashes that do not depend on the order the rows came in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from infra.store import Store

Digest: TypeAlias = dict[str, list[dict[str, object]]]
"""What each table has of a capture, by name; equal for equal rows."""


def _rows(source: str, *names_of_the_run: str, also: str = "") -> str:
    """Return a query for the number of rows and the sum of their hashes, over every column but those named."""
    columns = f"* EXCEPT ({', '.join(('capture_id', *names_of_the_run))})"
    return f"""
        SELECT count() AS n, {also} toString(sum(cityHash64(toString(tuple({columns}))))) AS hash
        FROM {source} AS t WHERE capture_id = {{id:String}}"""  # noqa: S608 - our own names, no value


_QUERIES = {
    # The same packets give the same sum, in any order.
    "packets": """
        SELECT count() AS n, countDistinct(frame) AS frames,
               toString(sum(cityHash64(* EXCEPT (capture_id, event_id, inserted_at)))) AS hash
        FROM packet_logs WHERE capture_id = {id:String}""",
    "windows": _rows("windows_now", "inserted_at", also="sum(record_count) AS packets,"),
    # Ids and sources are made of the capture's id.
    "anomalies": _rows(
        "anomalies_now",
        "anomaly_id",
        "incident_id",
        "inserted_at",
        also="uniqExact(type) AS types, uniqExact(incident_id) AS incidents,",
    ),
    "corrections": _rows("(SELECT * FROM corrections FINAL)"),
    "baselines": _rows("(SELECT * FROM baselines FINAL)", "source", "inserted_at", also="max(t.windows) AS windows,"),
    # How records are spread over messages does not show: merged rows and rows yet to be merged are the same flows.
    "flows": _rows("flows_now", also="sum(fwd_packets + bwd_packets) AS packets,"),
    # Which flows share a message decides which of them are explained, and the last digit of a matrix product.
    "classifications": _rows(
        "(SELECT * FROM classifications FINAL)",
        "confidence",
        "attack_probability",
        "inserted_at",
        "reason_features",
        "reason_values",
        "reason_contributions",
        also="round(avg(confidence), 3) AS confidence,",
    ),
    # When a record was written on the way decides where its verdict ends, not which packets it has.
    "packet_verdicts": """
        SELECT count() AS n, sum(sent) AS packets, toString(sum(cityHash64(flow_id, sent))) AS hash
        FROM
        (
            SELECT flow_id, sum(new_fwd_packets + new_bwd_packets) AS sent
            FROM packet_verdicts WHERE capture_id = {id:String} GROUP BY flow_id
        )""",
    "traffic_stats": "SELECT sum(packets) AS packets FROM traffic_stats WHERE capture_id = {id:String}",
    **{
        view: _rows(view, also="sum(t.packets) AS packets, sum(t.bytes) AS bytes,")
        for view in ("traffic_1m", "traffic_5m", "traffic_1h")
    },
    "ledger": """
        SELECT hop, sum(packets_in) AS packets_in, sum(packets_out) AS packets_out
        FROM ledger_now WHERE capture_id = {id:String} AND reason = '' GROUP BY hop ORDER BY hop""",
    "captures": """
        SELECT state, is_stored, packets, bytes, first_ts_ns, last_ts_ns
        FROM captures_now WHERE capture_id = {id:String}""",
}


def digests(store: Store, capture_ids: Sequence[str]) -> dict[str, Digest]:
    """Return counts and order-independent hashes of each capture's rows, raw and rolled up, by capture id."""
    return {capture_id: _digest(store, capture_id) for capture_id in capture_ids}


def _digest(store: Store, capture_id: str) -> Digest:
    return {name: [dict(row) for row in store.query(sql, {"id": capture_id})] for name, sql in _QUERIES.items()}
