"""Rows as the queries return them; field names are the store's column names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from schemas.captures import CaptureRow


def _counts(value: object) -> object:
    """Accept a map as pairs too: that is how Arrow hands it over."""
    return dict(value) if isinstance(value, list) else value


def _talkers(value: object) -> object:
    """Accept talkers as structs: that is how Arrow hands a named tuple over."""
    if not isinstance(value, list):
        return value
    return [(item["ip"], item["bytes"]) if isinstance(item, Mapping) else item for item in value]


Counts = Annotated[dict[str, int], BeforeValidator(_counts)]
Talkers = Annotated[list[tuple[str, int]], BeforeValidator(_talkers)]


class WindowRow(BaseModel):
    """The newest version of one window without its evidence; see ``schemas.windows.WINDOW_COLUMNS``."""

    model_config = ConfigDict(frozen=True)

    capture_id: str
    window_id: int
    version: int
    window_start_ns: int
    window_end_ns: int
    record_count: int
    bytes: int
    first_ts_ns: int | None
    last_ts_ns: int | None
    top_src_bytes: Talkers
    top_dst_bytes: Talkers
    hosts: int
    rtt_count: int
    rtt_sum_ns: int
    rtt_max_ns: int | None
    rtt_p95_ns: int | None
    rtt_is_sketched: bool
    handshake_rtt_count: int
    handshake_rtt_sum_ns: int
    connections_total: int
    connections_by_protocol: Counts
    connections_attempted: int
    connections_established: int
    connections_failed: int
    connections_half_open: int
    protocol_packets: Counts
    protocol_bytes: Counts
    ip_protocol_packets: Counts
    ip_protocol_bytes: Counts
    tcp_segments: int
    tcp_data_segments: int
    tcp_analysis: Counts
    undecoded: Counts
    late_packets: int
    is_complete: bool
    lost_upstream: int
    sampling_rate: float
    tcp_retransmissions: int
    age_median_ns: int | None
    age_p95_ns: int | None
    age_max_ns: int | None


class CaptureNow(CaptureRow):
    """Where a capture stands, all of its rows considered.

    Attributes
    ----------
    is_stored : bool
        Read to its end, and every packet and window of it is in the store.
    """

    is_stored: bool


class Count(BaseModel):
    """How many there are."""

    model_config = ConfigDict(frozen=True)

    total: int


class Progress(BaseModel):
    """Figures that grow while a capture is worked on; which of them moved does not matter."""

    model_config = ConfigDict(frozen=True)

    version: int
    packets: int
    windows: int
    ledger_rows: int


class LedgerTotal(BaseModel):
    """What one hop counted for one reason, all partitions together."""

    model_config = ConfigDict(frozen=True)

    hop: str
    reason: str
    packets_in: int
    packets_out: int


class SummaryRow(BaseModel):
    """Aggregates over the windows of one capture; see ``api.queries``."""

    model_config = ConfigDict(frozen=True)

    total_windows: int
    first_start_ns: int
    last_end_ns: int
    packets: int
    bytes: int
    mean_bps: float
    max_bps: float
    min_bps: float
    mean_rtt_ns: float | None
    max_rtt_ns: int | None
    rtt_count: int
    rtt_sum_ns: int
    connections: int
