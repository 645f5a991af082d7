from __future__ import annotations

import numpy as np

from infra.model_reasons import top_reasons
from schemas.flows import FEATURE_NAMES, N_FEATURES


def test_the_strongest_reasons_of_each_flow_come_first() -> None:
    features = np.arange(2 * N_FEATURES, dtype=np.float32).reshape(2, N_FEATURES)
    contributions = np.zeros((2, N_FEATURES), np.float32)
    contributions[0, [5, 9, 2]] = 3, 2, 1
    contributions[1, [77, 0, 40, 41]] = -9, 0.5, 0.5, 7
    names, values, parts = top_reasons(features, contributions)
    # Of two that say as much, the first in the order of the features.
    places = [5, 9, 2, 41, 0, 40]
    assert names == [FEATURE_NAMES[place] for place in places]
    assert values.tolist() == [5, 9, 2, 78 + 41, 78, 78 + 40]
    assert parts.tolist() == [3, 2, 1, 7, 0.5, 0.5]
