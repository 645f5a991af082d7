"""What speaks for a verdict: the features that a model's contributions put first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from schemas.classifications import TOP_REASONS
from schemas.flows import FEATURE_NAMES


def top_reasons(
    features: npt.NDArray[np.float32], contributions: npt.NDArray[np.float32]
) -> tuple[list[str], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the features that speak most for each verdict, strongest first.

    Parameters
    ----------
    features : array (n_flows, 78) of float32
        As the model was given them.
    contributions : array (n_flows, 78) of float32
        What each adds to the verdict; see ``infra.model_runtime.Model.contributions``.

    Returns
    -------
    names : list of str
        ``TOP_REASONS`` for each flow, one flow after the other; so are the others.
    values : array (n_flows * 3,) of float32
    contributions : array (n_flows * 3,) of float32
    """
    best = np.argsort(-contributions, axis=1, kind="stable")[:, :TOP_REASONS]
    names = [FEATURE_NAMES[place] for place in best.ravel()]
    values, parts = (np.take_along_axis(of, best, axis=1).ravel() for of in (features, contributions))
    return names, values, parts
