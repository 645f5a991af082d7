"""What answers about flows and answers about verdicts on them have in common."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.filters import NS_PER_S
from api.flow_rows import OfFlowRow, hex_id
from api.window_answers import Count
from schemas.protocols import protocol_name


def common_fields(row: OfFlowRow) -> dict[str, object]:
    """Return the fields that are told of a flow wherever it is named: which it is, its time, ends and packets."""
    same = ("capture_id", "window_id", "end_reason", "protocol", "vlan")
    return {
        **{name: getattr(row, name) for name in same},
        "flow_id": hex_id(row.flow_id),
        "start": row.start_ns / NS_PER_S,
        "end": row.end_ns / NS_PER_S,
        "source_ip": row.src_ip,
        "source_port": row.src_port,
        "destination_ip": row.dst_ip,
        "destination_port": row.dst_port,
        "protocol_name": protocol_name(row.protocol),
        "packets_forward": row.fwd_packets,
        "packets_backward": row.bwd_packets,
        "packets": row.fwd_packets + row.bwd_packets,
    }


class CapturePage(BaseModel):
    """A page of what one capture has; each list adds its own field."""

    count: Count
    total: Count = Field(description="All that the filters let through.")
    offset: Count
    limit: Count
    capture_id: str | None = Field(description="The capture they are of; null while there is none.")
    next_cursor: str | None = Field(description="Send it as `cursor` for what follows; null when nothing does yet.")
