"""Tables of flows: the files published with CICIDS2017, and those that our own flow meter's records come in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from agents.classifier.captures import LabelRow, is_capture, labelled_records
from agents.classifier.features import feature_positions
from schemas.enums import FlowEnd
from schemas.errors import FeaturesError, FlowFileError
from schemas.flows import N_FEATURES

_TIME_FORMATS = ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y %I:%M:%S %p")
"""Of the published files and of CICFlowMeter 4; the corrected files have ISO 8601."""

_LABELS = ("label", "class", "class_name")


@dataclass(frozen=True)
class FlowTable:
    """What a file says of flows, before anything is judged.

    Parameters
    ----------
    features : array (n_flows, 78) of float64
    labels, tools, captures : list of str
        As they stand in the file; a tool is empty where the file has none, a capture is the file's name then.
    times_us : array (n_flows,) of int64
    is_final : array (n_flows,) of bool
        Whether it is a flow's last record.
    is_own : bool
        Whether our own flow meter made the flows.
    """

    features: npt.NDArray[np.float64]
    labels: list[str]
    tools: list[str]
    captures: list[str]
    times_us: npt.NDArray[np.int64]
    is_final: npt.NDArray[np.bool_]
    is_own: bool


def read_table(path: Path, rows: Sequence[LabelRow] | None = None) -> FlowTable:
    """Read a file of flows, whichever of the forms it has: published, our own records, or a labelled capture.

    Parameters
    ----------
    path : Path
    rows : sequence of LabelRow, optional
        Of a capture, when it has no label file beside it.

    Raises
    ------
    FlowFileError
        When it cannot be read or has no labels.
    FeaturesError
        When it lacks features.
    """
    table = labelled_records(path, rows) if is_capture(path) else _read(path)
    header = [name.strip().casefold() for name in table.column_names]
    label = next((name for name in _LABELS if name in header), None)
    if label is None:
        raise FlowFileError(f"{path.name} has no column Label.")
    labels = _texts(table.column(header.index(label)))
    if "features" in header:
        return _own(table, header, labels, path.name)
    return _published(table, header, labels, path.name)


def _published(table: pa.Table, header: list[str], labels: list[str], name: str) -> FlowTable:
    matrix = np.empty((table.num_rows, N_FEATURES), np.float64)
    for index, position in enumerate(feature_positions(table.column_names)):
        matrix[:, index] = _numbers(table.column(position))
    times = _times(table.column(header.index("timestamp"))) if "timestamp" in header else np.arange(len(labels))
    n_flows = len(labels)
    is_final = np.ones(n_flows, np.bool_)
    return FlowTable(matrix, labels, [""] * n_flows, [name] * n_flows, times, is_final, is_own=False)


def _own(table: pa.Table, header: list[str], labels: list[str], name: str) -> FlowTable:
    """Read records of our own flow meter: ``spanwatch export flows``, with a column that says what they are."""
    n_flows = table.num_rows
    tools = _texts(table.column(header.index("tool"))) if "tool" in header else [""] * n_flows
    captures = _texts(table.column(header.index("capture"))) if "capture" in header else [name] * n_flows
    times = np.arange(n_flows, dtype=np.int64)
    if "start_ns" in header:
        times = np.asarray(table.column(header.index("start_ns")).cast(pa.int64()).to_numpy(), np.int64) // 1000
    is_final = np.ones(n_flows, np.bool_)
    if "end_reason" in header:
        is_final = np.array([text != FlowEnd.INTERIM for text in _texts(table.column(header.index("end_reason")))])
    features = _vectors(table.column(header.index("features")))
    return FlowTable(features, labels, tools, captures, times, is_final.astype(np.bool_), is_own=True)


def _vectors(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return a column of vectors as (n_flows, 78)."""
    lengths = pc.list_value_length(column)
    if column.null_count or pc.any(pc.not_equal(lengths, N_FEATURES)).as_py():
        raise FeaturesError(f"Every row must hold {N_FEATURES} features.")
    values = pc.fill_null(pc.list_flatten(column).cast(pa.float64()), np.nan)
    return np.asarray(values.to_numpy(), np.float64).reshape(-1, N_FEATURES)


def _texts(column: pa.ChunkedArray) -> list[str]:
    return [str(text) for text in column.cast(pa.string()).to_pylist()]


def _read(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            # Not read_table: it refuses files in which a name stands twice, as Fwd Header Length does.
            return pyarrow.parquet.ParquetFile(path).read()
        table = pyarrow.csv.read_csv(path)
        # What is not UTF-8 comes as bytes.
        if not any(pa.types.is_binary(column.type) for column in table.schema):
            return table
        return pyarrow.csv.read_csv(path, read_options=pyarrow.csv.ReadOptions(encoding="cp1252"))
    except (OSError, pa.ArrowException) as error:
        raise FlowFileError(f"{path} cannot be read: {error}") from error


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return a column as float64; what is no number becomes NaN, and the row is judged with it."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts = column.to_pylist()
        return np.array([_number(text) for text in texts], np.float64)
    values = pc.fill_null(column.cast(pa.float64()), np.nan)
    return np.asarray(values.to_numpy(), np.float64)


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _times(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return times, µs; whole rows in one of the known forms."""
    if not pa.types.is_timestamp(column.type):
        column = _parsed(column.cast(pa.string()))
    return np.asarray(column.cast(pa.timestamp("us"), safe=False).cast(pa.int64()).to_numpy(), np.int64)


def _parsed(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return texts.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        for form in _TIME_FORMATS:
            times = pc.strptime(texts, format=form, unit="us", error_is_null=True)
            if not times.null_count:
                return times
    raise FlowFileError(f"Times such as {texts[0].as_py()!r} are not understood.")
