"""A model in one file: everything that is needed to use it, and to know what it is."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.classifier.calibration import Calibration
from agents.classifier.graphs import reasons_graph, serving_graph
from agents.classifier.network import Architecture, DuelingNetwork
from agents.classifier.scaler import Scaler
from infra import model_bundle
from infra.settings import SHIPPED_MODEL
from schemas.classes import CLASS_NAMES
from schemas.errors import ModelError
from schemas.features import feature_schema_hash
from schemas.flows import FEATURE_NAMES, N_FEATURES

FORMAT = 1
"""Raised when a bundle's keys change their meaning."""

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
    about: About

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all numbers that decide a verdict, 12 digits of it."""
        return model_bundle.fingerprint_of(self.calibration.temperature, [*self._numbers().values()])

    def save(self, path: Path) -> None:
        """Write it to a file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(self.to_bytes())
        fresh.replace(path)

    def to_bytes(self) -> bytes:
        """Return the file: what PyTorch reads, and what the service reads without it (``infra.model_bundle``)."""
        buffer = io.BytesIO()
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
                "width": self.network.width,
                "about": asdict(self.about),
            },
            buffer,
        )
        with zipfile.ZipFile(buffer, "a") as archive:
            root = archive.namelist()[0].partition("/")[0]
            self._check_records(archive, root)
            for name, content in self._serving_records().items():
                # Without the time of day: the same model is the same file.
                archive.writestr(zipfile.ZipInfo(f"{root}/{name}"), content)
        return buffer.getvalue()

    def _numbers(self) -> dict[str, bytes]:
        """Return all that was learned, in the order in which PyTorch writes it."""
        tensors = {name: tensor.cpu().numpy() for name, tensor in self.network.state_dict().items()}
        return {
            name: np.ascontiguousarray(values, "<f4").tobytes()
            for name, values in (tensors | {"mean": self.scaler.mean, "scale": self.scaler.scale}).items()
        }

    def _check_records(self, archive: zipfile.ZipFile, root: str) -> None:
        """Make sure that PyTorch's records are what the service takes them for."""
        for place, (name, numbers) in enumerate(self._numbers().items()):
            if archive.read(f"{root}/data/{place}") != numbers:
                raise ModelError(f"This version of PyTorch does not write {name} where the service looks for it.")

    def _serving_records(self) -> dict[str, bytes]:
        shapes = {name: list(tensor.shape) for name, tensor in self.network.state_dict().items()}
        facts = {
            "format": model_bundle.FORMAT,
            "fingerprint": self.fingerprint,
            "features": list(FEATURE_NAMES),
            "feature_schema": feature_schema_hash(),
            "classes": list(CLASS_NAMES),
            "temperature": self.calibration.temperature,
            "numbers": [*shapes.items(), ("mean", [N_FEATURES]), ("scale", [N_FEATURES])],
            "epochs": self.about.n_epochs,
            **asdict(self.about),
        }
        return {
            model_bundle.FACTS: json.dumps(facts, ensure_ascii=False).encode(),
            model_bundle.SERVING: serving_graph(self.network),
            model_bundle.REASONS: reasons_graph(self.network),
        }

    @classmethod
    def load(cls, path: Path = SHIPPED_MODEL) -> Bundle:
        """Read a bundle; nothing in the file is executed.

        Raises
        ------
        ModelError
            When it is not there or no bundle, when its features are not those of this version, or when its classes are
            not those of the contract, in whatever order.
        """
        content = _content(path)
        model_bundle.check_features(content["features"], content["feature_schema"], str(path))
        # Those of before 1.2.0 have none.
        n_cuts = len(content["weights"].get("cuts.bias", ()))
        architecture = Architecture(width=int(content["width"]), n_cuts=n_cuts)
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


def _in_contract_order(path: Path, content: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return the weights with the advantages, one a class, in the contract's order."""
    classes, weights = list(content["classes"]), dict(content["weights"])
    if sorted(classes) != sorted(CLASS_NAMES):
        raise ModelError(f"The classes of the model {path} are not the {len(CLASS_NAMES)} of the contract.")
    order = [classes.index(name) for name in CLASS_NAMES]
    for name in (f"{trunk}advantage.{part}" for trunk in ("", "second.") for part in ("weight", "bias")):
        if name in weights:
            weights[name] = weights[name][order]
    return weights
