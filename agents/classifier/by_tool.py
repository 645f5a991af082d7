"""What became of the flows of each program: how many were named right, how many flagged at all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agents.classifier.dataset import LabelledFlows
from schemas.classes import BENIGN, CLASS_NAMES

MOST_VERDICTS = 2
"""Of the wrong verdicts, so many kinds are named."""


@dataclass(frozen=True)
class ToolScore:
    """Verdicts about the flows of one program.

    Parameters
    ----------
    label : int
        Number of the class.
    tool : str
    n_flows, n_right, n_flagged : int
        Flows, those named right, and those called an attack of any kind.
    mistaken_for : dict of str to int
        The most frequent wrong verdicts.
    """

    label: int
    tool: str
    n_flows: int
    n_right: int
    n_flagged: int
    mistaken_for: dict[str, int]


def scores_by_tool(flows: LabelledFlows, verdicts: npt.NDArray[np.int64]) -> list[ToolScore]:
    """Count verdicts (n_flows,) by class and program, in the order of the classes."""
    found = []
    for label, tool in sorted({(int(label), str(tool)) for label, tool in zip(flows.labels, flows.tools, strict=True)}):
        given = verdicts[(flows.labels == label) & (flows.tools == tool)]
        wrong = Counter(CLASS_NAMES[verdict] for verdict in given[given != label].tolist())
        right, flagged = int((given == label).sum()), int((given != BENIGN).sum())
        found.append(ToolScore(label, tool, len(given), right, flagged, dict(wrong.most_common(MOST_VERDICTS))))
    return found


def benign_by_capture(
    flows: LabelledFlows, verdicts: npt.NDArray[np.int64], confidence: npt.NDArray[np.floating], least: float
) -> list[tuple[str, int, int, int]]:
    """Return for each capture its benign flows, those flagged, and those flagged with at least so much confidence.

    Parameters
    ----------
    flows : LabelledFlows
    verdicts, confidence : array (n_flows,)
    least : float
    """
    found, is_flagged = [], verdicts != BENIGN
    for capture in np.unique(flows.captures):
        rows = (flows.captures == capture) & (flows.labels == BENIGN)
        sure = int((rows & is_flagged & (confidence >= least)).sum())
        found.append((str(capture), int(rows.sum()), int((rows & is_flagged).sum()), sure))
    return [row for row in found if row[1]]
