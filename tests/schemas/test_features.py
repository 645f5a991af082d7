from __future__ import annotations

import pytest

from schemas.errors import FeaturesError
from schemas.features import checked, feature_schema_hash
from schemas.flows import FEATURES


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ([[0.0] * 77], "Expected 78 features, got 77"),
        ([[0.0] * 79], "Expected 78 features, got 79"),
        ([0.0] * 78, "Expected 78 features"),
        ([["a"] * 78], "must be numeric"),
        ([[True] * 78], "must be numeric"),
        ([[0.0] * 77 + [float("nan")]], "Idle Min"),
        ([[float("inf")] + [0.0] * 77], "Destination Port"),
        ([[0.0] * 78, [0.0] * 77], "78"),
    ],
)
def test_what_is_no_features_is_refused_in_words(features: object, words: str) -> None:
    if words == "Expected 78 features":
        features = [features[0]]  # type: ignore[index]
    with pytest.raises(FeaturesError, match=words):
        checked(features)  # type: ignore[arg-type]


def test_the_schema_hash_stands_for_names_units_and_order() -> None:
    assert len(feature_schema_hash()) == 16
    assert feature_schema_hash() == feature_schema_hash()
    assert len(FEATURES) == 78
