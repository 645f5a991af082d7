"""Labelled flows, of whichever source, and their split by time."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agents.classifier.captures import LabelRow, is_capture, labels_beside
from agents.classifier.features import repaired, unwrapped
from agents.classifier.labels import ATTEMPTED, class_number
from agents.classifier.tables import read_table
from schemas.classes import CLASS_NAMES, N_CLASSES
from schemas.errors import FlowFileError
from schemas.flows import FEATURE_NAMES

_PAYLOAD = FEATURE_NAMES.index("Total Length of Fwd Packets")
_ANSWER = FEATURE_NAMES.index("Total Length of Bwd Packets")
_DURATION = FEATURE_NAMES.index("Flow Duration")
_SLOW = [CLASS_NAMES.index(name) for name in ("DoS slowloris", "DoS Slowhttptest")]

PROBE_US, PROBE_BYTES = 3_000_000, 600
"""A slow attacker's request that is answered in less time and is no longer asks whether the server is still there."""

_WITHOUT_PAYLOAD = [CLASS_NAMES.index(name) for name in ("BENIGN", "PortScan", "DDoS")]

PUBLISHED, OWN = 0, 1
"""Sources of flows: files published with CICIDS2017, and our own flow meter."""


@dataclass(frozen=True)
class LabelledFlows:
    """Flows whose class is known.

    Parameters
    ----------
    features : array (n_flows, 78) of float32
    labels : array (n_flows,) of int64
        Numbers of their classes.
    times_us : array (n_flows,) of int64
        Beginning, µs since the epoch; the number of the row where the file has no times.
    skipped : dict of str to int
        Rows that were left out, by reason.
    digest : str
        SHA-256 of the files, 64 digits.
    sources : array (n_flows,) of int64
        ``PUBLISHED`` or ``OWN``.
    tools, captures : array (n_flows,) of str
        The program, where the file names it, and the capture or the file.
    """

    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    times_us: npt.NDArray[np.int64]
    skipped: dict[str, int]
    digest: str
    sources: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    tools: npt.NDArray[np.str_] = field(default_factory=lambda: np.empty(0, np.str_))
    captures: npt.NDArray[np.str_] = field(default_factory=lambda: np.empty(0, np.str_))

    def __post_init__(self) -> None:
        if not len(self.sources):
            object.__setattr__(self, "sources", np.full(len(self.labels), PUBLISHED, np.int64))
        for name in ("tools", "captures"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.zeros(len(self.labels), np.str_))

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self) -> npt.NDArray[np.int64]:
        """Return the number of flows of each class (15,)."""
        return np.bincount(self.labels, minlength=N_CLASSES)

    def of(self, rows: npt.NDArray[np.bool_]) -> LabelledFlows:
        """Return the rows of a mask (n_flows,)."""
        return LabelledFlows(
            self.features[rows],
            self.labels[rows],
            self.times_us[rows],
            {},
            self.digest,
            self.sources[rows],
            self.tools[rows],
            self.captures[rows],
        )


def load_flows(
    paths: Iterable[Path], *, with_interim: bool = False, whole: Mapping[str, LabelRow] | None = None
) -> LabelledFlows:
    """Read labelled flows, of files of any form, mixed or not.

    Parameters
    ----------
    paths : iterable of Path
        Parquet, or CSV (plain or gzip) in UTF-8 or Windows-1252, as the published files are; Parquet with records of
        our own flow meter and their labels; captures with their label files beside them.
    with_interim : bool
        Whether records of flows that go on are flows of their own: a model is asked about them, too.
    whole : mapping of str to LabelRow, optional
        What all flows of a capture are, by the end of its path, for captures without a label file.

    Raises
    ------
    FlowFileError
        When a file cannot be read, has no labels, or has one that is no class of the contract.
    FeaturesError
        When a file lacks features.
    """
    parts = [_load(path, with_interim, whole or {}) for path in paths]
    if not parts or not sum(map(len, parts)):
        raise FlowFileError("There are no labelled flows.")
    return together(parts)


def together(parts: Sequence[LabelledFlows]) -> LabelledFlows:
    """Return flows of several sources as one."""
    digests = [part.digest for part in parts]
    return LabelledFlows(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.times_us for part in parts]),
        dict(sum((Counter(part.skipped) for part in parts), Counter[str]())),
        digests[0] if len(parts) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest(),
        np.concatenate([part.sources for part in parts]),
        np.concatenate([part.tools for part in parts]),
        np.concatenate([part.captures for part in parts]),
    )


def earlier(flows: LabelledFlows, fraction: float) -> npt.NDArray[np.bool_]:
    """Mark the first fraction in time of each class of each source, and at least one flow of it.

    A split by chance would put flows of one attack run, alike to the digit, on both sides.

    Returns
    -------
    array (n_flows,) of bool
    """
    is_earlier = np.zeros(len(flows), np.bool_)
    order = np.argsort(flows.times_us, kind="stable")
    stratum = flows.sources * N_CLASSES + flows.labels
    for number in np.unique(stratum):
        rows = order[stratum[order] == number]
        is_earlier[rows[: max(1, int(fraction * len(rows) + 1e-9))]] = True
    return is_earlier


def _load(path: Path, with_interim: bool, whole: Mapping[str, LabelRow]) -> LabelledFlows:
    named = [row for ending, row in whole.items() if path.as_posix().endswith(ending)]
    table = read_table(path, named or None)
    features, is_usable = repaired(table.features)
    numbers = {name: class_number(name) for name in set(table.labels)}
    labels = np.array([numbers[name] for name in table.labels], np.int64)
    is_attempted = (labels == ATTEMPTED) | (table.is_own & is_no_attack(features, labels))
    skipped = {"not a finite number": int((~is_usable).sum()), "attempted": int((is_usable & is_attempted).sum())}
    kept = is_usable & ~is_attempted & (table.is_final | with_interim)
    tools, captures = np.array(table.tools, np.str_), np.array(table.captures, np.str_)
    sources = np.full(int(kept.sum()), OWN if table.is_own else PUBLISHED, np.int64)
    return LabelledFlows(
        unwrapped(features[kept]),
        labels[kept],
        table.times_us[kept],
        skipped,
        _digest(path),
        sources,
        tools[kept],
        captures[kept],
    )


def is_no_attack(features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Mark flows (n_flows,) of attackers that are no attacks in themselves: what is judged or learnt leaves them out.

    Parameters
    ----------
    features : array (n_flows, 78) of float32
        Of our own flow meter.
    labels : array (n_flows,) of int64
    """
    return _says_nothing(features, labels) | _is_probe(features, labels)


def _says_nothing(features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Mark flows of attacks that consist of what is said, in which the attacker has said nothing.

    The corrected CICIDS2017 calls them attempted (Liu, Engelen et al., CNS 2022): a guesser that only knocks, a flood's
    connection that was never used. Scans and floods of packets need no payload.
    """
    is_mute: npt.NDArray[np.bool_] = features[:, _PAYLOAD] == 0
    return is_mute & ~np.isin(labels, _WITHOUT_PAYLOAD)


def _is_probe(features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Mark requests of slow attackers that are as short and as soon answered as anybody's.

    slowhttptest asks once a second whether the server still answers. A label file cannot tell these requests from the
    attack, and nothing in them is an attack.
    """
    is_short = (features[:, _DURATION] < PROBE_US) & (features[:, _PAYLOAD] <= PROBE_BYTES)
    is_probe: npt.NDArray[np.bool_] = np.isin(labels, _SLOW) & is_short & (features[:, _ANSWER] > 0)
    return is_probe


def _digest(path: Path) -> str:
    digest = hashlib.sha256(path.read_bytes())
    if is_capture(path) and labels_beside(path).exists():
        digest.update(labels_beside(path).read_bytes())
    return digest.hexdigest()
