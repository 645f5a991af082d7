"""SQL of exports: every list in pages of its key, so that any number of rows takes the memory of one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa

from api.filters import TimeRange
from infra.store import Store
from schemas.anomalies import ANOMALY_COLUMNS
from schemas.baselines import BASELINE_COLUMNS
from schemas.captures import CAPTURE_COLUMNS, LEDGER_COLUMNS
from schemas.classifications import STORED_CLASSIFICATION_COLUMNS
from schemas.flows import STORED_FLOW_COLUMNS
from schemas.packets import STORED_PACKET_COLUMNS
from schemas.windows import WINDOW_COLUMNS

LINE = "exported_line"
"""Column of a page that holds each row as text."""


class RowText(StrEnum):
    """Texts that ClickHouse makes of a row, by the name of its format; each ends in a line feed."""

    CSV = "CSV"
    JSON = "JSONEachRow"


@dataclass(frozen=True)
class Dataset:
    """One list that can be exported.

    Parameters
    ----------
    source : str
        What stands behind FROM; ``{capture_id:String}`` is the capture.
    columns : mapping of str to str
        Columns in order, each with its expression.
    nested : frozenset of str
        Those that CSV has no form for: there they are JSON.
    key : tuple of (str, str)
        Columns that order the rows and tell them apart, with their types.
    rows_per_page : int
        Some megabytes.
    time : str
        Column that ``from`` and ``to`` are about, ns; empty when there is none.
    of_capture : str
        Condition that leaves the rows of the capture; empty for all of them.
    """

    source: str
    columns: dict[str, str]
    nested: frozenset[str]
    key: tuple[tuple[str, str], ...]
    rows_per_page: int
    time: str = ""
    of_capture: str = "capture_id = {capture_id:String}"


def _columns(declared: Sequence[object]) -> dict[str, str]:
    return {str(getattr(column, "name", column)): str(getattr(column, "name", column)) for column in declared}


def _nested(declared: Sequence[object]) -> frozenset[str]:
    types = {str(getattr(column, "name", "")): getattr(column, "arrow", None) for column in declared}
    return frozenset(name for name, kind in types.items() if kind is not None and pa.types.is_nested(kind))


def address_text(name: str) -> str:
    """Return the expression of an address as text: IPv4 as people write it, not mapped into IPv6."""
    text = f"toString({name})"
    return f"if(startsWith({text}, '::ffff:') AND position({text}, '.') > 0, substring({text}, 8), {text})"


# Severity: high sorts before medium.
_INCIDENTS = """(
    SELECT incident_id, any(a.capture_id) AS capture_id, any(a.type) AS type, any(a.signal) AS signal,
           any(a.subject) AS subject, min(a.severity) AS severity,
           argMax(a.message, a.window_start_ns) AS message, any(a.metric) AS metric,
           argMax(a.source_ip, a.window_start_ns) AS source_ip,
           argMax(a.destination_ip, a.window_start_ns) AS destination_ip,
           sum(a.folded + 1) AS anomalies, uniqExact(a.window_id) AS windows,
           min(a.window_start_ns) AS first_seen_ns, max(a.window_end_ns) AS last_end_ns
    FROM (SELECT * FROM anomalies_now WHERE capture_id = {capture_id:String}) AS a GROUP BY incident_id
)"""

_INCIDENT_COLUMNS = (
    *("incident_id", "capture_id", "type", "signal", "subject", "severity", "message", "metric", "source_ip"),
    *("destination_ip", "anomalies", "windows", "first_seen_ns", "last_end_ns"),
)

_STRING, _INT64, _UINT64 = "String", "Int64", "UInt64"

DATASETS: dict[str, Dataset] = {
    "windows": Dataset(
        "windows_now",
        _columns(WINDOW_COLUMNS),
        _nested(WINDOW_COLUMNS),
        (("window_id", "UInt32"),),
        200,
        "window_start_ns",
    ),
    "anomalies": Dataset(
        "anomalies_now",
        _columns(ANOMALY_COLUMNS),
        _nested(ANOMALY_COLUMNS),
        (("window_id", "UInt32"), ("anomaly_id", _STRING)),
        2_000,
        "window_start_ns",
    ),
    "incidents": Dataset(
        _INCIDENTS, _columns(_INCIDENT_COLUMNS), frozenset(), (("incident_id", _STRING),), 5_000, "first_seen_ns"
    ),
    "baselines": Dataset(
        "(SELECT * FROM baselines FINAL)",
        _columns(BASELINE_COLUMNS),
        _nested(BASELINE_COLUMNS),
        (("source", _STRING), ("kind", _STRING), ("subject", _STRING), ("version", _UINT64)),
        5_000,
        "window_end_ns",
    ),
    "captures": Dataset(
        "captures_now",
        {**_columns(CAPTURE_COLUMNS), "is_stored": "is_stored"},
        frozenset(),
        (("capture_id", _STRING),),
        5_000,
        "started_ns",
        "({capture_id:String} = '' OR capture_id = {capture_id:String})",
    ),
    "ledger": Dataset(
        "ledger_now",
        _columns(LEDGER_COLUMNS),
        frozenset(),
        (("hop", _STRING), ("partition", "Int16"), ("reason", _STRING)),
        5_000,
    ),
    "packets": Dataset(
        "packet_logs",
        {**_columns(STORED_PACKET_COLUMNS), "src_ip": address_text("src_ip"), "dst_ip": address_text("dst_ip")},
        frozenset(),
        (("ts_ns", _INT64), ("event_id", _UINT64)),
        65_536,
        "ts_ns",
    ),
    "flows": Dataset(
        "flows_now",
        {
            **_columns(STORED_FLOW_COLUMNS),
            "flow_id": "leftPad(lower(hex(flow_id)), 16, '0')",
            "src_ip": address_text("src_ip"),
            "dst_ip": address_text("dst_ip"),
        },
        _nested(STORED_FLOW_COLUMNS),
        (("start_ns", _INT64), ("flow_id", _UINT64)),
        20_000,
        "start_ns",
    ),
    # The champion's and the challenger's.
    "classifications": Dataset(
        "(SELECT * FROM classifications FINAL)",
        {
            **_columns(STORED_CLASSIFICATION_COLUMNS),
            "flow_id": "leftPad(lower(hex(flow_id)), 16, '0')",
            "src_ip": address_text("src_ip"),
            "dst_ip": address_text("dst_ip"),
        },
        _nested(STORED_CLASSIFICATION_COLUMNS),
        (("start_ns", _INT64), ("flow_id", _UINT64), ("role", _STRING)),
        50_000,
        "start_ns",
    ),
}
"""Every list that can be exported, by the name it has in paths."""

_SETTINGS = "format_csv_null_representation = '', output_format_json_quote_64bit_integers = 0"

# The first column of the key alone as well: that is what ClickHouse finds the place in the primary key by.
_PAGE = """
SELECT {keys}, {wanted}
FROM {source}
WHERE {condition}
ORDER BY {order}
LIMIT {{page_rows:UInt32}}
SETTINGS {settings}
"""


@dataclass(frozen=True)
class Export:
    """What is to be exported.

    Parameters
    ----------
    dataset : Dataset
        The list.
    capture_id : str
        The capture; empty where the list is not of one.
    columns : tuple of str
        In the order wanted.
    times : TimeRange
        ``[from_ns, to_ns)`` of the dataset's time.
    """

    dataset: Dataset
    capture_id: str
    columns: tuple[str, ...]
    times: TimeRange


def text_pages(store: Store, export: Export, text: RowText) -> Iterator[memoryview]:
    """Yield the rows as lines of text, page by page.

    Raises
    ------
    StoreError
        ClickHouse refuses or does not answer.
    """
    expressions = [_text(export.dataset, name, text) for name in export.columns]
    wanted = f"formatRow('{text}', {', '.join(expressions)}) AS {LINE}"
    for page in _pages(store, export, wanted):
        for chunk in page.column(LINE).chunks:
            # The lines lie one behind the other in memory already; their offsets are one more than the lines.
            offsets, octets = chunk.buffers()[1:]
            if len(chunk):
                ends = np.frombuffer(offsets, np.int32)
                yield memoryview(octets)[ends[chunk.offset] : ends[chunk.offset + len(chunk)]]


def _text(dataset: Dataset, name: str, text: RowText) -> str:
    expression = dataset.columns[name]
    if text is RowText.CSV and name in dataset.nested:
        return f"toJSONString({expression})"
    return f"{expression} AS {name}"


def table_pages(store: Store, export: Export) -> Iterator[pa.Table]:
    """Yield the rows as Arrow tables of one schema, page by page; at least one, which may be empty.

    Raises
    ------
    StoreError
        ClickHouse refuses or does not answer.
    """
    wanted = ", ".join(f"{export.dataset.columns[name]} AS {name}" for name in export.columns)
    for page in _pages(store, export, wanted):
        yield page.select(range(len(export.dataset.key), page.num_columns)).rename_columns(list(export.columns))


def _pages(store: Store, export: Export, wanted: str) -> Iterator[pa.Table]:
    dataset = export.dataset
    names = [f"key_{number}" for number in range(len(dataset.key))]
    last: dict[str, object] = {}
    while True:
        sql = _PAGE.format(
            keys=", ".join(f"{column} AS {name}" for name, (column, _) in zip(names, dataset.key, strict=True)),
            wanted=wanted,
            source=dataset.source,
            condition=" AND ".join(_conditions(export, is_first=not last)),
            order=", ".join(names),
            settings=_SETTINGS,
        )
        values = {"capture_id": export.capture_id, "from_ns": export.times.from_ns, "to_ns": export.times.to_ns}
        page = store.query_arrow(sql, {**values, **last, "page_rows": dataset.rows_per_page})
        yield page
        if page.num_rows < dataset.rows_per_page:
            return
        last = {name: page.column(name)[-1].as_py() for name in names}


def _conditions(export: Export, *, is_first: bool) -> Iterator[str]:
    dataset = export.dataset
    if dataset.of_capture:
        yield dataset.of_capture
    if dataset.time:
        yield f"{dataset.time} >= {{from_ns:Int64}} AND {dataset.time} < {{to_ns:Int64}}"
    if not is_first:
        places = [f"{{key_{number}:{kind}}}" for number, (_, kind) in enumerate(dataset.key)]
        columns = [column for column, _ in dataset.key]
        yield f"{columns[0]} >= {places[0]}"
        yield f"tuple({', '.join(columns)}) > tuple({', '.join(places)})"


def exported_rows(store: Store, export: Export) -> int:
    """Return how many rows there are to export.

    Raises
    ------
    StoreError
        ClickHouse refuses or does not answer.
    """
    condition = " AND ".join(_conditions(export, is_first=True)) or "1"
    sql = f"SELECT count() AS total FROM {export.dataset.source} WHERE {condition}"  # noqa: S608 - our own text
    values = {"capture_id": export.capture_id, "from_ns": export.times.from_ns, "to_ns": export.times.to_ns}
    return int(str(store.query(sql, values)[0]["total"]))
