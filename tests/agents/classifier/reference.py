"""What PyTorch says of a model: the oracle of the graphs that the service runs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from agents.classifier.bundle import Bundle
from agents.classifier.features import unwrapped
from agents.classifier.graphs import STEPS
from agents.classifier.network import JOINING_TEMPERATURE
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
    """Return integrated gradients (n_flows, 78), by automatic differentiation; cuts count for their feature."""
    states, network = torch.from_numpy(states_of(bundle, features)), bundle.network
    chosen = torch.from_numpy(classes)[:, None]
    with torch.no_grad():
        others = network(states).scatter(1, chosen, -torch.inf).argmax(dim=1, keepdim=True)
        of_class = (network.each(states) / JOINING_TEMPERATURE).softmax(dim=2)[:, np.arange(len(classes)), classes]
        shares = (of_class / of_class.sum(dim=0))[:, :, None]
    found: npt.NDArray[np.float32] = np.zeros_like(states.numpy())
    trunks = [network] if network.second is None else [network, network.second]
    for trunk, share in zip(trunks, shares, strict=True):
        with torch.no_grad():
            mean = torch.zeros_like(states) if trunk is network else network.encoded(torch.zeros_like(states))
            way = (states if trunk is network else network.encoded(states)) - mean
        total = torch.zeros_like(way)
        for step in range(steps):
            point = (mean + way * ((step + 0.5) / steps)).requires_grad_()
            values = trunk.q_values(point)
            total += torch.autograd.grad((values.gather(1, chosen) - values.gather(1, others)).sum(), point)[0]
        added = (total * way * share / steps).numpy()
        found += added[:, : states.shape[1]]
        if network.cuts is not None and trunk is not network:
            np.add.at(found.T, network.cuts.weight.numpy().argmax(axis=1), added[:, states.shape[1] :].T)
    return found
