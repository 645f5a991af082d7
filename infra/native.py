"""Batches in ClickHouse's Native format: what an insert of packets costs least in."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_TYPES: dict[pa.DataType, str] = {
    pa.int8(): "Int8",
    pa.int16(): "Int16",
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.uint8(): "UInt8",
    pa.uint16(): "UInt16",
    pa.uint32(): "UInt32",
    pa.uint64(): "UInt64",
    pa.float32(): "Float32",
    pa.float64(): "Float64",
    pa.binary(16): "IPv6",
}
"""Columns that lie in memory as Native has them, with the type they go by."""

_TEXTS = pa.dictionary(pa.int8(), pa.string())
"""Texts of which there are few: LowCardinality(String)."""

_LOW_CARDINALITY = struct.Struct("<QQQ")
_VERSION = 1
_KEYS_FOLLOW_INDEXES_ARE_BYTES = 0x600


_LENGTH_IS_ONE_BYTE = 128


def has_native_form(schema: pa.Schema) -> bool:
    """Whether every column of a batch can be written without looking at its values one by one."""
    return all(field.type == _TEXTS or (_type_of(field.type) != "" and not field.nullable) for field in schema)


def _type_of(kind: pa.DataType) -> str:
    """Return what Native calls a type, empty when it has no form here."""
    if kind == _TEXTS:
        return "LowCardinality(String)"
    if kind == pa.string():
        return "String"
    if pa.types.is_fixed_size_list(kind):
        return f"Array({_TYPES[kind.value_type]})" if kind.value_type in _TYPES else ""
    return _TYPES.get(kind, "")


def encode_native(batch: pa.RecordBatch) -> bytes:
    """Return a batch as one block in Native format; ClickHouse casts its types to the table's.

    The format: numbers of columns and rows, then each column's name, type and values. A LowCardinality
    column is its version, flags, keys and indexes; an array is where each row ends, then all values; a string is its
    length and its bytes ("Native", ClickHouse documentation of formats; ``SerializationLowCardinality``,
    ``SerializationArray``, ``SerializationString``).

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Its schema has a native form, and no value is null.
    """
    parts: list[bytes | memoryview] = [_number(batch.num_columns), _number(batch.num_rows)]
    for field, column in zip(batch.schema, batch.columns, strict=True):
        parts += [_text(field.name), _text(_type_of(field.type)), *_column(column)]
    return b"".join(parts)


def _column(column: pa.Array) -> list[bytes | memoryview]:
    if column.type == _TEXTS:
        return _low_cardinality(column)
    if column.type == pa.string():
        return [_strings(column)]
    if pa.types.is_fixed_size_list(column.type):
        ends = np.arange(1, len(column) + 1, dtype=np.uint64) * np.uint64(column.type.list_size)
        return [ends.tobytes(), _values(column.flatten())]
    return [_values(column)]


def _strings(column: pa.StringArray) -> bytes:
    """Return texts, each behind its length."""
    ends = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    lengths = np.diff(ends)
    if not len(column) or lengths.max() >= _LENGTH_IS_ONE_BYTE:
        return b"".join(_text(value) for value in column.to_pylist())
    octets: NDArray[np.uint8] = np.zeros(0, np.uint8)
    if ends[-1] > ends[0]:
        octets = np.frombuffer(column.buffers()[2], np.uint8)[ends[0] : ends[-1]]
    if (lengths == lengths[0]).all():
        rows = np.empty((len(column), 1 + int(lengths[0])), np.uint8)
        rows[:, 0], rows[:, 1:] = lengths, octets.reshape(len(column), -1)
        return rows.tobytes()
    written = np.empty(len(octets) + len(column), np.uint8)
    is_length = np.zeros(len(written), np.bool_)
    is_length[ends[:-1] - ends[0] + np.arange(len(column))] = True
    written[is_length], written[~is_length] = lengths, octets
    return written.tobytes()


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
