"""What one event looks back on: counts and sums over the packets of its source.

Features look back over the packets of the event's source in its capture, the event included: those of the last
``LOOK_BACK_NS`` that are not later, by time and then by id. Two statements read the packets and the records that may
count them, and the rest is arithmetic on their columns: a statement that joined them would take longer to plan than
to run. ``api.look_back_sql`` finds the same for many events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from api.packet_records import ONE_CAPTURE, PACKET_COLUMNS, RECORD_COLUMNS, Numbers, codes, counted_by, judged
from schemas.verdicts import MALICIOUS_FROM, REACH_NS

S = 10**9

LOOK_BACK_NS = 300 * S
"""How far a feature looks back."""

RATE_NS, BURST_NS, SESSION_GAP_NS = 60 * S, 10 * S, 60 * S
"""Times of the event rate and of the burst rate, and the pause that ends a session."""

PACKETS = f"""
SELECT {PACKET_COLUMNS}, length_bytes
FROM packet_logs
PREWHERE src_ip = {{source:IPv6}}
WHERE capture_id = {{capture:String}} AND ts_ns > {{until_ns:Int64}} - {LOOK_BACK_NS} AND ts_ns <= {{until_ns:Int64}}
  AND (ts_ns < {{until_ns:Int64}} OR event_id <= {{event_id:UInt64}})
""".replace("<capture>", ONE_CAPTURE)  # noqa: S608 - our own text
"""Packets that the event ``event_id`` of a source looks back on."""

_RECORDS = f"""
SELECT {RECORD_COLUMNS}
FROM packet_verdicts
PREWHERE start_ns <= {{until_ns:Int64}} AND (src_ip = {{source:IPv6}} OR dst_ip = {{source:IPv6}})
WHERE capture_id = {{capture:String}} AND end_ns > {{until_ns:Int64}} - {LOOK_BACK_NS}
  AND end_ns <= {{until_ns:Int64}} + {REACH_NS}
""".replace("<capture>", ONE_CAPTURE)  # noqa: S608 - our own text


def records_sql(raised: str) -> str:
    """Return the statement of the records that may count these packets, with what verdicts are made from.

    Parameters
    ----------
    raised : str
        What makes of a record the place of the anomaly that raises it, 0 for none; see ``api.verdict_sql``.
    """
    return _RECORDS.replace("<raised>", raised)


@dataclass(frozen=True)
class Verdicts:
    """Of records, and behind them that on packets that no record counts.

    Parameters
    ----------
    scores : array (n_records + 1,) of float64
    classes : array (n_records + 1,) of int64
        A number for each attack class.
    """

    scores: npt.NDArray[np.float64]
    classes: Numbers


def verdicts_on(records: pa.Table, values: Mapping[str, object]) -> Verdicts:
    """Return the verdicts on what ``records_sql`` finds; ``values`` are those of ``api.verdict_sql.raised``."""
    scores, names = judged(records, values)
    return Verdicts(scores, codes(pa.chunked_array([names])))


def sums_of(
    values: Mapping[str, object], packets: pa.Table, records: pa.Table, verdicts: Verdicts
) -> list[dict[str, object]]:
    """Return what an event looks back on, as ``api.look_back_sql`` does: a row, or none if it is not among the packets.

    Parameters
    ----------
    values : mapping of str to object
        The parameters of both statements, and of ``api.verdict_sql.raised``.
    packets, records : pyarrow.Table
        What ``PACKETS`` and ``records_sql`` find.
    verdicts : Verdicts
        On the records.
    """
    event_id, until_ns = int(str(values["event_id"])), int(str(values["until_ns"]))
    places = np.nonzero(packets["event_id"].to_numpy() == event_id)[0]
    if not len(places):
        return []
    source = pa.scalar(IPv6Address(str(values["source"])).packed, pa.binary(16))
    counted = counted_by(packets.append_column("src_ip", pa.repeat(source, len(packets))), records)
    scores, classes = verdicts.scores[counted], verdicts.classes[counted]
    times, lengths = np.sort(packets["ts_ns"].to_numpy()), packets["length_bytes"].to_numpy().astype(np.uint64)
    pauses = np.nonzero(np.diff(times) > SESSION_GAP_NS)[0]
    sums: dict[str, object] = {
        "event_id": event_id,
        "n": len(times),
        "n_rate": int(np.count_nonzero(times > until_ns - RATE_NS)),
        "n_burst": int(np.count_nonzero(times > until_ns - BURST_NS)),
        "length_sum": int(lengths.sum()),
        "length_squares": int((lengths * lengths).sum()),
        "n_malicious": int(np.count_nonzero(scores >= MALICIOUS_FROM)),
        "n_same_class": int(np.count_nonzero(classes == classes[places[0]])),
        "n_destinations": len(packets["dst_ip"].combine_chunks().unique()),
        "session_ns": int(times[pauses[-1] + 1 if len(pauses) else 0]),
        "threat_score": float(scores[places[0]]),
    }
    return [sums]
