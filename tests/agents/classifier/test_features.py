from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.classifier.features import (
    OTHER_NAMES,
    RATES,
    feature_positions,
    repaired,
    unwrapped,
)
from schemas.errors import FeaturesError
from schemas.flows import FEATURE_NAMES

PUBLISHED = [" " + name.removesuffix(".1") for name in FEATURE_NAMES]
CORRECTED = [
    {name: other for other, name in OTHER_NAMES.items()}.get(name, name)
    for name in FEATURE_NAMES
    if name != "Fwd Header Length.1"
]


def column(name: str) -> int:
    return FEATURE_NAMES.index(name)


@given(st.permutations(range(len(CORRECTED))))
def test_features_are_found_wherever_they_stand(order: list[int]) -> None:
    header = [CORRECTED[place] for place in order]
    found = feature_positions(header)
    for name, position in zip(FEATURE_NAMES, found, strict=True):
        written = header[position]
        assert OTHER_NAMES.get(written, written) == name.removesuffix(".1")


def test_a_second_header_length_is_its_own_column() -> None:
    found = feature_positions(["Flow ID", *PUBLISHED, " Label"])
    assert found == list(range(1, 79))


def test_missing_features_are_named() -> None:
    with pytest.raises(FeaturesError, match=r"Flow Duration, Idle Min\.$"):
        feature_positions([name for name in PUBLISHED if name.strip() not in ("Flow Duration", "Idle Min")])


def test_a_rate_over_no_time_is_zero_and_any_other_infinity_makes_a_row_unusable() -> None:
    rows = np.ones((4, 78))
    rows[0, [column(name) for name in RATES]] = np.inf, np.nan
    rows[1, column("Idle Std")] = np.nan
    rows[2, column("Flow IAT Max")] = 1e39
    features, is_usable = repaired(rows)
    assert is_usable.tolist() == [True, False, False, True]
    assert features[0, [column(name) for name in RATES]].tolist() == [0, 0]
    assert np.isfinite(features).all()


@given(st.integers(1, 20_000), st.sampled_from([8, 20, 32]), st.floats(1, 1.9))
def test_a_header_length_that_overflowed_sixteen_bits_is_restored(packets: int, least: int, more: float) -> None:
    # Headers are rarely larger than the least one by much; within one lap the right length is the only one.
    true = min(int(packets * least * more), packets * least + 65_535)
    rows = np.zeros((1, 78), np.float32)
    rows[0, column("Total Fwd Packets")] = packets
    rows[0, column("min_seg_size_forward")] = least
    names = [column("Fwd Header Length"), column("Fwd Header Length.1")]
    rows[0, names] = (true + 32_768) % 65_536 - 32_768
    assert unwrapped(rows)[0, names].tolist() == [true, true]
    rows[0, names] = true
    assert unwrapped(rows) is rows


def test_headers_backward_may_be_smaller_than_those_forward() -> None:
    rows = np.zeros((2, 78), np.float32)
    rows[:, [column("Total Fwd Packets"), column("Total Backward Packets")]] = 1, 1
    rows[:, [column("min_seg_size_forward"), column("Fwd Header Length"), column("Fwd Header Length.1")]] = 32
    rows[:, column("Bwd Header Length")] = 20
    assert unwrapped(rows) is rows
