"""The anomalies that raise verdicts: which flow or source each names in its window, and to what score."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, ip_address

from infra.store import Store
from schemas.enums import AnomalyType, Severity
from schemas.verdicts import ANOMALY_SCORES, REACH_NS

_ENDPOINT = re.compile(r"\[?(.*?)\]?:([0-9]+)")

_MAPPED = 0xFFFF << 32

Endpoint = tuple[int, int]
"""Address as a number, IPv4 mapped, and port."""


@dataclass(frozen=True)
class ThreatAnomaly:
    """An anomaly that names a flow, or a source and no flow in particular.

    Parameters
    ----------
    capture_id : str
    window_id : int
    source : int or None
        Address of the source whose flows it is about; None when it names a flow.
    ends : frozenset of Endpoint
        Of the flow that it names, whichever began it.
    score : float
    type : str
    """

    capture_id: str
    window_id: int
    source: int | None
    ends: frozenset[Endpoint]
    score: float
    type: str

    @property
    def addresses(self) -> set[int]:
        """Whom it names."""
        return {address for address, _ in self.ends} if self.source is None else {self.source}

    def names(self, src: Endpoint, dst: Endpoint) -> bool:
        """Return whether it is about the flow that ``src`` began with ``dst``."""
        return src[0] == self.source if self.source is not None else self.ends == {src, dst}


# What was judged again needs the view; where nothing was, the table says the same for a fifth of the price.
_ANOMALIES = """
SELECT capture_id, window_id, source_ip, flow_src, flow_dst, type, severity,
       (SELECT count() FROM analysis_runs WHERE capture_id IN {captures:Array(String)})
       + (SELECT count() FROM corrections WHERE capture_id IN {captures:Array(String)}) > 0 AS is_judged_again
FROM <anomalies>
WHERE capture_id IN {captures:Array(String)} AND type IN {types:Array(String)} AND (flow_src != '' OR source_ip != '')
  AND <windows>
"""

ALL_WINDOWS = "1"

# A record ends within its window, or so much later that its flow may have been quiet meanwhile.
NEAR = f"window_end_ns > {{after_ns:Int64}} - {REACH_NS} AND window_start_ns <= {{reach_ns:Int64}} + {REACH_NS}"
"""Windows of the records that may count packets later than ``after_ns``, up to ``REACH_NS`` before ``reach_ns``."""

TYPES = sorted({kind.value for kind, _ in ANOMALY_SCORES})


def threat_anomalies(
    store: Store, captures: Iterable[str], windows: str = ALL_WINDOWS, values: dict[str, object] | None = None
) -> list[ThreatAnomaly]:
    """Return the anomalies of some captures that count and raise verdicts.

    Parameters
    ----------
    captures : iterable of str
    windows : str
        Condition on the windows, a text of ours.
    values : dict of str to object, optional
        Of its parameters.
    """
    given = {**(values or {}), "captures": sorted(captures), "types": TYPES}
    sql = _ANOMALIES.replace("<windows>", windows)
    rows = store.query(sql.replace("<anomalies>", "anomalies FINAL"), given)
    if rows and rows[0]["is_judged_again"]:
        rows = store.query(sql.replace("<anomalies>", "anomalies_now"), given)
    return [_read(row) for row in rows if _score(row) > 0]


def _score(row: dict[str, object]) -> float:
    return ANOMALY_SCORES.get((AnomalyType(str(row["type"])), Severity(str(row["severity"]))), 0.0)


def _read(row: dict[str, object]) -> ThreatAnomaly:
    src, dst = str(row["flow_src"]), str(row["flow_dst"])
    return ThreatAnomaly(
        capture_id=str(row["capture_id"]),
        window_id=int(str(row["window_id"])),
        source=None if src else address_number(str(row["source_ip"])),
        ends=frozenset((_endpoint(src), _endpoint(dst))) if src else frozenset(),
        score=_score(row),
        type=str(row["type"]),
    )


def _endpoint(text: str) -> Endpoint:
    match = _ENDPOINT.fullmatch(text)
    return (address_number(match[1]), int(match[2]) if int(match[2]) < 2**16 else 0) if match else (0, 0)


@lru_cache(1 << 14)
def address_number(text: str) -> int:
    """Return an address as the store compares it: the number of the IPv6 address, IPv4 mapped; 0 where it is none."""
    try:
        found = ip_address(text)
    except ValueError:
        return 0
    return int(found) | _MAPPED if isinstance(found, IPv4Address) else int(found)


def raised_by(anomalies: Sequence[ThreatAnomaly], src: Endpoint, dst: Endpoint) -> list[tuple[float, str]]:
    """Return score and type of those that name the flow that ``src`` began with ``dst``."""
    return [(one.score, one.type) for one in anomalies if one.names(src, dst)]
