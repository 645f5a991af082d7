"""From the columns of a file to the 78 features of the contract."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from schemas.errors import FeaturesError
from schemas.flows import FEATURE_NAMES

_HEADER_COPY = "Fwd Header Length.1"

HEADER_LENGTHS = [FEATURE_NAMES.index(name) for name in ("Fwd Header Length", _HEADER_COPY, "Bwd Header Length")]
PACKETS = [FEATURE_NAMES.index(name) for name in ("Total Fwd Packets", "Total Fwd Packets", "Total Backward Packets")]
LEAST_HEADER = FEATURE_NAMES.index("min_seg_size_forward")

MOST_LAPS = float(1 << 24)
"""Overflows of a header length at most: 10¹² bytes of headers, more than any flow has, and still exact in float32."""

RATES = ("Flow Bytes/s", "Flow Packets/s")
"""Features that CICFlowMeter divides by a duration of 0: it writes ``Infinity`` or ``NaN`` there, and only there."""

OTHER_NAMES = {
    "Dst Port": "Destination Port",
    "Total Fwd Packet": "Total Fwd Packets",
    "Total Bwd packets": "Total Backward Packets",
    "Total Length of Fwd Packet": "Total Length of Fwd Packets",
    "Total Length of Bwd Packet": "Total Length of Bwd Packets",
    "Packet Length Min": "Min Packet Length",
    "Packet Length Max": "Max Packet Length",
    "CWR Flag Count": "CWE Flag Count",
    "Fwd Segment Size Avg": "Avg Fwd Segment Size",
    "Bwd Segment Size Avg": "Avg Bwd Segment Size",
    "Fwd Bytes/Bulk Avg": "Fwd Avg Bytes/Bulk",
    "Fwd Packet/Bulk Avg": "Fwd Avg Packets/Bulk",
    "Fwd Bulk Rate Avg": "Fwd Avg Bulk Rate",
    "Bwd Bytes/Bulk Avg": "Bwd Avg Bytes/Bulk",
    "Bwd Packet/Bulk Avg": "Bwd Avg Packets/Bulk",
    "Bwd Bulk Rate Avg": "Bwd Avg Bulk Rate",
    "FWD Init Win Bytes": "Init_Win_bytes_forward",
    "Bwd Init Win Bytes": "Init_Win_bytes_backward",
    "Fwd Act Data Pkts": "act_data_pkt_fwd",
    "Fwd Seg Size Min": "min_seg_size_forward",
    "Fwd Header Length_duplicated_0": _HEADER_COPY,
}
"""Columns of the corrected CICIDS2017 (Liu, Engelen et al., CNS 2022), and what reading programs make of a second
``Fwd Header Length``, to the names of the published files (Sharafaldin et al., ICISSP 2018)."""

_NAMES = {name.casefold(): name for name in FEATURE_NAMES} | {
    other.casefold(): name for other, name in OTHER_NAMES.items()
}


def feature_positions(header: Sequence[str]) -> list[int]:
    """Find the features among the columns of a file, in either published form.

    Parameters
    ----------
    header : sequence of str
        Names of all columns; case and spaces around them do not matter, other columns are left alone.

    Returns
    -------
    list of int
        Position of each of the 78 features, in the order of ``FEATURE_NAMES``. The corrected files have
        ``Fwd Header Length`` once: it stands for both.

    Raises
    ------
    FeaturesError
        When features are missing; it names them.
    """
    found: dict[str, int] = {}
    for position, column in enumerate(header):
        name = _NAMES.get(column.strip().casefold())
        if name == "Fwd Header Length" and name in found:
            name = _HEADER_COPY
        if name is not None:
            found.setdefault(name, position)
    if "Fwd Header Length" in found:
        found.setdefault(_HEADER_COPY, found["Fwd Header Length"])
    missing = [name for name in FEATURE_NAMES if name not in found]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise FeaturesError(f"Columns are missing: {', '.join(missing[:5])}{more}.")
    return [found[name] for name in FEATURE_NAMES]


def repaired(features: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Make rows of a file what our own extractor would have written.

    A rate over a duration of 0 is 0, as ours is. Any other value that is not finite, or that float32 cannot hold, makes
    the row unusable: it is not guessed.

    Parameters
    ----------
    features : array (n_flows, 78) of float64
        In the order of ``FEATURE_NAMES``.

    Returns
    -------
    features : array (n_flows, 78) of float32
    is_usable : array (n_flows,) of bool
    """
    features = features.copy()
    for name in RATES:
        rate = features[:, FEATURE_NAMES.index(name)]
        rate[~np.isfinite(rate)] = 0
    is_usable: npt.NDArray[np.bool_] = np.all(np.abs(features) <= np.finfo(np.float32).max, axis=1)
    features[~is_usable] = 0
    return features.astype(np.float32), is_usable


def unwrapped(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Undo the overflow of header lengths in CICFlowMeter's files, which count them in 16 bits.

    Headers forward are at least as long as the smallest of them, headers backward as the protocol's (TCP 20 bytes,
    UDP 8); the right length is the first one that reaches as much for all packets. What our own extractor writes
    always does, and stays as it is.

    Parameters
    ----------
    features : array (n_flows, 78) of float32

    Returns
    -------
    array (n_flows, 78) of float32
        The input itself when nothing has overflowed.
    """
    forward = features[:, LEAST_HEADER]
    backward = np.select([forward >= 20, forward >= 8], [np.float32(20), np.float32(8)], np.float32(0))
    with np.errstate(over="ignore"):  # of numbers that no flow has
        least = np.stack([forward, forward, backward], axis=1) * features[:, PACKETS]
        laps = np.ceil((least - features[:, HEADER_LENGTHS]) / 65536)
    if (laps > 0).any():
        features = features.copy()
        features[:, HEADER_LENGTHS] += np.clip(laps, 0, MOST_LAPS) * 65536
    return features
