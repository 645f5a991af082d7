"""Labelled flows made up for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from agents.classifier.dataset import LabelledFlows
from agents.classifier.features import OTHER_NAMES
from schemas.classes import CLASS_NAMES
from schemas.flows import FEATURE_NAMES, N_FEATURES

LEAST_HEADER, HEADER, HEADER_COPY = (
    FEATURE_NAMES.index(name) for name in ("min_seg_size_forward", "Fwd Header Length", "Fwd Header Length.1")
)


def features_of(labels: npt.NDArray[np.int64], seed: int = 0) -> npt.NDArray[np.float32]:
    """Return features (n_flows, 78): each class has values of its own, three decades from the least to the most."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(42).uniform(0, 3, (len(CLASS_NAMES), N_FEATURES))
    features = (10 ** rng.normal(centres[labels], 0.1)).astype(np.float32)
    features[:, LEAST_HEADER] = 0  # so that no header length looks overflowed
    features[:, HEADER_COPY] = features[:, HEADER]
    return features


def flows_of(labels: npt.NDArray[np.int64], seed: int = 0) -> LabelledFlows:
    """Return flows one second apart, in the order of their labels."""
    times = np.arange(len(labels), dtype=np.int64) * 1_000_000
    return LabelledFlows(features_of(labels, seed), labels, times, {}, "0" * 64)


def write_published(path: Path, flows: LabelledFlows, *, is_corrected: bool = False) -> Path:
    """Write flows as Parquet with the published header, spaces and all, or with that of the corrected files."""
    corrected = {name: other for other, name in OTHER_NAMES.items() if name != "Fwd Header Length.1"}
    columns, names = [], []
    for index, name in enumerate(FEATURE_NAMES):
        if not (is_corrected and name == "Fwd Header Length.1"):
            columns.append(pa.array(flows.features[:, index].astype(np.float64)))
            names.append(corrected.get(name, name) if is_corrected else " " + name.removesuffix(".1"))
    columns += [pa.array(flows.times_us, pa.timestamp("us")), pa.array([CLASS_NAMES[i] for i in flows.labels])]
    pyarrow.parquet.write_table(pa.Table.from_arrays(columns, [*names, "Timestamp", "Label"]), path)
    return path
