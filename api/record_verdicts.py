"""Records of flows and the verdicts on them, to be looked up by packet."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, TypeAdapter

from api.queries_export import address_text
from api.threat_anomalies import ThreatAnomaly, address_number, raised_by, threat_anomalies
from infra.store import Store
from schemas.verdicts import REACH_NS, Verdict, verdict_of

FlowKey = tuple[str, int, int, frozenset[tuple[str, int]]]
"""Capture, protocol, VLAN and both ends: what the packets and the records of a flow have in common."""

RECORD_COLUMNS = ", ".join(
    (
        *("capture_id", "flow_id", "window_id", "end_ns", "since_frame", "last_frame", "protocol", "vlan"),
        *(f"{address_text(f'packet_verdicts.{name}')} AS {name}_text" for name in ("src_ip", "dst_ip")),
        *("src_port", "dst_port", "new_fwd_packets + new_bwd_packets AS packets", "class_name", "attack_probability"),
    )
)

_RECORDS_OF = f"""
SELECT {RECORD_COLUMNS} FROM packet_verdicts
PREWHERE start_ns <= {{last_ns:Int64}} AND src_port IN {{ports:Array(UInt16)}} AND dst_port IN {{ports:Array(UInt16)}}
WHERE capture_id IN {{captures:Array(String)}}
  AND end_ns >= {{first_ns:Int64}} AND end_ns < {{last_ns:Int64}} + {REACH_NS}
  AND src_ip IN {{addresses:Array(IPv6)}} AND dst_ip IN {{addresses:Array(IPv6)}}
"""  # noqa: S608 - our own text
"""Records between ends that are asked for: few more than those of the flows, whose tuples take longer to parse than all
else does."""


@dataclass(frozen=True)
class Record:
    """A flow record: which packets are new in it, and the verdict on them.

    Parameters
    ----------
    key : FlowKey
    flow_id : int
    src, dst : tuple of str and int
        Who began the flow, and with whom.
    end_ns : int
        Newest time of its packets.
    packets : int
        That are new in it.
    since_frame, last_frame : int
        Numbers between which they are.
    verdict : Verdict
    """

    key: FlowKey
    flow_id: int
    src: tuple[str, int]
    dst: tuple[str, int]
    end_ns: int
    packets: int
    since_frame: int
    last_frame: int
    verdict: Verdict


class RecordsByFlow:
    """Records in order, to find the one that counts a packet: the first that ends with it or later.

    Parameters
    ----------
    records : iterable of Record
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._of: dict[FlowKey, list[Record]] = defaultdict(list)
        for record in records:
            self._of[record.key].append(record)
        for of_flow in self._of.values():
            # A flow's last record may have no packets of its own: it ends with the one before, and begins behind it.
            of_flow.sort(key=lambda record: (record.last_frame, record.since_frame))

    def of(self, key: FlowKey, frame: int) -> Record | None:
        """Return the record that counts a packet, if there is one."""
        of_flow = self._of.get(key, [])
        at = bisect_left(of_flow, frame, key=lambda record: record.last_frame)
        return of_flow[at] if at < len(of_flow) and of_flow[at].since_frame <= frame else None


def record_rows(store: Store, keys: set[FlowKey], first_ns: int, last_ns: int) -> list[dict[str, object]]:
    """Return the records that may count packets of some flows from ``first_ns`` to ``last_ns``, for ``judged``.

    Others may be among them whose ends are those of several of the flows.
    """
    if not keys:
        return []
    ends = {end for key in keys for end in key[3]}
    values = {
        "captures": sorted({key[0] for key in keys}),
        "first_ns": first_ns,
        "last_ns": last_ns + 1,
        "addresses": sorted({address for address, _ in ends}),
        "ports": sorted({port for _, port in ends}),
    }
    return store.query(_RECORDS_OF, values)


def end_values(keys: Iterable[FlowKey]) -> dict[str, object]:
    """Return the parameters ``pairs`` and ``ports`` of flows: who talks with whom, either way, and on what ports."""
    ends = [(*key[3], *key[3])[:2] for key in keys]  # a flow may have one end only
    return {
        "pairs": sorted({(a[0], b[0]) for one, other in ends for a, b in ((one, other), (other, one))}),
        "ports": sorted({port for pair in ends for _, port in pair}),
    }


def judged(
    store: Store, rows: Sequence[Mapping[str, object]], known: Sequence[ThreatAnomaly] | None = None
) -> list[Record]:
    """Return records with the verdicts on them.

    Parameters
    ----------
    rows : sequence of mapping
        With ``RECORD_COLUMNS``.
    known : sequence of ThreatAnomaly, optional
        Those of the windows concerned; looked up unless given.
    """
    read = _ROWS.validate_python(rows)
    if known is None and rows:
        known = threat_anomalies(
            store,
            {row.capture_id for row in read},
            "window_id IN {windows:Array(UInt32)}",
            {"windows": sorted({row.window_id for row in read})},
        )
    by_window: dict[tuple[str, int], list[ThreatAnomaly]] = defaultdict(list)
    for one in known or ():
        by_window[one.capture_id, one.window_id].append(one)
    return [_record(row, by_window) for row in read]


class _Row(BaseModel):
    """A record as ``RECORD_COLUMNS`` has it."""

    capture_id: str
    flow_id: int
    window_id: int
    end_ns: int
    since_frame: int
    last_frame: int
    protocol: int
    vlan: int
    src_ip_text: str
    dst_ip_text: str
    src_port: int
    dst_port: int
    packets: int
    class_name: str
    attack_probability: float


_ROWS = TypeAdapter(list[_Row])


def _record(row: _Row, by_window: Mapping[tuple[str, int], Sequence[ThreatAnomaly]]) -> Record:
    src, dst = (row.src_ip_text, row.src_port), (row.dst_ip_text, row.dst_port)
    named = by_window.get((row.capture_id, row.window_id))
    raised = raised_by(named, *((address_number(text), port) for text, port in (src, dst))) if named else []
    return Record(
        key=(row.capture_id, row.protocol, row.vlan, frozenset((src, dst))),
        flow_id=row.flow_id,
        src=src,
        dst=dst,
        end_ns=row.end_ns,
        packets=row.packets,
        since_frame=row.since_frame,
        last_frame=row.last_frame,
        verdict=verdict_of(row.attack_probability, row.class_name, raised),
    )
