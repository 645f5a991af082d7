"""Judging again: windows that somebody sends are judged, or learnt, apart from the stream."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from agents.analysis_messages import AnalysisMessages
from agents.app import Event, FaustApp, Received, Stream, add_agent
from agents.judge import Judge
from agents.sender import Sender
from agents.stateful import StatefulAgent, StatefulPartitions
from infra.settings import Settings
from schemas.analysis import AnalysisRequest, RunRow
from schemas.enums import AnalysisKind, BaselineKind, RunKind, RunState
from schemas.errors import SpanwatchError, WireError
from schemas.thresholds import Thresholds
from schemas.topics import ANALYSIS_REQUESTS, ANOMALIES, BASELINES
from schemas.windows import WINDOW_SCHEMA
from streams.wire import AnalysisHeader, decode_table

log = logging.getLogger(__name__)

SLICE_WINDOWS = 256
"""Windows judged between two reports of a run."""

MAX_WAITING = 64
"""Requests whose parts are awaited at the same time; the oldest is given up."""


class Sources(Protocol):
    """Where what was learnt again becomes what is usual."""

    def adopt(self, partition: int, learner: Judge, kinds: list[BaselineKind], behind_version: int) -> pa.Table:
        """Make what a judge has learnt of its source the current state; return the baselines' rows."""


@dataclass
class _Waiting:
    """A request whose parts are still coming."""

    parts: dict[int, pa.Table] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def table(self, last: AnalysisRequest) -> pa.Table:
        """Return all windows; raises ``WireError`` when a part is missing."""
        if sorted(self.parts) != list(range(last.part + 1)):
            raise WireError("a part of the windows is missing; ask again")
        return pa.concat_tables([self.parts[number] for number in sorted(self.parts)])


class AnalysisRequests:
    """Answers requests one at a time.

    A request and its source's windows have the same key on topics of as many partitions, so they come to the same
    worker; what is learnt again is taken over between two messages of the stream, and is in a snapshot before the
    request is acknowledged.

    Parameters
    ----------
    sources : Sources
        The stage that has the judges.
    agent, partitions : StatefulAgent, StatefulPartitions
        What that stage is run by.
    """

    def __init__(
        self,
        settings: Settings,
        sources: Sources,
        agent: StatefulAgent,
        partitions: StatefulPartitions,
        sender: Sender,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._agent = agent
        self._partitions = partitions
        self._sender = sender
        self._out = AnalysisMessages(settings, sender)
        self._waiting: dict[str, _Waiting] = {}

    def add_to(self, app: FaustApp) -> None:
        """Connect it to its topic."""
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        add_agent(app, self._settings, ANALYSIS_REQUESTS, self._run, ANALYSIS_REQUESTS.name)

    async def _on_revoked(self, *_told: Any, **_more: Any) -> None:
        # Parts come again, to whoever has the partition then.
        self._waiting.clear()

    async def _run(self, stream: Stream) -> None:
        loop = asyncio.get_running_loop()
        async for event in stream.noack().events():
            message = Received.of(event)
            try:
                request = AnalysisRequest.model_validate_json(message.headers.get("request", b""))
            except ValueError:
                log.exception("skipped %s", message)
                event.ack()
                continue
            waiting = self._waiting.setdefault(request.run_id, _Waiting())
            waiting.events.append(event)
            await loop.run_in_executor(None, self._keep, waiting, request, message.body)
            event.message.value = event.value = b""
            if request.is_last:
                await self._answer(message.partition, request, waiting)
            self._give_up()

    def _keep(self, waiting: _Waiting, request: AnalysisRequest, body: bytes) -> None:
        try:
            waiting.parts[request.part] = decode_table(body, WINDOW_SCHEMA)
        except WireError:
            # The part is missing when the last one has come.
            log.exception("run %s: part %d cannot be read", request.run_id, request.part)

    async def _answer(self, partition: int, request: AnalysisRequest, waiting: _Waiting) -> None:
        loop = asyncio.get_running_loop()
        run = _run_of(request)
        try:
            rows = waiting.table(request)
            thresholds = self._settings.thresholds.with_overrides(request.thresholds)
            run = run.model_copy(update={"thresholds": thresholds.model_dump_json()})
            judge, run = await loop.run_in_executor(None, self._judge, request, run, rows, thresholds)
            if request.kind is RunKind.GENERATE:
                run = await self._adopt(partition, request, run, judge)
            run = _over(run, RunState.COMPLETE)
        except SpanwatchError as error:
            log.warning("run %s failed: %s", request.run_id, error)
            run = _over(run.model_copy(update={"error": str(error)}), RunState.FAILED)
        self._out.run(request.source, run)
        await loop.run_in_executor(None, self._sender.flush)
        self._acknowledge(self._waiting.pop(request.run_id, waiting))

    def _judge(
        self, request: AnalysisRequest, run: RunRow, rows: pa.Table, thresholds: Thresholds
    ) -> tuple[Judge, RunRow]:
        """Judge the windows from scratch; send the anomalies asked for and, again and again, how far it is."""
        judge = Judge(request.source, thresholds, request.run_id, "generated")
        header = AnalysisHeader(AnalysisKind.DATA, request.source, request.capture_id, request.run_id)
        for some in _slices(rows):
            found = _between(judge.judge(some, request.source != request.capture_id).anomalies, request)
            if request.kind is RunKind.DETECT:
                self._out.rows(ANOMALIES, found, header)
                run = run.model_copy(update={"anomalies": run.anomalies + found.num_rows})
            windows = run.windows + _between(some, request).num_rows
            run = run.model_copy(update={"windows": windows, "version": run.version + 1})
            self._out.run(request.source, run)
        return judge, run

    async def _adopt(self, partition: int, request: AnalysisRequest, run: RunRow, judge: Judge) -> RunRow:
        """Make what was learnt the source's current baselines; return the run with what became of each kind."""
        generated = judge.generated(request.kinds)
        kinds = [kind for kind, is_ready in generated.generated.items() if is_ready]

        def take_over() -> None:
            self._partitions.open(partition)
            rows = self._sources.adopt(partition, judge, kinds, request.started_ns)
            header = AnalysisHeader(AnalysisKind.DATA, request.source, request.capture_id, request.run_id)
            self._out.rows(BASELINES, rows, header)
            self._partitions.save(partition)

        if kinds:
            await self._agent.call(take_over)
        return run.model_copy(update={"result": generated.model_dump_json()})

    def _give_up(self) -> None:
        """Stop waiting for the parts of the oldest requests when there are too many."""
        while len(self._waiting) > MAX_WAITING:
            self._acknowledge(self._waiting.pop(next(iter(self._waiting))))

    def _acknowledge(self, waiting: _Waiting) -> None:
        for event in waiting.events:
            event.ack()


def _run_of(request: AnalysisRequest) -> RunRow:
    return RunRow(
        run_id=request.run_id,
        capture_id=request.capture_id,
        kind=request.kind,
        state=RunState.RUNNING,
        is_dry_run=request.is_dry_run,
        first_window_id=request.first_window_id,
        last_window_id=request.last_window_id,
        thresholds=json.dumps(request.thresholds),
        started_ns=request.started_ns,
    )


def _over(run: RunRow, state: RunState) -> RunRow:
    return run.model_copy(update={"state": state, "version": run.version + 1, "ended_ns": time.time_ns()})


def _slices(rows: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, rows.num_rows, SLICE_WINDOWS):
        yield rows.slice(start, SLICE_WINDOWS)


def _between(rows: pa.Table, request: AnalysisRequest) -> pa.Table:
    """Return the rows of the windows that were asked for."""
    numbers = rows.column("window_id")
    is_wanted = pc.and_(
        pc.greater_equal(numbers, request.first_window_id), pc.less_equal(numbers, request.last_window_id)
    )
    return rows.filter(is_wanted)
