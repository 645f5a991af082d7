"""What the 78 features of a flow must be before anything is said about it."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from schemas.errors import FeaturesError
from schemas.flows import FEATURE_NAMES, FEATURES, N_FEATURES


def feature_schema_hash() -> str:
    """Return what tells one set of features from another: SHA-256 over names and units, in order, 16 digits of it."""
    lines = "\n".join(f"{feature.name}\t{feature.unit}" for feature in FEATURES)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def checked(features: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return features to classify as an array, or say what is wrong with them.

    Parameters
    ----------
    features : array-like (n_flows, 78)
        Raw values (µs, bytes), in the order of ``FEATURE_NAMES``.

    Returns
    -------
    array (n_flows, 78) of float32
        The input itself when it is one already.

    Raises
    ------
    FeaturesError
        When there are not 78, or one is not a finite number. What a request may hold is not repaired: a guess would get
        a verdict.
    """
    try:
        array = np.asarray(features)
    except ValueError as error:
        raise FeaturesError(f"Every row must hold {N_FEATURES} features.") from error
    if array.ndim != 2 or array.shape[1] != N_FEATURES:
        raise FeaturesError(f"Expected {N_FEATURES} features, got {array.shape[-1] if array.ndim else 1}")
    if array.dtype.kind not in "iuf":
        raise FeaturesError("All features must be numeric")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        column = int(np.flatnonzero(~np.isfinite(array).all(axis=0))[0])
        raise FeaturesError(f"All features must be finite numbers: {FEATURE_NAMES[column]} is not")
    return array
