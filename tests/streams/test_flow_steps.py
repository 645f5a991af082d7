from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

import streams.flow_steps
from schemas.classifications import STEP_NS, STRAGGLERS_NS
from schemas.enums import FlowEnd
from schemas.flows import FLOW_SCHEMA
from streams.flow_rules import SECOND_NS, FlowRules
from streams.flow_steps import MOST_WAITING, FlowSteps, Windows, due_steps
from streams.flows import FlowMeter
from streams.packets import Packets
from streams.split import split
from streams.wire import packets_of
from tests.agents.flow_records import flow_records
from tests.streams.traffic import captures, rows_of

WINDOWS = Windows(10 * SECOND_NS, 0)
RULES = FlowRules(total_ns=25 * SECOND_NS, idle_ns=15 * SECOND_NS)

Taken = list[tuple[int, int, str]]
"""Step, flow and reason of each record."""


def in_order(capture: Packets) -> Packets:
    """Return the packets in the order of their times."""
    capture = rows_of(capture, np.argsort(capture.ts_ns, kind="stable"))
    return capture._replace(lag_ns=np.zeros_like(capture.lag_ns))


def told(records: pa.Table, steps: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Taken:
    reasons = records.column("end_reason").cast(pa.string()).to_pylist()
    return list(zip(steps.tolist(), records.column("flow_id").to_pylist(), reasons, strict=True))


def taken(capture: Packets, ends: list[int], partitions: int, restart: int = -1, silence_ns: int = 0) -> list[Taken]:
    """Return what each partition's steps give for a capture that comes in pieces which end at these packets.

    Then nothing comes for so long, before it ends.
    """
    meters = [FlowMeter(WINDOWS.size_ns, WINDOWS.origin_ns, RULES) for _ in range(partitions)]
    steps = [FlowSteps() for _ in range(partitions)]
    out: list[Taken] = [[] for _ in range(partitions)]
    clock_ns = 0
    for number, (begin, end) in enumerate(pairwise([0, *ends, len(capture.ts_ns)])):
        piece = rows_of(capture, slice(begin, end))
        clock_ns = int(capture.ts_ns[:end].max(initial=0))
        for place, batch in enumerate(split(piece, partitions)):
            meter = meters[place]
            records = meter.advance(clock_ns) if batch is None else meter.feed(packets_of(batch), clock_ns)
            out[place] += told(*steps[place].take(records, clock_ns, WINDOWS, RULES))
            if number == restart:
                steps[place] = FlowSteps.from_bytes(steps[place].done, steps[place].to_bytes())
    clock_ns += silence_ns
    for place, meter in enumerate(meters):
        if silence_ns:
            out[place] += told(*steps[place].take(meter.advance(clock_ns), clock_ns, WINDOWS, RULES))
        out[place] += told(*steps[place].take(meter.flush(), clock_ns, WINDOWS, RULES, is_end=True))
    return out


@settings(max_examples=60)
@given(captures(), st.data())
def test_cuts_partitions_and_restarts_leave_no_trace(capture: Packets, data: st.DataObject) -> None:
    capture = in_order(capture)
    [whole] = taken(capture, [], 1)
    assert [step for step, *_ in whole] == sorted(step for step, *_ in whole)
    cuts = data.draw(st.lists(st.integers(0, len(capture.ts_ns)), max_size=8).map(sorted))
    assert taken(capture, cuts, 1, data.draw(st.integers(-1, 8))) == [whole]
    parts = taken(capture, cuts, data.draw(st.integers(2, 4)))
    assert sorted(row for part in parts for row in part) == sorted(whole)


@settings(max_examples=60)
@given(captures(), st.integers(1, 40 * SECOND_NS), st.integers(1, 3))
def test_silence_before_the_end_leaves_no_trace(capture: Packets, silence_ns: int, partitions: int) -> None:
    """A port says how late it is when it is stopped, a file of the same packets does not."""
    capture = in_order(capture)

    def ended(parts: list[Taken]) -> list[list[tuple[int, int]]]:
        return [[(step, flow) for step, flow, reason in part if reason != FlowEnd.INTERIM.value] for part in parts]

    assert ended(taken(capture, [], partitions, silence_ns=silence_ns)) == ended(taken(capture, [], partitions))


def test_records_wait_until_their_step_is_over() -> None:
    records = flow_records(40)
    steps = due_steps(records, WINDOWS, RULES)
    waiting = FlowSteps()
    clock_ns = (int(steps.min()) + 1) * STEP_NS + STRAGGLERS_NS
    early, _ = waiting.take(records, clock_ns - 1, WINDOWS, RULES)
    assert early.num_rows == 0
    first, taken_steps = waiting.take(FLOW_SCHEMA.empty_table(), clock_ns, WINDOWS, RULES)
    assert 0 < first.num_rows < records.num_rows
    assert set(taken_steps.tolist()) == {int(steps.min())}
    rest, _ = waiting.take(FLOW_SCHEMA.empty_table(), clock_ns, WINDOWS, RULES, is_end=True)
    assert first.num_rows + rest.num_rows == records.num_rows


def test_a_record_that_comes_too_late_is_in_the_next_step() -> None:
    records, waiting = flow_records(4), FlowSteps()
    waiting.take(records.slice(0, 2), 10**15, WINDOWS, RULES)
    _, steps = waiting.take(records.slice(2), 10**15, WINDOWS, RULES)
    assert set(steps.tolist()) == {waiting.done}


def test_an_end_of_more_records_than_may_wait_is_taken_behind_the_clock() -> None:
    records = pa.concat_tables([flow_records(400)] * (MOST_WAITING // 400 + 40))
    ends = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(len(records), np.int8)), pa.array([FlowEnd.END_OF_CAPTURE.value])
    )
    place = FLOW_SCHEMA.get_field_index("end_reason")
    _, steps = FlowSteps().take(records.set_column(place, FLOW_SCHEMA.field(place), ends), SECOND_NS, WINDOWS, RULES)
    assert len(steps)
    assert set(steps.tolist()) == {SECOND_NS // STEP_NS + 1}


def test_a_flood_waits_no_more_than_its_bound() -> None:
    records = pa.concat_tables([flow_records(400)] * (MOST_WAITING // 400 + 40))
    waiting = FlowSteps()
    taken_records, steps = waiting.take(records, 0, WINDOWS, RULES)
    assert waiting.waiting.num_rows <= MOST_WAITING
    assert taken_records.num_rows + waiting.waiting.num_rows == records.num_rows
    assert streams.flow_steps.due_steps(waiting.waiting, WINDOWS, RULES).min(initial=2**60) > steps.max()
