"""Flow records in steps of the capture's clock that do not depend on how its packets were cut into messages."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.classifications import STEP_NS, STRAGGLERS_NS
from schemas.enums import FlowEnd
from schemas.flows import FLOW_SCHEMA
from streams.flow_rules import FlowRules
from streams.wire import decode_table, encode_table

BEFORE_ALL = -(2**62) // STEP_NS
"""Earlier than any other step."""

MOST_WAITING = 65_536
"""Records that wait at most, 30 MB; what is more, in a flood, is taken as it comes."""


@dataclass(frozen=True)
class Windows:
    """Size of a window and start of window 0, ns."""

    size_ns: int
    origin_ns: int


def due_steps(records: pa.Table, windows: Windows, rules: FlowRules) -> NDArray[np.int64]:
    """Return the step in which each record (n_flows,) is due, by what it says and the rules alone.

    That is when a meter that looked all the time would have written it: an interim record when its window is over, an
    ended flow when nothing can follow any more, a flow that is open at the end of the capture as if silence followed.
    A flow that was cut for its length is written with the packet that cut it; after a longer pause than stragglers are
    waited for, it comes too late for its step, and so do most of those that are evicted, the quietest first.
    """
    ends = records.column("end_reason").cast(pa.string())
    due_ns: NDArray[np.int64] = records.column("end_ns").to_numpy().astype(np.int64)

    def are(*reasons: FlowEnd) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = pc.is_in(ends, pa.array([reason.value for reason in reasons])).to_numpy()
        return found

    due_ns[are(FlowEnd.FIN, FlowEnd.RST, FlowEnd.TIMEOUT)] += rules.linger_ns
    due_ns[are(FlowEnd.IDLE, FlowEnd.END_OF_CAPTURE)] += rules.idle_ns
    is_interim = are(FlowEnd.INTERIM)
    over = records.column("window_id").to_numpy()[is_interim].astype(np.int64) + 1
    due_ns[is_interim] = windows.origin_ns + over * windows.size_ns
    steps: NDArray[np.int64] = due_ns // STEP_NS
    return steps


@dataclass
class FlowSteps:
    """Records of one capture on one partition that wait until all of their step are there.

    Whatever the messages in which records come, the same come out in the same order, with the same steps: while no
    more wait than may, and none comes too late.

    Parameters
    ----------
    done : int
        Last step that was taken; a record that comes too late is in the next one.
    waiting : pyarrow.Table
        ``FLOW_SCHEMA``.
    """

    done: int = BEFORE_ALL
    waiting: pa.Table = field(default_factory=FLOW_SCHEMA.empty_table)

    def take(
        self, records: pa.Table, clock_ns: int, windows: Windows, rules: FlowRules, *, is_end: bool = False
    ) -> tuple[pa.Table, NDArray[np.int64]]:
        """Add records, and take those whose step is over by the capture's clock.

        Parameters
        ----------
        records : pyarrow.Table
            ``FLOW_SCHEMA``.
        clock_ns : int
            The capture's clock, ns.
        is_end : bool
            Take all, each in its step: the clock of the end says nothing that records do not.

        Returns
        -------
        records : pyarrow.Table
            By step, then by flow.
        steps : array (n_records,) of int64
        """
        all_ = pa.concat_tables([self.waiting, records])
        steps = np.maximum(due_steps(all_, windows, rules), self.done + 1)
        is_ready = np.ones(len(steps), np.bool_)
        if not is_end:
            over = (clock_ns - STRAGGLERS_NS) // STEP_NS
            if int((steps >= over).sum()) > MOST_WAITING:
                over = int(np.sort(steps)[-MOST_WAITING]) + 1
            is_ready = steps < over
            # What is taken before it is due, in a flood.
            steps = np.minimum(steps, max(clock_ns // STEP_NS, self.done) + 1)
        self.waiting = all_.filter(pa.array(~is_ready)).combine_chunks()
        ready, steps = all_.filter(pa.array(is_ready)), steps[is_ready]
        if not len(steps):
            return ready, steps
        packets = ready.column("fwd_packets").to_numpy() + ready.column("bwd_packets").to_numpy()
        order = np.lexsort((packets, ready.column("flow_id").to_numpy(), steps))
        self.done = int(steps.max())
        return ready.take(pa.array(order)).combine_chunks(), steps[order]

    def to_bytes(self) -> bytes:
        """Return the records that wait, for ``from_bytes``."""
        return encode_table(self.waiting)

    @classmethod
    def from_bytes(cls, done: int, waiting: bytes) -> FlowSteps:
        """Go on where ``done`` and ``to_bytes`` were taken."""
        return cls(done, decode_table(waiting, FLOW_SCHEMA))
