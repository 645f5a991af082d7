"""The capture agent: reads requested files into the stream."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from confluent_kafka import Producer

from agents.app import FaustApp, Received, Stream, add_agent
from infra.settings import Settings
from schemas.captures import CaptureRequest, CaptureRow
from schemas.errors import SpanwatchError
from schemas.topics import CAPTURE_REQUESTS, CAPTURES
from streams.capture import CaptureRun, refusal
from streams.chunks import CapturePlan
from streams.files import open_capture

log = logging.getLogger(__name__)


def plan_of(request: CaptureRequest, settings: Settings) -> CapturePlan:
    """Return what a request asks for as a plan of this stack."""
    return CapturePlan(
        capture_id=request.capture_id,
        name=request.name,
        fingerprint=request.fingerprint,
        sensor=settings.sensor,
        window_ns=round(request.window_s * 1e9),
        partitions=settings.partitions,
        speed=request.speed,
        align=request.align,
        is_requested=True,
    )


def run_request(request: CaptureRequest, settings: Settings, producer: Producer) -> CaptureRow:
    """Read a requested file into the stream; return how it ended.

    A file that cannot be read ends as a failed capture that says why.
    """
    plan = plan_of(request, settings)
    row: CaptureRow | None = None
    try:
        with open_capture(Path(request.path)) as file:
            run = CaptureRun(file, plan, settings, producer)
            for row in run.steps():  # noqa: B007 - the last one is the result
                pass
            return run.row
    except SpanwatchError as error:
        log.warning("capture %s of %s failed: %s", request.capture_id, request.name, error)
        if row is not None:
            return row
        return refusal(plan, str(error), producer, settings.topic_name(CAPTURES))


def add_capture_agent(app: FaustApp, settings: Settings, producer: Producer) -> None:
    """Add the agent from ``capture-requests`` to ``packets`` and ``captures``.

    A request is acknowledged when its capture has ended: after a kill it is read again from its
    start, and every later stage knows the batches that it has seen.
    """

    async def capture(stream: Stream) -> None:
        loop = asyncio.get_running_loop()
        async for event in stream.events():
            try:
                request = CaptureRequest.model_validate_json(Received.of(event).body)
            except ValueError:
                log.exception("skipped a capture request that cannot be read")
                continue
            log.info("capture %s reads %s", request.capture_id, request.name)
            row = await loop.run_in_executor(None, run_request, request, settings, producer)
            log.info("capture %s is %s: %d packets", row.capture_id, row.state.value, row.packets)

    add_agent(app, settings, CAPTURE_REQUESTS, capture, "capture")
