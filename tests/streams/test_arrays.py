"""Arrays that grow."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.arrays import enlarged


@given(rows=st.integers(0, 50), used=st.integers(0, 60), more=st.integers(0, 50), width=st.sampled_from([(), (3,)]))
def test_what_is_in_use_is_kept_and_the_rest_is_zero(rows: int, used: int, more: int, width: tuple[int, ...]) -> None:
    array = np.arange(1, rows * int(np.prod(width)) + 1, dtype=np.int64).reshape(rows, *width)
    copy = enlarged(array, used, rows + more)
    kept = min(rows, used)
    assert copy.shape == (rows + more, *width)
    assert (copy[:kept] == array[:kept]).all()
    assert not copy[kept:].any()
