"""What a model bundle holds for the service, read without PyTorch.

A bundle is a ``.pt`` file: a ZIP archive that ``torch.load(weights_only=True)`` reads. Beside PyTorch's records it has
three of ours, which PyTorch passes over: facts as JSON, and two ONNX graphs without numbers. The numbers that decide a
verdict stand in the file once, in PyTorch's records, and are the ones the fingerprint is of.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.classes import CLASS_NAMES
from schemas.errors import ModelError
from schemas.features import feature_schema_hash
from schemas.flows import FEATURE_NAMES

FORMAT = 1
"""Raised when the facts or the graphs change their meaning."""

FACTS, SERVING, REASONS = "extra/facts.json", "extra/serving.onnx", "extra/reasons.onnx"
"""Our records: under the archive's one folder, where PyTorch keeps extra files."""

TEMPERATURE = "temperature"
"""Name of the one number of the serving graph that is no record of PyTorch's."""

MAX_BYTES = 64 << 20
"""A bundle is a few MB; what claims to be larger, packed or unpacked, is none."""


@dataclass(frozen=True)
class ModelFacts:
    """What a model is and where it comes from.

    Parameters
    ----------
    version : str
        What people call it, as in ``1.0.0``.
    fingerprint : str
        SHA-256 of all numbers that decide a verdict, 12 digits of it: the model's id.
    trained_at : str
        ISO 8601, UTC.
    data_sha256 : str
        Of the files of flows it was trained on.
    n_features : int
    classes : tuple of str
        In the order of its probabilities.
    epochs : int
    metrics : dict of str to float
        From flows that were set aside.
    flows_by_class : dict of str to int
        Flows it was trained on.
    size_bytes : int
        Of the bundle.
    plan : dict of str to str
        Every number of the training plan.
    """

    version: str
    fingerprint: str
    trained_at: str = ""
    data_sha256: str = ""
    n_features: int = len(FEATURE_NAMES)
    classes: tuple[str, ...] = CLASS_NAMES
    epochs: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    flows_by_class: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    plan: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BundleContent:
    """A bundle as the service uses it.

    Parameters
    ----------
    facts : ModelFacts
    numbers : dict of str to array of float32
        What was learned, by the name it has in the graphs.
    serving, reasons : bytes
        The ONNX graphs.
    """

    facts: ModelFacts
    numbers: dict[str, npt.NDArray[np.float32]]
    serving: bytes
    reasons: bytes


def fingerprint_of(temperature: float, records: Sequence[bytes]) -> str:
    """Return SHA-256 of a temperature and of the bytes of weights, means and scales, 12 digits of it."""
    digest = hashlib.sha256(np.float64(temperature).tobytes())
    for record in records:
        digest.update(record)
    return digest.hexdigest()[:12]


def read_bundle(content: bytes, origin: str) -> BundleContent:
    """Read a bundle; nothing in it is executed.

    Parameters
    ----------
    content : bytes
    origin : str
        Where it is from, for the texts of errors.

    Raises
    ------
    ModelError
        When it is no bundle, is damaged, has no graphs, or its features or classes are not those of this version.
    """
    if len(content) > MAX_BYTES:
        raise ModelError(f"{origin} is no model bundle: it is larger than {MAX_BYTES >> 20} MiB.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _content(archive, len(content), origin)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ModelError(f"{origin} is no model bundle, or damaged.") from error
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ModelError(f"{origin} is no model bundle of format {FORMAT}: what it says of itself is wrong.") from error


def _content(archive: zipfile.ZipFile, size_bytes: int, origin: str) -> BundleContent:
    names = archive.namelist()
    root = names[0].partition("/")[0] if names else ""
    if f"{root}/data.pkl" not in names:
        raise ModelError(f"{origin} is no model bundle.")
    if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
        raise ModelError(f"{origin} is no model bundle: unpacked it is larger than {MAX_BYTES >> 20} MiB.")
    missing = [name for name in (FACTS, SERVING, REASONS) if f"{root}/{name}" not in names]
    if missing:
        raise ModelError(
            f"{origin} has no {missing[0].partition('/')[2]}: it was saved by an earlier version. "
            "Load and save it once with this one."
        )
    if archive.testzip() is not None:
        raise ModelError(f"{origin} is damaged: a part of it is not what was written.")
    said = json.loads(archive.read(f"{root}/{FACTS}"))
    if said["format"] != FORMAT:
        raise ModelError(f"{origin} is no model bundle of format {FORMAT}.")
    records = [archive.read(f"{root}/data/{place}") for place in range(len(said["numbers"]))]
    facts = _facts(said, records, size_bytes, origin)
    numbers = {
        name: np.frombuffer(record, "<f4").reshape(shape)
        for (name, shape), record in zip(said["numbers"], records, strict=True)
    }
    numbers[TEMPERATURE] = np.array([said["temperature"]], np.float32)
    return BundleContent(facts, numbers, archive.read(f"{root}/{SERVING}"), archive.read(f"{root}/{REASONS}"))


def check_features(features: Sequence[str], schema: str, origin: str) -> None:
    """Make sure that a model is for the features of this version.

    Parameters
    ----------
    features : sequence of str
        Their names, as the model has them.
    schema : str
        Hash over names and units; see ``feature_schema_hash``.
    origin : str

    Raises
    ------
    ModelError
        It names the first feature that differs.
    """
    theirs, ours = list(features), list(FEATURE_NAMES)
    if len(theirs) != len(ours):
        raise ModelError(f"The model {origin} expects {len(theirs)} features; this version makes {len(ours)}.")
    for place, (one, other) in enumerate(zip(theirs, ours, strict=True), 1):
        if one != other:
            raise ModelError(f"The model {origin} expects {one!r} as feature {place}; this version makes {other!r}.")
    if schema != feature_schema_hash():
        raise ModelError(f"The model {origin} expects the same features in other units than this version's.")


def _facts(said: dict[str, Any], records: Sequence[bytes], size_bytes: int, origin: str) -> ModelFacts:
    """Return the facts of a model that fits; raises ``ModelError`` when it is not the one it says it is."""
    check_features(said["features"], said["feature_schema"], origin)
    if tuple(said["classes"]) != CLASS_NAMES:
        raise ModelError(f"The classes of the model {origin} are not the {len(CLASS_NAMES)} of the contract.")
    temperature = float(said["temperature"])
    if not 0 < temperature < math.inf or fingerprint_of(temperature, records) != said["fingerprint"]:
        raise ModelError(f"{origin} is damaged: its numbers are not those of the model {said['fingerprint']!r}.")
    return ModelFacts(
        version=str(said["version"]),
        fingerprint=str(said["fingerprint"]),
        trained_at=str(said["trained_at"]),
        data_sha256=str(said["data_sha256"]),
        epochs=int(said["epochs"]),
        metrics={str(name): float(value) for name, value in said["metrics"].items()},
        flows_by_class={str(name): int(value) for name, value in said["flows_by_class"].items()},
        size_bytes=size_bytes,
        plan={str(name): str(value) for name, value in said["plan"].items()},
    )
