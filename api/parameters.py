"""What requests may say: bodies and parameters, with their bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas.enums import BaselineKind

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
AnomalyId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="Anomaly id.", examples=["9f86d081884c7d65"])]
WindowId = Annotated[int, Path(ge=0, le=2**32 - 1, description="Number of the window in its capture, from 0.")]
Order = Annotated[Literal["newest", "oldest"], Query(description="Which come first.")]
LogLines = Annotated[int, Query(ge=1, le=MAX_LOG_LINES, description="Most lines to return.")]


WindowLimit = Annotated[float, Field(allow_inf_nan=False)] | Annotated[str, Field(max_length=64)] | None


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


class DetectBody(BaseModel):
    """Body of ``POST /api/anomalies/detect``."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"force": False, "window_start": None, "window_end": None, "dry_run": False, "thresholds": {}}
        }
    )

    force: bool = Field(False, description="Judge again even when the windows are judged already.")
    window_start: WindowLimit = Field(
        None, description="From this window on: seconds since the epoch, ISO 8601, or the number of a window."
    )
    window_end: WindowLimit = Field(
        None, description="Up to here: a moment (exclusive) as above, or the number of the last window (inclusive)."
    )
    capture: CaptureIdText | None = Field(None, description="Capture id; the newest capture when absent.")
    dry_run: bool = Field(False, description="Only show what would change.")
    thresholds: dict[str, float] = Field(
        default_factory=dict, max_length=100, description="Thresholds to judge by instead of the settings, by name."
    )


class GenerateBody(BaseModel):
    """Body of ``POST /api/baselines/generate``."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"force": False, "types": ["bandwidth", "latency", "protocol", "connection"], "capture": None}
        }
    )

    force: bool = Field(False, description="Learn again even when it was done from the same windows.")
    types: list[BaselineKind] = Field(
        default_factory=lambda: list(BaselineKind), min_length=1, max_length=16, description="What to learn."
    )
    capture: CaptureIdText | None = Field(None, description="Capture id; the newest capture when absent.")


class CaptureStartBody(BaseModel):
    """Body of ``POST /api/control/capture/start``."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "interface": "eth0",
                "output_file": "logs/live_capture.jsonl",
                "duration": 300,
                "filter": "not port 22",
                "snaplen": None,
            }
        }
    )

    interface: str | None = Field(
        None, description="Interface; the configured one when absent.", min_length=1, max_length=15
    )
    output_file: str | None = Field(
        None,
        description="File inside the data roots that the frames are written to: pcapng, whatever its name, and without "
        "a bound. When absent, `captures/live_capture.pcapng` in the state folder gets the first packets, at most "
        "`packet_ring_bytes`.",
        min_length=1,
        max_length=4096,
    )
    duration: float | None = Field(
        None, gt=0, le=31_536_000, description="Seconds; without end when absent.", allow_inf_nan=False
    )
    filter: str | None = Field(None, description="Capture filter, as tcpdump's (pcap-filter(7)).", max_length=4096)
    snaplen: Annotated[int, BeforeValidator(_whole)] | None = Field(
        None, ge=64, le=262_144, description="Most bytes captured of a frame; the configured ones when absent."
    )
