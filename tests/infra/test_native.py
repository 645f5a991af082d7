from __future__ import annotations

from uuid import uuid4

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.storage import stored_batch, stored_of_capture
from infra.native import encode_native, has_native_form
from infra.store import Store
from schemas.captures import CAPTURE_SCHEMA
from schemas.flows import FLOW_SCHEMA, N_FEATURES, STORED_FLOW_SCHEMA
from schemas.windows import WINDOW_SCHEMA
from streams.packets import Packets, empty_packets
from streams.split import split


@st.composite
def any_packets(draw: st.DrawFn) -> Packets:
    """Packets with random bytes in every column but time, which decides the partition of the table."""
    columns = empty_packets(draw(st.integers(1, 300)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    for column in columns:
        column.view(np.uint8).reshape(-1)[...] = random.integers(0, 256, column.nbytes, np.uint8)
    columns.ts_ns[...] = random.integers(0, 2**60, len(columns.ts_ns))
    return columns


@settings(max_examples=10)
@given(any_packets())
def test_every_value_comes_back_from_the_store(store: Store, packets: Packets) -> None:
    (batch,) = split(packets, 1)
    assert batch is not None
    capture_id = uuid4().hex
    rows = stored_batch(batch, capture_id, 1, 2)
    assert has_native_form(rows.schema)
    store.insert("packet_logs", rows, capture_id)
    names = ", ".join(rows.schema.names)
    found = store.query_arrow(
        f"SELECT {names} FROM packet_logs WHERE capture_id = {{id:String}} ORDER BY event_id",
        {"id": capture_id},
    )
    for name in batch.schema.names:
        expected = batch.column(name).to_pylist()
        assert found.column(name).cast(batch.schema.field(name).type).to_pylist() == expected, name
    assert found.column("event_id").to_pylist() == rows.column("event_id").to_pylist()


def test_a_slice_is_written_as_the_rows_it_shows() -> None:
    whole = pa.record_batch([pa.array([1, 2, 3, 4], pa.uint16())], schema=schema("n", pa.uint16()))
    assert encode_native(whole.slice(1, 2)) == b"\x01\x02\x01n\x06UInt16" + bytes([2, 0, 3, 0])


def test_texts_are_written_as_keys_and_indexes() -> None:
    texts = pa.array(["b", "a", "b"]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string()))
    encoded = encode_native(pa.record_batch([texts], names=["t"]))
    assert encoded.endswith(b"\x01b\x01a" + (3).to_bytes(8, "little") + bytes([0, 1, 0]))


texts = st.lists(st.text(max_size=200) | st.just("1:LQU9qZlK+B5F3KDmev6m5PMibrg="), min_size=1, max_size=50)


@settings(max_examples=20)
@given(texts, st.integers(0, 40))
def test_strings_and_vectors_come_back_from_the_store(store: Store, values: list[str], start: int) -> None:
    count = len(values)
    vectors = np.random.default_rng(count).random((count, N_FEATURES)).astype(np.float32)
    table = pa.Table.from_pylist(
        [
            {"flow_id": number, "community_id": text, "features": vector.tolist(), **_OTHERS}
            for number, (text, vector) in enumerate(zip(values, vectors, strict=True))
        ],
        schema=FLOW_SCHEMA,
    )
    (batch,) = table.slice(start % count).combine_chunks().to_batches()
    capture_id = uuid4().hex
    rows = stored_of_capture(batch, capture_id, STORED_FLOW_SCHEMA)
    assert has_native_form(rows.schema)
    store.insert("flows", rows, capture_id)
    names = "flow_id, community_id, features, end_reason"
    sql = f"SELECT {names} FROM flows WHERE capture_id = {{id:String}} ORDER BY flow_id"
    expected = batch.select(names.split(", ")).to_pylist()
    assert store.query_arrow(sql, {"id": capture_id}).to_pylist() == expected


_OTHERS = {
    **{field.name: 0 for field in FLOW_SCHEMA if pa.types.is_integer(field.type) and field.name != "flow_id"},
    **dict.fromkeys(("src_ip", "dst_ip"), bytes(16)),
    "end_reason": "fin",
}


@pytest.mark.parametrize("other", [CAPTURE_SCHEMA, WINDOW_SCHEMA])
def test_lists_and_nulls_have_no_native_form(other: pa.Schema) -> None:
    assert not has_native_form(other)


def schema(name: str, kind: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False)])
