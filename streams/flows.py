"""The flow meter: packets in, flows with their features out."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

from schemas.enums import FlowEnd, FlowMode
from schemas.flows import FLOW_SCHEMA
from schemas.packets import IP_ADDRESS, PACKET_COLUMNS
from streams.flow_loop import DONE, TABLE_FULL, Limits, meter_packets, move_clock
from streams.flow_rows import flow_rows
from streams.flow_rules import SECOND_NS, FlowRules
from streams.flow_snapshot import dump_state, load_state
from streams.flow_state import (
    CLOCK,
    LIVE,
    LIVE_SHIFT,
    LONG_AGO_NS,
    PACKET_WORD,
    PACKETS,
    PORTS_WORD,
    SKIPPED,
    TOP,
    Columns,
    Written,
    blank_state,
    empty_written,
    grown_state,
)
from streams.flow_table import end_all, rebuild_table, sweep
from streams.packets import Packets
from streams.snapshots import Value
from streams.tcp_state import I64

EVICTED_SHARE = 8
"""When full, this part of the capacity is evicted at once, so that making room is rare."""

_SWEEP_EVERY_NS = SECOND_NS
_WRITTEN_ROWS = 4_096

_COLUMN_DTYPES: dict[str, DTypeLike] = {
    column.name: np.uint64 if column.arrow == IP_ADDRESS else column.arrow.to_pandas_dtype()
    for column in PACKET_COLUMNS
    if column.name in Columns._fields
}


class FlowMeter:
    """The flows of one partition of one capture, from its packets in order.

    The records depend only on the packets and the capture's clock, not on batches; while the table does not fill up,
    not on partitions either. Fragments, which have no ports, are flows of their own with ports 0.

    Parameters
    ----------
    window_ns, origin_ns : int
        Size of a window and start of window 0, ns: when interim records are written.
    rules : FlowRules
        When flows end.
    """

    def __init__(self, window_ns: int, origin_ns: int, rules: FlowRules | None = None) -> None:
        if window_ns < 1:
            raise ValueError(f"window_ns {window_ns} must be positive")
        self.window_ns = window_ns
        self.origin_ns = origin_ns
        self.rules = rules or FlowRules()
        self._mode = list(FlowMode).index(self.rules.mode)
        self._state = blank_state()
        self._written = empty_written(_WRITTEN_ROWS)
        self._sweep_at_ns = LONG_AGO_NS

    @property
    def records(self) -> int:
        """Packets fed so far."""
        return int(self._state.counters[PACKETS] + self._state.counters[SKIPPED])

    @property
    def skipped(self) -> int:
        """Packets without IP among them: they are in no flow."""
        return int(self._state.counters[SKIPPED])

    @property
    def live(self) -> int:
        """Flows in the table."""
        return int(self._state.counters[LIVE])

    @property
    def ended(self) -> dict[FlowEnd, int]:
        """Records written so far, by reason."""
        return {end: int(count) for end, count in zip(FlowEnd, self._state.ended, strict=True)}

    @property
    def state_bytes(self) -> int:
        """Memory that the table takes."""
        return sum(array.nbytes for array in self._state)

    def feed(self, packets: Packets, clock_ns: int) -> pa.Table:
        """Take a batch in; return the records that it and the clock give rise to.

        Parameters
        ----------
        packets : Packets
            The next packets of this partition, in the order of the capture; may be empty.
        clock_ns : int
            Newest event time of the whole capture so far, ns.

        Returns
        -------
        pyarrow.Table
            Rows with ``FLOW_SCHEMA``.
        """
        pieces: list[pa.RecordBatch] = []
        if len(packets.ts_ns):
            self._meter(_columns_of(packets), pieces)
        self._advance(clock_ns, pieces)
        return pa.Table.from_batches(pieces, FLOW_SCHEMA)

    def advance(self, clock_ns: int) -> pa.Table:
        """Move the capture's clock without new packets; see ``feed``."""
        pieces: list[pa.RecordBatch] = []
        self._advance(clock_ns, pieces)
        return pa.Table.from_batches(pieces, FLOW_SCHEMA)

    def flush(self) -> pa.Table:
        """End the capture: return records of all flows still in the table."""
        pieces: list[pa.RecordBatch] = []
        self._sweep(pieces)
        slot: I64 = 0
        while slot < self._state.counters[TOP]:
            slot, rows = end_all(self._state, self._written, slot)
            self._collect(pieces, rows)
        rebuild_table(self._state)
        return pa.Table.from_batches(pieces, FLOW_SCHEMA)

    def snapshot(self) -> bytes:
        """Return the whole state, for ``restore``."""
        settings: dict[str, Value] = {"window_ns": self.window_ns, "origin_ns": self.origin_ns}
        settings |= asdict(self.rules) | {"mode": self.rules.mode.value, "sweep_at_ns": self._sweep_at_ns}
        return dump_state(self._state, settings)

    @classmethod
    def restore(cls, snapshot: bytes) -> FlowMeter:
        """Return a meter that goes on where the one that was snapshot stopped.

        Raises
        ------
        WireError
            When the bytes are no snapshot of this version.
        """
        state, settings = load_state(snapshot)
        numbers = {name: int(str(value)) for name, value in settings.items() if name != "mode"}
        rules = {field.name: numbers[field.name] for field in fields(FlowRules) if field.name != "mode"}
        mode = FlowMode(str(settings["mode"]))
        meter = cls(numbers["window_ns"], numbers["origin_ns"], FlowRules(**rules, mode=mode))
        meter._state, meter._sweep_at_ns = state, numbers["sweep_at_ns"]
        return meter

    def _limits(self) -> Limits:
        rules = self.rules
        return Limits(
            mode=self._mode,
            capacity=rules.capacity,
            total_us=rules.total_ns // 1000,
            idle_ns=rules.idle_ns,
            linger_ns=rules.linger_ns,
            activity_us=rules.activity_ns // 1000,
            window_ns=self.window_ns,
            origin_ns=self.origin_ns,
        )

    def _meter(self, columns: Columns, pieces: list[pa.RecordBatch]) -> None:
        limits, n_packets = self._limits(), len(columns.ts_ns)
        done: I64 = 0
        while done < n_packets:
            self._grow(n_packets - int(done))
            reason, done, rows = meter_packets(columns, self._state, self._written, done, limits)
            self._collect(pieces, rows)
            if reason == TABLE_FULL:
                self._sweep(pieces)
                if self.live >= self.rules.capacity:
                    self._make_room(pieces)
            elif reason == DONE:
                return

    def _grow(self, packets: int) -> None:
        """Make room for a flow per packet, up to the capacity."""
        flows = min(self.live + packets, self.rules.capacity)
        grown = grown_state(self._state, flows)
        if grown is not self._state:
            self._state = grown
            rebuild_table(grown)

    def _advance(self, clock_ns: int, pieces: list[pa.RecordBatch]) -> None:
        counters = self._state.counters
        before = int(counters[CLOCK])
        move_clock(counters, clock_ns, self.window_ns, self.origin_ns)
        if clock_ns >= self._sweep_at_ns and before > LONG_AGO_NS:
            self._sweep(pieces)
            self._sweep_at_ns = clock_ns + _SWEEP_EVERY_NS

    def _sweep(self, pieces: list[pa.RecordBatch], singles_before: int = 0, others_before: int = 0) -> None:
        """Write what is due by the clock, and evict flows whose last packet has a lower number."""
        clock_ns, rules, live = int(self._state.counters[CLOCK]), self.rules, self.live
        slot: I64 = 0
        while slot < self._state.counters[TOP]:
            limits = (rules.idle_ns, rules.linger_ns, singles_before, others_before)
            slot, rows = sweep(self._state, self._written, slot, clock_ns, *limits)
            self._collect(pieces, rows)
        if self.live != live:
            rebuild_table(self._state)

    def _make_room(self, pieces: list[pa.RecordBatch]) -> None:
        """Evict an eighth of the capacity: flows of one packet, then others, the quietest first."""
        state, wanted = self._state, max(1, self.rules.capacity // EVICTED_SHARE)
        keys = state.keys[: state.counters[TOP]]
        is_live = (keys[:, PORTS_WORD] >> np.uint64(LIVE_SHIFT)) & np.uint64(1) != 0
        numbers = keys[:, PACKET_WORD].astype(np.int64)
        is_single = _packets(state.flows[: len(keys)]) == 1
        singles = numbers[is_live & is_single]
        if len(singles) >= wanted:
            self._sweep(pieces, singles_before=_first(singles, wanted))
        else:
            others = numbers[is_live & ~is_single]
            everything = int(state.counters[PACKETS]) + 1
            self._sweep(pieces, everything, _first(others, wanted - len(singles)))

    def _collect(self, pieces: list[pa.RecordBatch], rows: I64) -> None:
        """Turn the records that a kernel wrote into rows, before the next one writes over them."""
        if rows:
            keys, flows, reason = self._written
            pieces.append(flow_rows(Written(keys[:rows], flows[:rows], reason[:rows]), self._mode))


def _packets(flows: NDArray[np.void]) -> NDArray[np.int64]:
    """Return the packets of each flow."""
    packets: NDArray[np.int64] = flows["forward"]["packets"].astype(np.int64) + flows["backward"]["packets"]
    return packets


def _first(numbers: NDArray[np.int64], count: int) -> int:
    """Return the number behind the ``count`` lowest ones, which are distinct."""
    return int(np.partition(numbers, count - 1)[count - 1]) + 1


def _column(values: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return a column in the one memory layout that the kernels are compiled for: aligned and read-only."""
    column = np.require(values, dtype, ["C", "A"]).view()
    column.flags.writeable = False
    return column


def _columns_of(packets: Packets) -> Columns:
    columns = {}
    for name, dtype in _COLUMN_DTYPES.items():
        values = getattr(packets, name)
        if values.ndim == 2:
            values = np.require(values, np.uint8, ["C"]).view(np.uint64)
        columns[name] = _column(values, dtype)
    return Columns(**columns)
