from __future__ import annotations

import pyarrow as pa
import pytest

from infra.arrow import encode_table

ROWS = pa.table({"n": [7] * 10_000, "name": ["same"] * 10_000})


@pytest.mark.parametrize("compress", [True, False])
def test_a_table_comes_back_as_it_was_sent(compress: bool) -> None:
    with pa.ipc.open_stream(encode_table(ROWS, compress=compress)) as reader:
        assert reader.read_all() == ROWS


def test_a_compressed_body_is_smaller() -> None:
    assert len(encode_table(ROWS)) < len(encode_table(ROWS, compress=False)) / 2
