"""Batches in ClickHouse's Native format: what an insert of packets costs least in."""

from __future__ import annotations

import struct

import pyarrow as pa

_TYPES: dict[pa.DataType, str] = {
    pa.int8(): "Int8",
    pa.int16(): "Int16",
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.uint8(): "UInt8",
    pa.uint16(): "UInt16",
    pa.uint32(): "UInt32",
    pa.uint64(): "UInt64",
    pa.float64(): "Float64",
    pa.binary(16): "IPv6",
}
"""Columns that lie in memory as Native has them, with the type they go by."""

_TEXTS = pa.dictionary(pa.int8(), pa.string())
"""Texts of which there are few: LowCardinality(String)."""

_LOW_CARDINALITY = struct.Struct("<QQQ")
_VERSION = 1
_KEYS_FOLLOW_INDEXES_ARE_BYTES = 0x600


def has_native_form(schema: pa.Schema) -> bool:
    """Whether every column of a batch can be written without looking at its values."""
    return all((field.type in _TYPES and not field.nullable) or field.type == _TEXTS for field in schema)


def encode_native(batch: pa.RecordBatch) -> bytes:
    """Return a batch as one block in Native format; ClickHouse casts its types to the table's.

    The format: numbers of columns and rows, then each column's name, type and values. A LowCardinality
    column is its version, flags, keys and indexes ("Native", ClickHouse documentation of formats;
    ``SerializationLowCardinality``).

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Its schema has a native form, and no value is null.
    """
    parts: list[bytes | memoryview] = [_number(batch.num_columns), _number(batch.num_rows)]
    for field, column in zip(batch.schema, batch.columns, strict=True):
        is_text = field.type == _TEXTS
        parts += [_text(field.name), _text("LowCardinality(String)" if is_text else _TYPES[field.type])]
        parts += _low_cardinality(column) if is_text else [_values(column)]
    return b"".join(parts)


def _values(column: pa.Array) -> memoryview:
    width = column.type.byte_width
    return memoryview(column.buffers()[1])[column.offset * width : (column.offset + len(column)) * width]


def _low_cardinality(column: pa.DictionaryArray) -> list[bytes | memoryview]:
    keys = column.dictionary.to_pylist()
    return [
        _LOW_CARDINALITY.pack(_VERSION, _KEYS_FOLLOW_INDEXES_ARE_BYTES, len(keys)),
        *(_text(key) for key in keys),
        struct.pack("<Q", len(column)),
        _values(column.indices),
    ]


def _text(value: str) -> bytes:
    octets = value.encode()
    return _number(len(octets)) + octets


def _number(value: int) -> bytes:
    """Return an unsigned number in LEB128."""
    octets = bytearray()
    while value > 127:
        octets.append(value & 127 | 128)
        value >>= 7
    octets.append(value)
    return bytes(octets)
