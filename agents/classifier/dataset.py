"""Labelled flows from the published files, and their split by time."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from agents.classifier.features import feature_positions, repaired, unwrapped
from agents.classifier.labels import ATTEMPTED, class_number
from schemas.classes import N_CLASSES
from schemas.errors import FlowFileError
from schemas.flows import N_FEATURES

_TIME_FORMATS = ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y %I:%M:%S %p")
"""Of the published files and of CICFlowMeter 4; the corrected files have ISO 8601."""


@dataclass(frozen=True)
class LabelledFlows:
    """Flows whose class is known.

    Parameters
    ----------
    features : array (n_flows, 78) of float32
    labels : array (n_flows,) of int64
        Numbers of their classes.
    times_us : array (n_flows,) of int64
        Beginning, µs since the epoch; the number of the row where the file has no times.
    skipped : dict of str to int
        Rows that were left out, by reason.
    digest : str
        SHA-256 of the files, 64 digits.
    """

    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    times_us: npt.NDArray[np.int64]
    skipped: dict[str, int]
    digest: str

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self) -> npt.NDArray[np.int64]:
        """Return the number of flows of each class (15,)."""
        return np.bincount(self.labels, minlength=N_CLASSES)

    def of(self, rows: npt.NDArray[np.bool_]) -> LabelledFlows:
        """Return the rows of a mask (n_flows,)."""
        return LabelledFlows(self.features[rows], self.labels[rows], self.times_us[rows], {}, self.digest)


def load_flows(paths: Iterable[Path]) -> LabelledFlows:
    """Read labelled flows of either published header form.

    Parameters
    ----------
    paths : iterable of Path
        Parquet, or CSV (plain or gzip) in UTF-8 or Windows-1252, as the published files are.

    Raises
    ------
    FlowFileError
        When a file cannot be read, has no labels, or has one that is no class of the contract.
    FeaturesError
        When a file lacks features.
    """
    parts = [_load(path) for path in paths]
    if not parts or not sum(map(len, parts)):
        raise FlowFileError("There are no labelled flows.")
    digests = [part.digest for part in parts]
    return LabelledFlows(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.times_us for part in parts]),
        dict(sum((Counter(part.skipped) for part in parts), Counter[str]())),
        digests[0] if len(parts) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest(),
    )


def earlier(flows: LabelledFlows, fraction: float) -> npt.NDArray[np.bool_]:
    """Mark the first fraction in time of each class, and at least one flow of it.

    A split by chance would put flows of one attack run, alike to the digit, on both sides.

    Returns
    -------
    array (n_flows,) of bool
    """
    is_earlier = np.zeros(len(flows), np.bool_)
    order = np.argsort(flows.times_us, kind="stable")
    for label in range(N_CLASSES):
        rows = order[flows.labels[order] == label]
        is_earlier[rows[: max(1, int(fraction * len(rows) + 1e-9))]] = True
    return is_earlier


def _load(path: Path) -> LabelledFlows:
    table = _read(path)
    header = [name.strip().casefold() for name in table.column_names]
    if "label" not in header:
        raise FlowFileError(f"{path.name} has no column Label.")
    matrix = np.empty((table.num_rows, N_FEATURES), np.float64)
    for index, position in enumerate(feature_positions(table.column_names)):
        matrix[:, index] = _numbers(table.column(position))
    features, is_usable = repaired(matrix)
    names = table.column(header.index("label")).cast(pa.string()).to_pylist()
    numbers = {name: class_number(name) for name in set(names)}
    labels = np.array([numbers[name] for name in names], np.int64)
    times = _times(table.column(header.index("timestamp"))) if "timestamp" in header else np.arange(len(labels))
    is_attempted = labels == ATTEMPTED
    skipped = {"not a finite number": int((~is_usable).sum()), "attempted": int((is_usable & is_attempted).sum())}
    kept = is_usable & ~is_attempted
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return LabelledFlows(unwrapped(features[kept]), labels[kept], times[kept], skipped, digest)


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
