"""The partial window: what one partition saw of one window, exact and mergeable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.enums import DecodeStatus, TcpAnalysis
from streams.arrays import Int64s
from streams.groups import GroupTable, merge_tables
from streams.names import NAME_TABLES
from streams.roundtrips import merge_round_trips
from streams.window_conversations import from_planes, merge_conversations, no_conversations, to_planes

N_STATUSES = len(DecodeStatus)
N_VERDICTS = len(TcpAnalysis)
NO_FIRST = np.iinfo(np.int64).max
NO_LAST = np.iinfo(np.int64).min


class Count(IntEnum):
    """Positions in ``PartialWindow.counts``."""

    RECORDS = 0
    BYTES = 1
    TCP_SEGMENTS = 2
    TCP_DATA_SEGMENTS = 3
    LATE = 4
    RTT_SUM_NS = 5
    HANDSHAKES = 6
    HANDSHAKE_SUM_NS = 7
    RETRANSMISSIONS = 8


@dataclass(frozen=True)
class PartialWindow:
    """Sums of some packets of one window.

    Merging is commutative and associative, so partial windows of any batches, partitions and
    late corrections give the same window.

    Parameters
    ----------
    window_id : int
        Number of the window in its capture.
    counts : ndarray of int64, shape (len(Count),)
        Plain sums.
    first_ts_ns, last_ts_ns : int
        Earliest and latest event time; ``NO_FIRST`` and ``NO_LAST`` without packets.
    rtt_max_ns : int
        Longest round trip, exact also where the percentiles are sketched; -1 without one.
    sampling_rate : float
        Share of the flows that was kept, the lowest of its batches.
    statuses : ndarray of int64, shape (len(DecodeStatus),)
        Packets by decode status.
    verdicts : ndarray of int64, shape (len(TcpAnalysis),)
        Segments by bit of the TCP analysis.
    names, protocols : GroupTable
        Packets and bytes by name id and by IP protocol number.
    conversations : ndarray of int64, shape (n_rows, WORDS)
        What each conversation did; see ``streams.window_conversations``. Hosts are derived from it.
    rtts : GroupTable
        Round trips; see ``streams.roundtrips``.
    """

    window_id: int
    counts: Int64s
    first_ts_ns: int
    last_ts_ns: int
    rtt_max_ns: int
    sampling_rate: float
    statuses: Int64s
    verdicts: Int64s
    names: GroupTable
    protocols: GroupTable
    conversations: Int64s
    rtts: GroupTable

    @property
    def rows(self) -> int:
        """Rows held in all tables: what merging it costs."""
        return len(self.conversations) + len(self.rtts) + len(self.names)

    @property
    def records(self) -> int:
        """Packets counted."""
        return int(self.counts[Count.RECORDS])


def empty_partial(window_id: int) -> PartialWindow:
    """Return the partial window of no packets: the neutral element of merging."""
    return PartialWindow(
        window_id=window_id,
        counts=np.zeros(len(Count), np.int64),
        first_ts_ns=NO_FIRST,
        last_ts_ns=NO_LAST,
        rtt_max_ns=-1,
        sampling_rate=1.0,
        statuses=np.zeros(N_STATUSES, np.int64),
        verdicts=np.zeros(N_VERDICTS, np.int64),
        names=GroupTable.empty(1, 2),
        protocols=GroupTable.empty(1, 2),
        conversations=no_conversations(),
        rtts=GroupTable.empty(1, 1),
    )


def merge_partials(partials: Sequence[PartialWindow]) -> PartialWindow:
    """Merge partial windows of the same window into one.

    Raises
    ------
    ValueError
        When they belong to different windows, or there is none.
    """
    window_ids = {partial.window_id for partial in partials}
    if len(window_ids) != 1:
        raise ValueError(f"partial windows of {sorted(window_ids)} cannot be merged into one")
    return PartialWindow(
        window_id=window_ids.pop(),
        counts=np.sum([partial.counts for partial in partials], axis=0),
        first_ts_ns=min(partial.first_ts_ns for partial in partials),
        last_ts_ns=max(partial.last_ts_ns for partial in partials),
        rtt_max_ns=max(partial.rtt_max_ns for partial in partials),
        sampling_rate=min(partial.sampling_rate for partial in partials),
        statuses=np.sum([partial.statuses for partial in partials], axis=0),
        verdicts=np.sum([partial.verdicts for partial in partials], axis=0),
        names=merge_tables([partial.names for partial in partials]),
        protocols=merge_tables([partial.protocols for partial in partials]),
        conversations=merge_conversations([partial.conversations for partial in partials]),
        rtts=merge_round_trips([partial.rtts for partial in partials]),
    )


_TABLES: dict[str, tuple[int, int]] = {
    "names": (1, 2),
    "protocols": (1, 2),
    "rtts": (1, 1),
}
_SCALARS = ("window_id", "first_ts_ns", "last_ts_ns", "rtt_max_ns", "sampling_rate")
_UINTS = pa.list_(pa.uint64())
_INTS = pa.list_(pa.int64())

PARTIAL_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("window_id", pa.int64()),
        pa.field("first_ts_ns", pa.int64()),
        pa.field("last_ts_ns", pa.int64()),
        pa.field("rtt_max_ns", pa.int64()),
        pa.field("sampling_rate", pa.float64()),
        *(pa.field(name, _INTS) for name in ("counts", "statuses", "verdicts")),
        *(
            pa.field(f"{table}_{part}", _INTS if part == "sums" else _UINTS)
            for table in _TABLES
            for part in ("keys", "sums", "flags")
        ),
        pa.field("conversations", pa.large_binary()),
    ],
    metadata={"names": "\n".join(NAME_TABLES.names)},
)
"""Arrow schema of the ``window-partials`` topic; the vocabulary of name ids travels with it."""


def partials_to_arrow(partials: Sequence[PartialWindow]) -> pa.Table:
    """Return partial windows as Arrow rows with ``PARTIAL_SCHEMA``."""
    columns: dict[str, list[object]] = {name: [] for name in PARTIAL_SCHEMA.names}
    for partial in partials:
        for name in (*_SCALARS, "counts", "statuses", "verdicts"):
            columns[name].append(getattr(partial, name))
        for name in _TABLES:
            table: GroupTable = getattr(partial, name)
            columns[f"{name}_keys"].append(table.keys.ravel())
            columns[f"{name}_sums"].append(table.sums.ravel())
            columns[f"{name}_flags"].append(table.flags)
        columns["conversations"].append(to_planes(partial.conversations).tobytes())
    return pa.table(columns, schema=PARTIAL_SCHEMA)


def partials_from_arrow(rows: pa.Table) -> list[PartialWindow]:
    """Return the partial windows of Arrow rows with ``PARTIAL_SCHEMA``."""
    columns = {name: rows.column(name).combine_chunks() for name in PARTIAL_SCHEMA.names}
    return [_partial_of({name: column[row] for name, column in columns.items()}) for row in range(rows.num_rows)]


def _partial_of(row: dict[str, Any]) -> PartialWindow:
    fields: dict[str, Any] = {name: row[name].as_py() for name in _SCALARS}
    for name in ("counts", "statuses", "verdicts"):
        fields[name] = row[name].values.to_numpy()
    for name, (n_keys, n_sums) in _TABLES.items():
        flags = row[f"{name}_flags"].values.to_numpy()
        fields[name] = GroupTable(
            keys=row[f"{name}_keys"].values.to_numpy().reshape(len(flags), n_keys),
            sums=row[f"{name}_sums"].values.to_numpy().reshape(len(flags), n_sums),
            flags=flags,
        )
    return PartialWindow(**fields, conversations=from_planes(np.frombuffer(row["conversations"].as_buffer(), np.uint8)))
