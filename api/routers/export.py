"""``/api/export``: every list as a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import StreamingResponse

from api.errors import Refusal, documented
from api.export import INFLUX, Format, encoded, gzipped
from api.filters import EVER, Times
from api.parameters import Capture
from api.queries_export import DATASETS, Export, exported_rows
from api.routers.metrics import chosen_capture
from api.services import Shared

router = APIRouter(prefix="/api/export", tags=["export"])

What = Annotated[
    Literal[
        "windows", "anomalies", "incidents", "baselines", "captures", "ledger", "packets", "flows", "classifications"
    ],
    Path(description="The list."),
]
Columns = Annotated[
    str | None,
    Query(description="Columns wanted, in their order, with commas between them; all when absent.", max_length=2000),
]

_PACKED = frozenset({Format.PARQUET})
"""Formats that are packed by themselves."""

_REFUSED = re.compile(r"\bgzip\s*;\s*q\s*=\s*0(\.0*)?\s*(,|$)")


@router.get(
    "/{what}",
    response_class=StreamingResponse,
    responses={
        **documented(400, 404),
        200: {
            "content": {form.media_type.partition(";")[0]: {"schema": {"type": "string"}} for form in Format},
            "description": "The rows. X-Total-Rows: how many there were when it began.",
        },
    },
    summary="Export a list",
)
def export_list(
    services: Shared,
    what: What,
    times: Times,
    format: Format = Format.CSV,
    capture: Capture = None,
    columns: Columns = None,
    accept_encoding: str = Header("", include_in_schema=False),
) -> StreamingResponse:
    """Send every row of a list: of the newest capture or the one named, of a time, or of all captures for `captures`.

    The rows are read and sent page by page, so any number of them takes little memory. When the store fails on
    the way, the connection breaks: a file that ends properly is whole.
    """
    export = _export(services, what, times, capture, columns)
    if format is Format.INFLUX and what not in INFLUX:
        raise Refusal(400, "Bad Request", f"format: influx is for {' and '.join(INFLUX)}.")
    total = exported_rows(services.store, export)
    parts = _begun(encoded(services.store, what, export, format))
    name = "-".join(filter(None, ("spanwatch", what, export.capture_id)))
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{format.suffix}"',
        "X-Total-Rows": str(total),
        "Vary": "Accept-Encoding",
    }
    if format not in _PACKED and _takes_gzip(accept_encoding):
        headers["Content-Encoding"] = "gzip"
        parts = gzipped(parts)
    return StreamingResponse(parts, media_type=format.media_type, headers=headers)


def _begun(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Return the same with the first of them made: until then an error is still an answer."""
    return chain((next(parts, b""),), parts)


def _takes_gzip(accepted: str) -> bool:
    return "gzip" in accepted.lower() and not _REFUSED.search(accepted.lower())


def _export(services: Shared, what: str, times: Times, capture: str | None, columns: str | None) -> Export:
    dataset = DATASETS[what]
    if times != EVER and not dataset.time:
        raise Refusal(400, "Bad Request", f"from, to: {what} has no time to choose by.")
    wanted = tuple(dataset.columns)
    if columns is not None:
        wanted = tuple(name.strip() for name in columns.split(","))
        unknown = [name for name in wanted if name not in dataset.columns]
        if unknown or len(set(wanted)) < len(wanted):
            raise Refusal(400, "Bad Request", f"columns: each of {', '.join(dataset.columns)} at most once.")
    capture_id = ""
    if what != "captures" or capture is not None:
        found = chosen_capture(services.store, capture)
        capture_id = found.capture_id if found else ""
    return Export(dataset, capture_id, wanted, times)
