"""``/api/anomalies/{id}/pcap`` and ``…/dissect``: the packets behind an anomaly."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import queries, queries_anomalies
from api.analysis_rows import AnomalyRow
from api.children import while_asked_for
from api.dissection import MAX_LINES, MAX_TREES, DissectionAnswer, dissect
from api.errors import Refusal, documented
from api.evidence import capture_files, extracted, selection_of
from api.services import Services, Shared
from schemas.evidence import Selection

router = APIRouter(prefix="/api/anomalies", tags=["anomalies"])

PCAPNG = "application/vnd.tcpdump.pcap"
"""IANA's media type of captures; Wireshark opens both formats by it."""

MAX_PACKETS = 100_000

AnomalyId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="Anomaly id.", examples=["9f86d081884c7d65"])]
Margin = Annotated[
    float, Query(ge=0, le=300, allow_inf_nan=False, description="Seconds before and behind the window to take as well.")
]
Packets = Annotated[int, Query(ge=1, le=MAX_PACKETS, description="Most packets to take out of the capture.")]


class Wanted:
    """The packets that a request asks for.

    Parameters
    ----------
    row : AnomalyRow
        The anomaly.
    services : Services
        Of the application.
    selection : Selection
        Which packets.
    """

    def __init__(self, row: AnomalyRow, services: Services, selection: Selection) -> None:
        self.row = row
        self.selection = selection
        capture = queries.capture(services.store, row.capture_id)
        if capture is None:
            raise Refusal(410, "Gone", "The capture of this anomaly has been deleted.")
        self.files = capture_files(capture, services.settings)


def _wanted(services: Shared, anomaly_id: AnomalyId, margin: Margin = 1.0, max_packets: Packets = 10_000) -> Wanted:
    row = queries_anomalies.anomaly(services.store, anomaly_id)
    if row is None:
        raise Refusal(404, "Anomaly not found", anomaly_id=anomaly_id)
    return Wanted(row, services, selection_of(row, margin, max_packets))


Asked = Annotated[Wanted, Depends(_wanted)]


@router.get(
    "/{anomaly_id}/pcap",
    response_class=Response,
    responses={
        **documented(400, 404, 410),
        200: {
            "content": {PCAPNG: {"schema": {"type": "string", "format": "binary"}}},
            "description": "A pcapng file. X-Packets: how many; X-Truncated: whether there were more; "
            "X-Segments-Gone and X-Segments-Unreadable: segments of the packet ring that are missing from it.",
        },
    },
    summary="Download an anomaly's packets",
)
async def read_pcap(services: Shared, request: Request, wanted: Asked) -> Response:
    """Return the packets of an anomaly: of its window and margin, between its hosts, as a pcapng file.

    From the file that was captured, or from the packet ring of a live capture as long as they are in it.
    """
    return await while_asked_for(request, _pcap(services, wanted))


async def _pcap(services: Services, wanted: Wanted) -> Response:
    async with extracted(wanted.files, wanted.selection, services.extractions) as evidence:
        content = await asyncio.to_thread(evidence.path.read_bytes)
        headers = {
            "Content-Disposition": f'attachment; filename="anomaly-{wanted.row.anomaly_id}.pcapng"',
            "X-Packets": str(evidence.result.packets),
            "X-Truncated": str(evidence.result.is_truncated).lower(),
            "X-Segments-Gone": str(evidence.result.segments_gone),
            "X-Segments-Unreadable": str(len(evidence.result.segments_unreadable)),
        }
    return Response(content, media_type=PCAPNG, headers=headers)


@router.get(
    "/{anomaly_id}/dissect",
    response_model=DissectionAnswer,
    responses=documented(400, 404, 410),
    summary="Read an anomaly's packets as tshark does",
)
async def read_dissection(
    services: Shared,
    request: Request,
    wanted: Asked,
    limit: Annotated[int, Query(ge=1, le=MAX_LINES, description="Most packets to return.")] = 100,
    first: Annotated[int, Query(ge=1, le=MAX_PACKETS, description="Number of the first one, from 1.")] = 1,
    layers: Annotated[bool, Query(description=f"Every field as well; {MAX_TREES} packets at most.")] = False,
) -> DissectionAnswer:
    """Return the packets of an anomaly as tshark reads them: a line each, and every field when asked for."""
    most = min(limit, MAX_TREES) if layers else limit
    return await while_asked_for(request, _dissection(services, wanted, first, most, with_layers=layers))


async def _dissection(
    services: Services, wanted: Wanted, first: int, limit: int, *, with_layers: bool
) -> DissectionAnswer:
    async with extracted(wanted.files, wanted.selection, services.extractions) as evidence:
        packets = await dissect(evidence, first, limit, with_layers=with_layers)
    return DissectionAnswer(
        anomaly_id=wanted.row.anomaly_id,
        capture_id=wanted.row.capture_id,
        count=len(packets),
        total=evidence.result.packets,
        is_truncated=evidence.result.is_truncated,
        segments_gone=evidence.result.segments_gone,
        segments_unreadable=evidence.result.segments_unreadable,
        packets=packets,
    )
