"""What requests may say: bodies and parameters, with their bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_PAGE = 1000
"""Largest ``limit`` of a list: 1,000 windows are about 3 MB of JSON."""

MAX_OFFSET = 2**32 - 1
MAX_LOG_LINES = 10_000

CaptureIdText = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Most entries to return.")]
Offset = Annotated[int, Query(ge=0, le=MAX_OFFSET, description="Entries to skip.")]
Capture = Annotated[
    CaptureIdText | None,
    Query(description="Capture id; the newest capture when absent.", examples=["01kb2m9t8x7qd4"]),
]
CaptureId = Annotated[CaptureIdText, Path(description="Capture id.", examples=["01kb2m9t8x7qd4"])]
WindowId = Annotated[int, Path(ge=0, le=2**32 - 1, description="Number of the window in its capture, from 0.")]
LogLines = Annotated[int, Query(ge=1, le=MAX_LOG_LINES, description="Most lines to return.")]


def _whole(value: object) -> object:
    """Accept 10.0 for 10: JSON has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class ComputeBody(BaseModel):
    """Body of ``POST /api/metrics/compute``."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "source": "pcap",
                "pcap_file": "data/raw/pcapng/test_net_traffic.pcapng",
                "window_size": 10,
                "force": False,
            }
        }
    )

    source: Literal["pcap", "live"] = Field("pcap", description="A file, or the live capture's packets.")
    pcap_file: str | None = Field(
        None,
        description="File inside the data roots; the configured one when absent.",
        max_length=4096,
        min_length=1,
    )
    window_size: Annotated[int, BeforeValidator(_whole)] | None = Field(
        None, ge=1, le=300, description="Seconds; the configured size when absent."
    )
    force: bool = Field(False, description="Compute even when the same file is there already.")


class CaptureStartBody(BaseModel):
    """Body of ``POST /api/control/capture/start``."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"interface": "eth0", "output_file": "logs/live_capture.jsonl", "duration": 300}}
    )

    interface: str | None = Field(None, description="Interface; the configured one when absent.", max_length=15)
    output_file: str | None = Field(None, max_length=4096)
    duration: float | None = Field(None, gt=0, description="Seconds; without end when absent.")
