"""``/api/flows``: the flows of a capture, their features and their packets."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query

from api import queries_classifications, queries_flows
from api.classification_reasons import alone, explained, judge_of
from api.errors import Refusal, documented
from api.flow_answers import FlowAnswer, FlowDetailAnswer, FlowPacketsAnswer, FlowsAnswer, PacketAnswer
from api.flow_filters import WantedFlows
from api.flow_rows import FlowDetailRow
from api.pages import Page, PageCursor, page_of
from api.parameters import Capture, CaptureIdText
from api.routers.metrics import chosen_capture
from api.services import Shared
from infra.store import Store

router = APIRouter(prefix="/api/flows", tags=["flows"])

FlowId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="Flow id.", examples=["5d41402abc4b2a76"])]
FlowOrder = Annotated[
    Literal["newest", "oldest", "bytes", "packets", "duration"],
    Query(description="Which come first: those that began last or first, or those with most."),
]
OfCapture = Annotated[
    CaptureIdText | None, Query(description="Capture id; the newest capture that has the flow when absent.")
]


@router.get("/", response_model=FlowsAnswer, responses=documented(400, 404), summary="List flows")
def list_flows(
    services: Shared,
    wanted: WantedFlows,
    page: Annotated[Page, Depends(page_of(100))],
    capture: Capture = None,
    order: FlowOrder = "newest",
) -> FlowsAnswer:
    """List the flows of the newest capture, or of the one named, each in its newest record.

    With `cursor`, the page follows the one it comes from in that one's capture and order; the filters are those of
    this request. `from` and `to` let those through that had a packet in between.
    """
    store = services.store
    cursor = page.cursor(queries_flows.ORDERS.letters)
    current = chosen_capture(store, cursor.capture_id if cursor else capture)
    if current is None:
        return FlowsAnswer(
            count=0, total=0, offset=page.offset, limit=page.limit, capture_id=None, next_cursor=None, flows=[]
        )
    behind = queries_flows.ORDERS.behind(order, cursor)
    rows = queries_flows.flows(store, current.capture_id, wanted, behind, page.limit + 1, page.offset)
    shown = rows[: page.limit]
    verdicts = queries_classifications.of_flows(store, shown)
    return FlowsAnswer(
        count=len(shown),
        total=queries_flows.flow_count(store, current.capture_id, wanted),
        offset=page.offset,
        limit=page.limit,
        capture_id=current.capture_id,
        next_cursor=queries_flows.ORDERS.next_cursor(behind, current.capture_id, rows, page.limit),
        flows=[FlowAnswer.of(row, verdicts.get(row.flow_id)) for row in shown],
    )


def _found(store: Store, flow_id: str, capture_id: str | None) -> FlowDetailRow:
    row = queries_flows.flow(store, int(flow_id, 16), capture_id or "")
    if row is None:
        raise Refusal(404, "Flow not found", flow_id=flow_id)
    return row


@router.get("/{flow_id}", response_model=FlowDetailAnswer, responses=documented(400, 404), summary="Read one flow")
def read_flow(services: Shared, flow_id: FlowId, capture: OfCapture = None) -> FlowDetailAnswer:
    """Show a flow with its 78 features by name, what it is said to be and why, and where it stood between windows.

    A verdict that was not explained when it was made is explained now by the model that made it, as long as the
    registry has that one. `alone` is what that model says without the other flows between the same two hosts.
    """
    row = _found(services.store, flow_id, capture)
    said, own = queries_classifications.of_flow(services.store, row), None
    if said.newest is not None:
        model = judge_of(said.newest, row, services.predictor.model, services.past_models)
        if model is not None:
            said, own = replace(said, newest=explained(said.newest, row, model)), alone(row, model)
    return FlowDetailAnswer.with_features(row, queries_flows.interim_records(services.store, row), said, own)


@router.get(
    "/{flow_id}/packets",
    response_model=FlowPacketsAnswer,
    responses=documented(400, 404),
    summary="List a flow's packets",
)
def list_packets(
    services: Shared,
    flow_id: FlowId,
    page: Annotated[Page, Depends(page_of(100))],
    capture: OfCapture = None,
) -> FlowPacketsAnswer:
    """List the packets of a flow in the order of the capture, as long as the store keeps packets."""
    store = services.store
    cursor = page.cursor("k")
    if cursor is not None and cursor.text != flow_id:
        raise Refusal(400, "Bad Request", "cursor: it is not the next_cursor of an answer of this list.")
    row = _found(store, flow_id, cursor.capture_id if cursor else capture)
    behind_frame = max(cursor.number, 0) if cursor else 0
    found = queries_flows.packets(store, row, page.limit + 1, page.offset, behind_frame)
    shown = found[: page.limit]
    following = None
    if len(found) > page.limit:
        following = str(PageCursor("k", row.capture_id, shown[-1].frame, flow_id))
    return FlowPacketsAnswer(
        flow_id=flow_id,
        capture_id=row.capture_id,
        count=len(shown),
        total=queries_flows.packet_count(store, row),
        offset=page.offset,
        limit=page.limit,
        next_cursor=following,
        packets=[PacketAnswer.of(packet, row) for packet in shown],
    )
