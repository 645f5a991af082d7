"""Settings of a live capture."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LiveSettings(BaseModel):
    """What is captured from an interface; part of the settings. Docs: ``docs/live-capture.md``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    interface: str = Field(
        "", max_length=15, description="Network interface of the live mode (15 characters at most on Linux)."
    )
    filter: str = Field(
        "", description="Capture filter of the interface, as tcpdump's (pcap-filter(7)); empty takes every frame."
    )
    snaplen: int = Field(262_144, ge=64, le=262_144, description="Most bytes captured of each frame of the interface.")
    ring_mib: int = Field(
        256,
        ge=2,
        le=65_536,
        description="Memory of the kernel for frames that wait to be read from the interface, MiB: "
        "some 2.5 s of 300,000 frames of 200 bytes per second.",
    )
    packet_ring_bytes: int = Field(
        1 << 30,
        ge=0,
        description="Most disk that the newest packets of live captures may take, bytes; 0 keeps none.",
    )
