"""Answers about the live capture."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from api.answers import example


class CaptureIdleAnswer(BaseModel):
    """No live capture runs."""

    model_config = example({"running": False, "message": "No active capture"})

    running: Literal[False]
    message: str


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
        }
    )

    success: Literal[True]
    message: str
    interface: str
    output_file: str
    start_time: str
    duration: float | None


class CaptureStoppedAnswer(BaseModel):
    """The live capture was stopped."""

    model_config = example(
        {
            "success": True,
            "message": "Live capture stopped",
            "duration": 45.3,
            "output_file": "logs/live_capture.jsonl",
        }
    )

    success: Literal[True]
    message: str
    duration: float
    output_file: str
