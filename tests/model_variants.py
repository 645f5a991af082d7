"""Models that differ from the shipped one in a known way."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch

from agents.classifier.bundle import Bundle
from agents.classifier.calibration import Calibration
from schemas.classes import CLASS_NAMES


@cache
def doubtful() -> bytes:
    """Return a bundle that names the same classes as the shipped model and is less sure of them."""
    shipped = Bundle.load()
    calibration = Calibration(shipped.calibration.temperature * 2)
    return replace(shipped, calibration=calibration, about=replace(shipped.about, version="doubtful")).to_bytes()


@cache
def stubborn(class_name: str) -> bytes:
    """Return a bundle that names every flow the same."""
    shipped = Bundle.load()
    with torch.no_grad():
        shipped.network.state_dict()["advantage.bias"][CLASS_NAMES.index(class_name)] += 1000
    return replace(shipped, about=replace(shipped.about, version="stubborn")).to_bytes()
