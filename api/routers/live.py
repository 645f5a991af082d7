"""``/api/control/capture``: the live capture, started, stopped and watched."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from api import queries
from api.access import Scope, needs
from api.body import documented_body, json_body
from api.capture_plan import CapturePlan, check_interface
from api.errors import ErrorAnswer, FailureAnswer, documented, failure
from api.files import default_output, output_file
from api.live_answers import CaptureStartedAnswer, CaptureStatusAnswer, CaptureStoppedAnswer, start_time
from api.parameters import CaptureStartBody
from api.services import Shared

router = APIRouter(prefix="/api/control/capture", tags=["control"])


@router.get("/status", response_model=CaptureStatusAnswer, responses=documented(), summary="Live capture's status")
def read_live_capture(services: Shared) -> CaptureStatusAnswer:
    """Say whether a live capture runs on this machine, however it was started."""
    now = services.live.running()
    if now is not None:
        return CaptureStatusAnswer.of(now)
    last = queries.newest_live_capture(services.store)
    return CaptureStatusAnswer(
        running=False, message="No active capture", capture_id=None if last is None else last.capture_id
    )


@router.post(
    "/start",
    response_model=CaptureStartedAnswer,
    responses={
        **documented(400, 409, 503, model=FailureAnswer),
        413: {"model": ErrorAnswer, "description": "The body is too long."},
        415: {"model": ErrorAnswer, "description": "The body is not JSON."},
    },
    openapi_extra=documented_body(CaptureStartBody),
    summary="Start the live capture",
)
@needs(Scope.CAPTURE)
def start_live_capture(
    services: Shared, body: Annotated[CaptureStartBody, Depends(json_body(CaptureStartBody))]
) -> CaptureStartedAnswer:
    """Capture from an interface into the stream and into a pcapng file; answers when the capture reports itself.

    It ends by itself after `duration` seconds. A missing permission, a filter that makes no sense and the like are a
    400 in plain words; a second capture is a 409.
    """
    if services.settings.mode == "pcap":
        raise failure(400, "Cannot start live capture in pcap mode. Start API with --mode live")
    interface = body.interface or services.settings.interface
    if not interface:
        raise failure(400, "No interface is named, and none is configured (--interface).")
    check_interface(interface)
    plan = CapturePlan(
        interface=interface,
        output=output_file(body.output_file, services.settings)
        if body.output_file
        else default_output(services.settings),
        duration_s=body.duration,
        filter=body.filter,
        snaplen=body.snaplen,
    )
    now = services.live.start(plan)
    duration_s = body.duration
    return CaptureStartedAnswer(
        success=True,
        message=f"Live capture started on {interface}",
        interface=interface,
        output_file=plan.output_name,
        start_time=start_time(now),
        duration=int(duration_s) if duration_s is not None and duration_s.is_integer() else duration_s,
        capture_id=now.row.capture_id,
        output_format="pcapng",
    )


@router.post(
    "/stop",
    response_model=CaptureStoppedAnswer,
    responses=documented(400, 409, model=FailureAnswer),
    summary="Stop the live capture",
)
@needs(Scope.CAPTURE)
def stop_live_capture(services: Shared) -> CaptureStoppedAnswer:
    """Stop the live capture and everything it started; answers when its last windows are in the store."""
    ended = services.live.stop()
    now = queries.capture(services.store, ended.row.capture_id)
    return CaptureStoppedAnswer(
        success=True,
        message="Live capture stopped",
        duration=ended.elapsed_s,
        output_file=ended.output_file or "",
        capture_id=ended.row.capture_id,
        packets=ended.row.packets,
        is_complete=now is not None and now.is_stored,
    )
