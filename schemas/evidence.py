"""Evidence: which packets of a capture are wanted, and what was found."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

ANY_PROTOCOL = -1
"""Every IP protocol, and frames without IP."""


class Ends(BaseModel):
    """Packets between two ends, in either direction.

    Attributes
    ----------
    a, b : str
        IP addresses; empty for anybody.
    a_port, b_port : int
        Port at that end; 0 for any.
    protocol : int
        IANA protocol number; ``ANY_PROTOCOL`` for any.
    """

    model_config = ConfigDict(frozen=True)

    a: str = ""
    b: str = ""
    a_port: int = Field(default=0, ge=0, le=65_535)
    b_port: int = Field(default=0, ge=0, le=65_535)
    protocol: int = Field(default=ANY_PROTOCOL, ge=ANY_PROTOCOL, le=255)


class Selection(BaseModel):
    """Which packets are wanted.

    Attributes
    ----------
    first_ns, last_ns : int
        Event time, ns since the epoch, both inclusive.
    ends : list of Ends
        Packets that match any of these; empty for every packet of the time.
    max_packets, max_bytes : int
        Most packets, and most bytes of frames, that are written.
    """

    model_config = ConfigDict(frozen=True)

    first_ns: int
    last_ns: int
    ends: list[Ends] = Field(default_factory=list)
    max_packets: int = Field(default=10_000, ge=1)
    max_bytes: int = Field(default=64 * 1024 * 1024, ge=1)


class Extracted(BaseModel):
    """What came of a selection.

    Attributes
    ----------
    packets : int
        Frames written.
    scanned : int
        Frames looked at.
    is_truncated : bool
        Whether there were more than the selection allows.
    segments_gone : int
        Segments of the packet ring that were deleted while it was read.
    segments_unreadable : list of str
        Segments that could not be read, or not to their end: a sentence each.
    """

    model_config = ConfigDict(frozen=True)

    packets: int
    scanned: int
    is_truncated: bool
    segments_gone: int = 0
    segments_unreadable: list[str] = Field(default_factory=list)
