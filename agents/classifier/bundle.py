"""A model in one file: everything that is needed to use it, and to know what it is."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.classifier.calibration import Calibration
from agents.classifier.features import feature_schema_hash
from agents.classifier.network import Architecture, DuelingNetwork
from agents.classifier.scaler import Scaler
from schemas.classes import CLASS_NAMES
from schemas.errors import ModelError
from schemas.flows import FEATURE_NAMES

FORMAT = 1
"""Raised when a bundle's keys change their meaning."""

SHIPPED = Path(__file__).parent / "model" / "dqn.pt"
"""The model that comes with the project."""

_KEYS = ("weights", "mean", "scale", "features", "feature_schema", "classes", "temperature", "width", "about")


@dataclass(frozen=True)
class About:
    """Where a model comes from.

    Parameters
    ----------
    version : str
    trained_at : str
        ISO 8601, UTC.
    data_sha256 : str
        Of the files of flows it was trained on.
    flows_by_class : dict of str to int
        Flows it was trained on.
    n_epochs : int
    metrics : dict of str to float
        From flows that were set aside: those that chose the number of epochs.
    plan : dict of str to str
        Every number of the training plan.
    """

    version: str
    trained_at: str = ""
    data_sha256: str = ""
    flows_by_class: dict[str, int] = field(default_factory=dict)
    n_epochs: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    plan: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A trained network with its scaler and calibration, whose outputs are in the contract's order of classes."""

    network: DuelingNetwork
    scaler: Scaler
    calibration: Calibration
    architecture: Architecture
    about: About

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all numbers that decide a verdict, 12 digits of it."""
        digest = hashlib.sha256(np.float64(self.calibration.temperature).tobytes())
        for tensor in [*self.network.state_dict().values()]:
            digest.update(tensor.numpy().tobytes())
        digest.update(self.scaler.mean.tobytes() + self.scaler.scale.tobytes())
        return digest.hexdigest()[:12]

    def save(self, path: Path) -> None:
        """Write it to a file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        torch.save(
            {
                "format": FORMAT,
                "weights": self.network.state_dict(),
                "mean": torch.from_numpy(self.scaler.mean),
                "scale": torch.from_numpy(self.scaler.scale),
                "features": list(FEATURE_NAMES),
                "feature_schema": feature_schema_hash(),
                "classes": list(CLASS_NAMES),
                "temperature": self.calibration.temperature,
                "width": self.architecture.width,
                "about": asdict(self.about),
            },
            fresh,
        )
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path = SHIPPED) -> Bundle:
        """Read a bundle; nothing in the file is executed.

        Raises
        ------
        ModelError
            When it is not there or no bundle, when its features are not those of this version, or when its classes are
            not those of the contract, in whatever order.
        """
        content = _content(path)
        _check_features(path, content)
        architecture = Architecture(width=int(content["width"]))
        network = DuelingNetwork(architecture)
        try:
            network.load_state_dict(_in_contract_order(path, content))
        except RuntimeError as error:
            raise ModelError(f"The weights in {path} do not fit the network they are said to be of.") from error
        known = {field.name for field in fields(About)}
        return cls(
            network.eval(),
            Scaler(content["mean"].numpy(), content["scale"].numpy()),
            Calibration(float(content["temperature"])),
            architecture,
            About(**{name: value for name, value in content["about"].items() if name in known}),
        )


def _content(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"There is no model {path}.") from error
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path} is no model bundle.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelError(f"{path} is no model bundle of format {FORMAT}.")
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise ModelError(f"{path} lacks {', '.join(missing)}.")
    return content


def _check_features(path: Path, content: dict[str, Any]) -> None:
    theirs, ours = list(content["features"]), list(FEATURE_NAMES)
    if theirs != ours:
        if len(theirs) != len(ours):
            raise ModelError(f"The model {path} expects {len(theirs)} features; this version makes {len(ours)}.")
        place = next(place for place, pair in enumerate(zip(theirs, ours, strict=True)) if pair[0] != pair[1])
        raise ModelError(
            f"The model {path} expects {theirs[place]!r} as feature {place + 1}; this version makes {ours[place]!r}."
        )
    if content["feature_schema"] != feature_schema_hash():
        raise ModelError(f"The model {path} expects the same features in other units than this version's.")


def _in_contract_order(path: Path, content: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return the weights with the advantages, one a class, in the contract's order."""
    classes, weights = list(content["classes"]), dict(content["weights"])
    if sorted(classes) != sorted(CLASS_NAMES):
        raise ModelError(f"The classes of the model {path} are not the {len(CLASS_NAMES)} of the contract.")
    order = [classes.index(name) for name in CLASS_NAMES]
    for name in ("advantage.weight", "advantage.bias"):
        if name in weights:
            weights[name] = weights[name][order]
    return weights
