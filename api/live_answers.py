"""Answers about the live capture."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from api.answers import example
from api.errors import iso_of
from api.filters import NS_PER_S
from api.live_capture import LiveCapture
from api.window_answers import Count


class CaptureStatusAnswer(BaseModel):
    """Whether a live capture runs on this machine, and which; what does not apply is null."""

    model_config = example(
        {
            "running": True,
            "start_time": "2026-01-09T17:44:30.123456",
            "duration": 15.5,
            "interface": "eth0",
            "output_file": "captures/live_capture.pcapng",
            "message": "Capturing from eth0",
            "capture_id": "01kb2m9t8x7qd4",
            "planned_duration": 300.0,
            "packets": 21975,
            "packets_lost": 0,
        }
    )

    running: bool
    start_time: str | None = None
    duration: float | None = Field(default=None, description="Seconds since its start.")
    interface: str | None = None
    output_file: str | None = Field(default=None, description="As it was named; null when somebody else started it.")
    message: str
    capture_id: str | None = Field(default=None, description="The capture that runs, or the last one.")
    planned_duration: float | None = Field(default=None, description="Seconds after which it ends; null if never.")
    packets: Count | None = Field(default=None, description="Frames read so far, as last reported.")
    packets_lost: Count | None = Field(default=None, description="Frames lost in the kernel, as last reported.")

    @classmethod
    def of(cls, now: LiveCapture) -> Self:
        """Return the answer for a capture that runs."""
        return cls(
            running=True,
            start_time=start_time(now),
            duration=now.elapsed_s,
            interface=now.row.name,
            output_file=now.output_file,
            message=f"Capturing from {now.row.name}",
            capture_id=now.row.capture_id,
            planned_duration=now.planned_s,
            packets=now.row.packets,
            packets_lost=now.row.packets_lost,
        )


def start_time(now: LiveCapture) -> str:
    """Return when a capture was started, in the documented form."""
    return iso_of(datetime.fromtimestamp(now.row.started_ns / NS_PER_S, UTC))


class CaptureStartedAnswer(BaseModel):
    """A live capture was started."""

    model_config = example(
        {
            "success": True,
            "message": "Live capture started on eth0",
            "interface": "eth0",
            "output_file": "logs/live_capture.jsonl",
            "start_time": "2026-01-09T17:44:30.123456",
            "duration": 300,
            "capture_id": "01kb2m9t8x7qd4",
            "output_format": "pcapng",
        }
    )

    success: Literal[True]
    message: str
    interface: str
    output_file: str = Field(description="As it was named; its folder was made. Empty when no file is written.")
    start_time: str
    duration: int | float | None = Field(description="Seconds after which it ends; null without an end.")
    capture_id: str
    output_format: Literal["pcapng"] = Field(description="What is written, whatever the file is called.")


class CaptureStoppedAnswer(BaseModel):
    """The live capture was stopped: its process is gone, and its end was waited for."""

    model_config = example(
        {
            "success": True,
            "message": "Live capture stopped",
            "duration": 45.3,
            "output_file": "logs/live_capture.jsonl",
            "capture_id": "01kb2m9t8x7qd4",
            "packets": 21975,
            "is_complete": True,
        }
    )

    success: Literal[True]
    message: str
    duration: float = Field(description="Seconds from its start to its end.")
    output_file: str = Field(description="As it was named; empty when it was not started by this API.")
    capture_id: str
    packets: Count
    is_complete: bool = Field(description="Whether every packet and window of it is in the store already.")
