from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import BatchKind
from schemas.errors import WireError
from schemas.packets import PACKET_SCHEMA, PACKET_SCHEMA_VERSION
from streams.packets import Packets
from streams.split import split
from streams.wire import (
    BatchHeader,
    KafkaHeaders,
    PartialHeader,
    decode_packets,
    decode_table,
    encode_packets,
    encode_table,
    packets_of,
)

from .traffic import captures

numbers = st.integers(0, 2**62)
headers = st.builds(
    BatchHeader,
    capture_id=st.text(max_size=20),
    sensor=st.text(max_size=20),
    kind=st.sampled_from(BatchKind),
    seq=numbers,
    partitions=numbers,
    window_ns=numbers,
    origin_ns=st.integers(-(2**62), 2**62),
    clock_ns=st.integers(-(2**62), 2**62),
    is_live=st.booleans(),
    sampling_rate=st.floats(0, 1, exclude_min=True),
)


def received(sent: KafkaHeaders) -> dict[str, bytes]:
    return {name: value for name, value in sent if isinstance(value, bytes)}


@given(headers)
def test_a_header_comes_back_as_it_was_sent(header: BatchHeader) -> None:
    assert BatchHeader.from_kafka(received(header.to_kafka())) == header


@given(headers, numbers, numbers, numbers)
def test_a_partial_header_comes_back_as_it_was_sent(
    header: BatchHeader, partition: int, closed_through: int, records: int
) -> None:
    sent = PartialHeader(header, partition, closed_through, records)
    assert PartialHeader.from_kafka(received(sent.to_kafka())) == sent


@given(headers, st.sampled_from(["seq", "kind", "capture_id", "window_ns", "is_live", "sampling_rate"]))
def test_a_header_with_something_missing_is_refused(header: BatchHeader, name: str) -> None:
    sent = received(header.to_kafka())
    del sent[name]
    with pytest.raises(WireError, match="header"):
        BatchHeader.from_kafka(sent)


@given(headers)
def test_a_newer_schema_is_refused(header: BatchHeader) -> None:
    sent = received(header.to_kafka()) | {"schema_version": str(PACKET_SCHEMA_VERSION + 1).encode()}
    with pytest.raises(WireError, match="schema"):
        BatchHeader.from_kafka(sent)


@settings(max_examples=20)
@given(captures())
def test_packets_come_back_as_they_were_sent(capture: Packets) -> None:
    (batch,) = split(capture, 1)
    assert batch is not None
    back = packets_of(decode_packets(encode_packets(batch)))
    for name in Packets._fields:
        np.testing.assert_array_equal(getattr(back, name), getattr(capture, name))


@pytest.mark.parametrize("body", [b"", b"\x00" * 40, b"not Arrow at all"])
def test_a_body_that_is_no_stream_is_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        decode_table(body, PACKET_SCHEMA)


def test_a_body_with_other_columns_is_refused() -> None:
    with pytest.raises(WireError, match="columns"):
        decode_packets(encode_table(pa.table({"a": [1]})))
