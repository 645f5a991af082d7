"""Packets and the records that count them, joined as columns: for many packets, without a statement that joins them.

ClickHouse takes longer to plan an ASOF join than to read a host's packets of some minutes, so two plain statements read
both sides, and the join is arithmetic. ``api.record_verdicts`` does the same one packet at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.verdicts import NO_VERDICT, verdicts_of

Numbers = npt.NDArray[np.int64]

PACKET_COLUMNS = """<capture> AS capture, event_id, ts_ns, frame, dst_ip, protocol, vlan,
       if(fragment = 0, src_port, 0) AS from_port, if(fragment = 0, dst_port, 0) AS to_port"""
"""What is read of packets, besides ``src_ip``.

Fragments have no ports, so they are flows of their own with ports 0; see docs/flows.md.
"""

RECORD_COLUMNS = """<capture> AS capture, src_ip, dst_ip, protocol, vlan, src_port AS from_port, dst_port AS to_port,
       since_frame, last_frame, attack_probability, class_name::String AS class_name, <raised> AS raised"""
"""What is read of records; ``raised`` is the place of the anomaly that raises one, see ``api.verdict_sql``."""

ONE_CAPTURE, OF_CAPTURES = "1", "indexOf({captures:Array(String)}, capture_id)"
"""The number of a row's capture, in a statement on one and on many."""


def judged(
    records: pa.Table, of_anomalies: Mapping[str, object]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.object_]]:
    """Return threat score and attack class of records, and behind them those of packets that no record counts.

    Parameters
    ----------
    records : pyarrow.Table
        With ``RECORD_COLUMNS``.
    of_anomalies : mapping of str to object
        With ``anomaly_scores`` and ``anomaly_types`` as ``api.verdict_sql.raised`` has them.

    Returns
    -------
    tuple of numpy.ndarray and numpy.ndarray
        Shape (n_records + 1,).
    """
    by_anomaly = cast("list[float]", of_anomalies["anomaly_scores"]), cast("list[str]", of_anomalies["anomaly_types"])
    raised = records["raised"].to_numpy()
    scores, classes = verdicts_of(
        records["attack_probability"].to_numpy(),
        records["class_name"].to_numpy(),
        np.array([0.0, *by_anomaly[0]])[raised],
        np.array(["", *by_anomaly[1]], np.object_)[raised],
    )
    return np.append(scores, NO_VERDICT.score), np.append(classes, np.object_(NO_VERDICT.attack_class))


def counted_by(packets: pa.Table, records: pa.Table) -> Numbers:
    """Return the row of the record that counts each packet, or behind the last one where none does.

    Of the records of its flow it is the one with the lowest last frame that is not below the packet's, if it begins
    with the packet or before.

    Parameters
    ----------
    packets, records : pyarrow.Table
        With ``src_ip``, ``PACKET_COLUMNS`` and ``RECORD_COLUMNS``.

    Returns
    -------
    numpy.ndarray
        Shape (n_packets,).
    """
    if not len(records) or not len(packets):
        return np.full(len(packets), len(records), np.int64)
    of_packets, of_records = np.split(_flows(packets, records), [len(packets)])
    frames, since, last = (
        table[name].to_numpy().astype(np.int64)
        for table, name in ((packets, "frame"), (records, "since_frame"), (records, "last_frame"))
    )
    begin = min(frames.min(), last.min())
    span = max(frames.max(), last.max()) - begin + 1
    ends = of_records * span + last - begin
    order = np.lexsort((since, ends))
    place = np.searchsorted(ends[order], of_packets * span + frames - begin)
    found = order[np.minimum(place, len(order) - 1)]
    is_counted = (place < len(order)) & (of_records[found] == of_packets) & (since[found] <= frames)
    return np.where(is_counted, found, len(records))


def _flows(*tables: pa.Table) -> Numbers:
    """Return a number for each row of some tables, one behind the other: the same for both ways of a flow."""
    addresses = codes(*(table[name] for name in ("src_ip", "dst_ip") for table in tables))
    ports = [table[name].to_numpy() for name in ("from_port", "to_port") for table in tables]
    one, other = np.split(addresses << 16 | np.concatenate(ports), 2)
    flows = _paired(np.minimum(one, other), np.maximum(one, other))
    for name in ("capture", "protocol", "vlan"):
        flows = _paired(flows, np.concatenate([table[name].to_numpy().astype(np.int64) for table in tables]))
    return codes(pa.chunked_array([flows]))


def _paired(some: Numbers, others: Numbers) -> Numbers:
    """Return a number for each pair of natural numbers: the same for the same two."""
    width = int(others.max()) + 1
    if int(some.max()) >= 2**62 // width:
        some, others = (codes(pa.chunked_array([numbers])) for numbers in (some, others))
        width = int(others.max()) + 1
    return some * width + others


def codes(*columns: pa.ChunkedArray) -> Numbers:
    """Return a number for each value of some columns, one behind the other: the same for the same value."""
    values = pa.chunked_array([chunk for column in columns for chunk in column.chunks], columns[0].type)
    return np.asarray(values.combine_chunks().dictionary_encode().indices, np.int64)
