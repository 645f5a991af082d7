"""All SQL of the API: each function asks the store one thing and returns typed rows.

The views ``windows_now``, ``ledger_now`` and ``captures_now`` show the newest version of each row, also
before ClickHouse has merged the older ones away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api.filters import EVER, NS_PER_S, TimeRange
from api.rows import CaptureNow, Count, LedgerTotal, Progress, SummaryRow, WindowRow
from infra.store import Store
from schemas.classifications import JUDGED_AFTER_NS
from schemas.enums import CaptureState

SETTLES_NS = JUDGED_AFTER_NS + 11 * NS_PER_S
"""How long before the beginning of the newest window what happened has its verdict: a flow that closes is written when
stragglers have been waited for (10 s by default), sent within a second by a port, and judged ``JUDGED_AFTER_NS``
later."""

_PING = "SELECT 1"

_CURRENT_CAPTURE = """
SELECT * FROM captures_now WHERE state != 'failed' ORDER BY started_ns DESC, capture_id DESC LIMIT 1
"""

_CAPTURE_BY_ID = "SELECT * FROM captures_now WHERE capture_id = {capture_id:String}"

_CAPTURE_STATE = "SELECT argMax(state, version) AS state FROM captures WHERE capture_id = {capture_id:String}"

# Whether a capture is stored is said by which lines its ledger has, whatever they count.
_LEDGER_LINES = """
SELECT uniqExact(hop, partition, reason) AS total FROM ledger WHERE capture_id = {capture_id:String}
"""

_BEING_STORED = """
SELECT capture_id FROM captures_now
WHERE capture_id IN {captures:Array(String)} AND state != 'failed' AND NOT is_stored
"""

_NEWEST_WINDOWS = """
SELECT capture_id, max(window_start_ns) AS newest_ns FROM windows
WHERE capture_id IN {captures:Array(String)} GROUP BY capture_id
"""

_CAPTURES = """
SELECT * FROM captures_now ORDER BY started_ns DESC, capture_id DESC
LIMIT {limit:UInt32} OFFSET {offset:UInt32}
"""

_CAPTURE_COUNT = "SELECT uniqExact(capture_id) AS total FROM captures"

_COMPLETE_BY_FINGERPRINT = """
SELECT * FROM captures_now WHERE fingerprint = {fingerprint:String} AND is_stored
ORDER BY started_ns DESC, capture_id DESC
"""

# Without the columns of evidence: they are large, and for the detectors.
_OF_WINDOW = ", ".join(WindowRow.model_fields)

_IN_TIME = "window_end_ns > {from_ns:Int64} AND window_start_ns < {to_ns:Int64}"

_WINDOWS = f"""
SELECT {_OF_WINDOW} FROM windows_now
WHERE capture_id = {{capture_id:String}} AND window_id >= {{first:UInt64}} AND {_IN_TIME}
ORDER BY window_id LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}
"""  # noqa: S608 - our own text

_WINDOW_BY_ID = f"""
SELECT {_OF_WINDOW} FROM windows_now WHERE capture_id = {{capture_id:String}} AND window_id = {{window_id:UInt32}}
"""  # noqa: S608 - our own text

_WINDOW_COUNT = f"""
SELECT uniqExact(window_id) AS total FROM windows WHERE capture_id = {{capture_id:String}} AND {_IN_TIME}
"""  # noqa: S608 - our own text

_NEWEST_LIVE = """
SELECT * FROM captures_now WHERE source = 'live' ORDER BY started_ns DESC, capture_id DESC LIMIT 1
"""

# Averages as in api.window_answers.bandwidth_of; a test holds the two together.
_SUMMARY = """
SELECT count() AS total_windows,
       min(window_start_ns) AS first_start_ns, max(window_end_ns) AS last_end_ns,
       sum(w.record_count) AS packets, sum(w.bytes) AS bytes,
       avg(bps) AS mean_bps, max(bps) AS max_bps, min(bps) AS min_bps,
       avgOrNull(rtt_mean_ns) AS mean_rtt_ns, max(w.rtt_max_ns) AS max_rtt_ns,
       sum(w.rtt_count) AS rtt_count, sum(w.rtt_sum_ns) AS rtt_sum_ns,
       sum(connections_total) AS connections
FROM (
    SELECT window_start_ns, window_end_ns, record_count, bytes, connections_total,
           rtt_count, rtt_sum_ns, rtt_max_ns,
           if(rtt_count = 0, NULL, rtt_sum_ns / rtt_count) AS rtt_mean_ns,
           ifNull(last_ts_ns - first_ts_ns, 0) AS seen_ns,
           bytes * 1e9 / if(seen_ns = 0, window_end_ns - window_start_ns, seen_ns) AS bps
    FROM windows_now WHERE capture_id = {capture_id:String}
) AS w
"""

_LEDGER = """
SELECT hop, reason, sum(l.packets_in) AS packets_in, sum(l.packets_out) AS packets_out
FROM ledger_now AS l WHERE capture_id = {capture_id:String}
GROUP BY hop, reason ORDER BY hop, reason
"""

_PROGRESS = """
SELECT (SELECT max(version) FROM captures WHERE capture_id = {capture_id:String}) AS version,
       (SELECT count() FROM packet_logs WHERE capture_id = {capture_id:String}) AS packets,
       (SELECT count() FROM windows WHERE capture_id = {capture_id:String}) AS windows,
       (SELECT count() FROM ledger WHERE capture_id = {capture_id:String}) AS ledger_rows
"""


def ping(store: Store) -> None:
    """Ask the store for anything.

    Raises
    ------
    StoreError
        It does not answer.
    """
    store.query(_PING)


def current_capture(store: Store) -> CaptureNow | None:
    """Return the newest capture that has not failed, or None while there is none."""
    rows = store.query(_CURRENT_CAPTURE)
    return CaptureNow.model_validate(rows[0]) if rows else None


def capture(store: Store, capture_id: str) -> CaptureNow | None:
    """Return a capture, or None when the store does not know it."""
    rows = store.query(_CAPTURE_BY_ID, {"capture_id": capture_id})
    return CaptureNow.model_validate(rows[0]) if rows else None


def capture_state(store: Store, capture_id: str) -> CaptureState | None:
    """Return a capture's state, or None when the store does not know it; an eighth of the cost of ``capture``."""
    state = str(store.query(_CAPTURE_STATE, {"capture_id": capture_id})[0]["state"])
    return CaptureState(state) if state else None


def ledger_lines(store: Store, capture_id: str) -> int:
    """Return how many lines a capture's ledger has: as long as there are no more, it is no more stored than before."""
    return Count.model_validate(store.query(_LEDGER_LINES, {"capture_id": capture_id})[0]).total


def newest_windows(store: Store, captures: Sequence[str]) -> dict[str, int]:
    """Return when the newest stored window of each capture began, ns; captures without one are left out."""
    windows = store.query(_NEWEST_WINDOWS, {"captures": sorted(captures)})
    return {str(row["capture_id"]): int(str(row["newest_ns"])) for row in windows}


def settled_until(store: Store, newest_ns: Mapping[str, int], begun_ns: Mapping[str, int]) -> dict[str, int]:
    """Return until when the events of each capture that has some that may change do not any more, ns.

    That is ``SETTLES_NS`` before the newest stored window began: what happened in a window that was over by then is
    judged, unless it is of a flow of one packet, which is judged when it has been idle. 0 while there is no such
    time; captures that are stored to their end, and failed ones, are left out.

    Parameters
    ----------
    newest_ns : mapping of str to int
        By capture, when the newest event in question happened.
    begun_ns : mapping of str to int
        Of ``newest_windows`` of these captures.
    """
    until_ns = {name: max(0, at_ns - SETTLES_NS) for name, at_ns in begun_ns.items()}
    later = sorted(name for name, at_ns in newest_ns.items() if at_ns >= until_ns.get(name, 0))
    being_stored = store.query(_BEING_STORED, {"captures": later}) if later else []
    return {str(row["capture_id"]): until_ns.get(str(row["capture_id"]), 0) for row in being_stored}


def captures(store: Store, limit: int, offset: int) -> list[CaptureNow]:
    """Return a page of captures, newest first."""
    rows = store.query(_CAPTURES, {"limit": limit, "offset": offset})
    return [CaptureNow.model_validate(row) for row in rows]


def capture_count(store: Store) -> int:
    """Return the number of captures."""
    return Count.model_validate(store.query(_CAPTURE_COUNT)[0]).total


def complete_captures(store: Store, fingerprint: str) -> list[CaptureNow]:
    """Return the complete captures of the same file and window size, newest first."""
    rows = store.query(_COMPLETE_BY_FINGERPRINT, {"fingerprint": fingerprint})
    return [CaptureNow.model_validate(row) for row in rows]


def newest_live_capture(store: Store) -> CaptureNow | None:
    """Return the newest capture of a port, also one that has failed, or None while there is none."""
    rows = store.query(_NEWEST_LIVE)
    return CaptureNow.model_validate(rows[0]) if rows else None


def windows(
    store: Store, capture_id: str, limit: int, offset: int, *, first: int = 0, times: TimeRange = EVER
) -> list[WindowRow]:
    """Return a page of a capture's windows in order, each in its newest version.

    Parameters
    ----------
    first : int
        Lowest number wanted.
    times : TimeRange
        Where they must have a part.
    """
    place = {"limit": limit, "offset": offset, "first": first, "from_ns": times.from_ns, "to_ns": times.to_ns}
    rows = store.query(_WINDOWS, {"capture_id": capture_id, **place})
    return [WindowRow.model_validate(row) for row in rows]


def window(store: Store, capture_id: str, window_id: int) -> WindowRow | None:
    """Return one window in its newest version, or None when the capture has no such window."""
    rows = store.query(_WINDOW_BY_ID, {"capture_id": capture_id, "window_id": window_id})
    return WindowRow.model_validate(rows[0]) if rows else None


def window_count(store: Store, capture_id: str, times: TimeRange = EVER) -> int:
    """Return the number of a capture's windows that have a part in a time."""
    values = {"capture_id": capture_id, "from_ns": times.from_ns, "to_ns": times.to_ns}
    return Count.model_validate(store.query(_WINDOW_COUNT, values)[0]).total


def summary(store: Store, capture_id: str) -> SummaryRow | None:
    """Return aggregates over a capture's windows, or None when it has none."""
    row = store.query(_SUMMARY, {"capture_id": capture_id})[0]
    return SummaryRow.model_validate(row) if row["total_windows"] else None


def ledger(store: Store, capture_id: str) -> list[LedgerTotal]:
    """Return what each hop of a capture counted, per reason, all partitions together."""
    rows = store.query(_LEDGER, {"capture_id": capture_id})
    return [LedgerTotal.model_validate(row) for row in rows]


def progress(store: Store, capture_id: str) -> Progress:
    """Return figures that move as long as a capture is worked on."""
    return Progress.model_validate(store.query(_PROGRESS, {"capture_id": capture_id})[0])
