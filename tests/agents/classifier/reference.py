"""What PyTorch says of a model: the oracle of the graphs that the service runs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from agents.classifier.bundle import Bundle
from agents.classifier.features import unwrapped
from agents.classifier.graphs import STEPS
from agents.classifier.training import q_values_of


def states_of(bundle: Bundle, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what the network sees of features (n_flows, 78)."""
    return bundle.scaler.apply(unwrapped(features))


def q_values(bundle: Bundle, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return Q-values (n_flows, 15)."""
    return q_values_of(bundle.network, states_of(bundle, features))


def probabilities(bundle: Bundle, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return calibrated probabilities (n_flows, 15)."""
    return bundle.calibration.apply(q_values(bundle, features))


def contributions(
    bundle: Bundle, features: npt.NDArray[np.float32], classes: npt.NDArray[np.int64], steps: int = STEPS
) -> npt.NDArray[np.float32]:
    """Return integrated gradients (n_flows, 78), by automatic differentiation."""
    states = torch.from_numpy(states_of(bundle, features))
    chosen = torch.from_numpy(classes)[:, None]
    with torch.no_grad():
        others = bundle.network(states).scatter(1, chosen, -torch.inf).argmax(dim=1, keepdim=True)
    total = torch.zeros_like(states)
    for step in range(steps):
        point = (states * ((step + 0.5) / steps)).requires_grad_()
        values = bundle.network(point)
        total += torch.autograd.grad((values.gather(1, chosen) - values.gather(1, others)).sum(), point)[0]
    found: npt.NDArray[np.float32] = (total * states / steps).numpy()
    return found
