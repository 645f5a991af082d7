from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.classifier.dataset import LabelledFlows, earlier, load_flows
from schemas.errors import FeaturesError, FlowFileError
from schemas.flows import N_FEATURES
from tests.agents.classifier.labelled import flows_of, write_published
from tests.shared_data import shared_data

LABELS = np.array([0, 0, 1, 6, 14, 0])


def published(folder: Path, flows: LabelledFlows) -> pa.Table:
    """Return flows as a table with the published header."""
    return pyarrow.parquet.ParquetFile(write_published(folder / "flows.parquet", flows)).read()


@pytest.mark.parametrize("is_corrected", [False, True])
def test_both_published_headers_mean_the_same_features(tmp_path: Path, is_corrected: bool) -> None:
    flows = flows_of(LABELS)
    read = load_flows([write_published(tmp_path / "flows.parquet", flows, is_corrected=is_corrected)])
    assert np.array_equal(read.features, flows.features)
    assert np.array_equal(read.labels, LABELS)
    assert np.array_equal(read.times_us, flows.times_us)
    assert len(read.digest) == 64


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y %I:%M:%S %p"])
def test_times_are_read_in_every_published_form(tmp_path: Path, form: str) -> None:
    table = published(tmp_path, flows_of(LABELS))
    place = table.schema.get_field_index("Timestamp")
    minutes = np.arange(len(LABELS)) * 60 + 1_499_000_000 // 60 * 60
    texts = [str(np.datetime64(int(second), "s").item().strftime(form)) for second in minutes]
    table = table.set_column(place, "Timestamp", pa.array(texts))
    pyarrow.csv.write_csv(table, tmp_path / "flows.csv")
    assert load_flows([tmp_path / "flows.csv"]).times_us.tolist() == (minutes * 1_000_000).tolist()


def test_a_csv_in_windows_1252_with_infinities_is_read(tmp_path: Path) -> None:
    table = published(tmp_path, flows_of(LABELS))
    place = 14
    assert table.column_names[place] == " Flow Bytes/s"
    table = table.set_column(place, "Flow Bytes/s", pa.array(["Infinity", "NaN", "1.5", "", "2", "3"]))
    pyarrow.csv.write_csv(table, tmp_path / "utf8.csv")
    path = tmp_path / "flows.csv"
    path.write_bytes((tmp_path / "utf8.csv").read_text().encode("cp1252"))
    read = load_flows([path])
    assert read.features[:, place].tolist() == [0, 0, 1.5, 0, 2, 3]
    assert np.array_equal(read.labels, LABELS)


def test_rows_that_cannot_be_used_are_counted_by_reason(tmp_path: Path) -> None:
    flows = flows_of(LABELS)
    flows.features[1, 1] = np.nan
    table = published(tmp_path, flows)
    labels = [*table.column("Label").to_pylist()[:-1], "DoS Hulk - Attempted"]
    table = table.set_column(table.schema.get_field_index("Label"), "Label", pa.array(labels))
    pyarrow.parquet.write_table(table, tmp_path / "flows.parquet")
    read = load_flows([tmp_path / "flows.parquet"])
    assert len(read) == 4
    assert read.skipped == {"not a finite number": 1, "attempted": 1}


def test_files_that_do_not_serve_are_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "flows.parquet"
    with pytest.raises(FlowFileError, match="cannot be read"):
        load_flows([path])
    path.write_bytes(b"no parquet")
    with pytest.raises(FlowFileError, match="cannot be read"):
        load_flows([path])
    pyarrow.parquet.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(FlowFileError, match="no column Label"):
        load_flows([path])
    pyarrow.parquet.write_table(pa.table({"Label": ["BENIGN"]}), path)
    with pytest.raises(FeaturesError, match="73 more"):
        load_flows([path])
    with pytest.raises(FlowFileError, match="no labelled flows"):
        load_flows([])


@given(
    st.lists(st.tuples(st.integers(0, 14), st.integers(0, 50)), min_size=1, max_size=80),
    st.floats(0.05, 0.95),
)
def test_no_flow_of_a_class_trains_that_is_later_than_one_held_back(
    rows: list[tuple[int, int]], fraction: float
) -> None:
    labels, times = (np.array(values, np.int64) for values in zip(*rows, strict=True))
    flows = LabelledFlows(np.zeros((len(rows), N_FEATURES), np.float32), labels, times, {}, "")
    is_earlier = earlier(flows, fraction)
    for label in np.unique(labels):
        of_class = labels == label
        known, unseen = times[of_class & is_earlier], times[of_class & ~is_earlier]
        assert len(known) == max(1, int(fraction * of_class.sum() + 1e-9))
        assert not len(unseen) or known.max() <= unseen.min()


def test_the_public_flows_of_both_forms_are_read_whole() -> None:
    folder = shared_data()
    if folder is None:
        pytest.skip("the public data are not here")
    corrected = load_flows([folder / "cicids2017" / "corrected_train.parquet"])
    assert len(corrected) == 39_403
    assert corrected.counts().min() >= 8
    assert (corrected.features[:, [34, 35, 55]] >= 0).all()
    assert len(load_flows([folder / "cicids2017" / "original_train.parquet"])) > 21_000
