"""From the JSON of a prediction's request to rows of features, refused in the contract's words.

Of 3,900 numbers in a request of 50 rows none passes through a model of pydantic's: what they must be is checked for
whole rows at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json

from api.errors import Refusal
from schemas.flows import FEATURE_NAMES, N_FEATURES

MAX_ROWS = 100
"""Rows of one request; the contract's number."""

_NUMBERS = {int, float}
"""What JSON's numbers become; a bool is none of them."""


@dataclass(frozen=True)
class Batch:
    """The rows of a request.

    Parameters
    ----------
    rows : array (n_rows, 78) of float32
    ids : list of str or int or None
        What the client calls each of them.
    """

    rows: npt.NDArray[np.float32]
    ids: list[str | int | None]


def read_one(body: bytes) -> npt.NDArray[np.float32]:
    """Return the row (1, 78) of ``{"features": […], "metadata": {…}}``.

    Raises
    ------
    Refusal
        422: it is not that.
    """
    return _rows([_features(_parsed(body), "")])


def read_list(body: bytes) -> Batch:
    """Return the rows of ``[{"features": […]}, …]``.

    Raises
    ------
    Refusal
        422: it is not that. 413: there are more than a hundred.
    """
    return _batch(_parsed(body), "The body")


def read_batch(body: bytes) -> Batch:
    """Return the rows of ``{"batch": [{"features": […], "id": "…"}, …]}``.

    Raises
    ------
    Refusal
        As of ``read_list``.
    """
    said = _parsed(body)
    if not isinstance(said, dict) or "batch" not in said:
        raise _invalid("Validation Error", 'Expected an object with "batch", a list.')
    return _batch(said["batch"], '"batch"')


def _parsed(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError as error:
        raise _invalid("Validation Error", f"The body is no JSON: {error}") from None


def _batch(items: object, name: str) -> Batch:
    if not isinstance(items, list):
        raise _invalid("Validation Error", f"{name} must be a list.")
    if len(items) > MAX_ROWS:
        raise Refusal(
            413,
            "Content Too Large",
            f"Batch size too large. Maximum {MAX_ROWS} requests allowed.",
            details=f"{len(items)} rows",
        )
    features = [_features(item, f"Item {place}: ") for place, item in enumerate(items)]
    return Batch(_rows(features), [_id(item, place) for place, item in enumerate(items)])


def _id(item: dict[str, Any], place: int) -> str | int | None:
    name = item.get("id")
    if name is None or type(name) in (str, int):
        return name
    raise _invalid("Validation Error", f"Item {place}: id must be a text.")


def _features(item: object, where: str) -> list[float]:
    """Return the features of a request, 78 numbers; ``where`` begins what is said when they are not."""
    if not isinstance(item, dict) or "features" not in item:
        raise _invalid(
            "Validation Error", f'{where}Expected an object with "features", a list of {N_FEATURES} numbers.'
        )
    if not isinstance(item.get("metadata"), dict | None):
        raise _invalid("Validation Error", f"{where}metadata must be an object.")
    features = item["features"]
    if not isinstance(features, list):
        raise _invalid("Validation Error", f"{where}features must be a list of {N_FEATURES} numbers.")
    if len(features) != N_FEATURES:
        said = f"Expected {N_FEATURES} features, got {len(features)}"
        details = f"{where}Expected {N_FEATURES} features, received {len(features)}"
        raise _invalid("Invalid feature count", details, said)
    if not _NUMBERS.issuperset(map(type, features)):
        place = next(place for place, value in enumerate(features) if type(value) not in _NUMBERS)
        raise _not_numeric(f"{where}{FEATURE_NAMES[place]} (feature {place + 1}) is not a number.")
    return features


def _rows(features: Sequence[list[float]]) -> npt.NDArray[np.float32]:
    """Return features as an array; refuse what is not finite, as float32."""
    try:
        exact = np.array(features, np.float64).reshape(-1, N_FEATURES)
    except OverflowError:
        raise _not_numeric("A feature is a whole number too large for a feature.") from None
    with np.errstate(over="ignore"):
        rows = exact.astype(np.float32)
    if not np.isfinite(rows).all():
        item, place = np.argwhere(~np.isfinite(rows))[0].tolist()
        where = f"Item {item}: " if len(rows) > 1 else ""
        raise _not_numeric(f"{where}{FEATURE_NAMES[place]} (feature {place + 1}) is not a finite number.")
    return rows


def _not_numeric(details: str) -> Refusal:
    return _invalid("Invalid feature values", details, "All features must be numeric")


def _invalid(error: str, details: str, sentence: str = "") -> Refusal:
    """Return a refusal in the words of both halves of the contract.

    Parameters
    ----------
    error : str
        What is wrong, in three words.
    details : str
        What exactly.
    sentence : str
        What the contract says of it; the details when empty.
    """
    return Refusal(422, error, f"Invalid input data: {sentence or details}", details=details)
