"""The Q-network: what each verdict about a flow would earn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from agents.classifier.cuts import Cuts
from schemas.classes import N_CLASSES
from schemas.flows import N_FEATURES

JOINING_TEMPERATURE = 0.28
"""Under which Q-values of a trunk become probabilities before they are averaged; that of calibration is close to it."""


@dataclass(frozen=True)
class Architecture:
    """The size of a network.

    Parameters
    ----------
    width : int
        Units of each of the two hidden layers of a trunk.
    dropout : float
        Share of them left out at random in training.
    n_cuts : int
        Ramps over single features that the second trunk sees besides them; without any there is no second trunk.
    """

    width: int = 128
    dropout: float = 0.1
    n_cuts: int = 0


class Trunk(nn.Module):
    """Q(s, a) = V(s) + A(s, a) − mean of A(s, ·), after Wang et al., ICML 2016.

    V says how well a flow can be named at all, A which name is best.
    """

    def __init__(self, n_inputs: int, architecture: Architecture) -> None:
        super().__init__()
        width, dropout = architecture.width, architecture.dropout
        self.body = nn.Sequential(*_layer(n_inputs, width, dropout), *_layer(width, width, dropout))
        self.value = nn.Linear(width, 1)
        self.advantage = nn.Linear(width, N_CLASSES)

    def q_values(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return Q-values (n_flows, 15) of inputs (n_flows, n_inputs)."""
        hidden = self.body(inputs)
        advantage = self.advantage(hidden)
        q_values: torch.Tensor = self.value(hidden) + advantage - advantage.mean(dim=1, keepdim=True)
        return q_values


class DuelingNetwork(Trunk):
    """Two dueling networks in one: the first sees scaled features, the second their cuts as well.

    Each is trained by itself. The first is even and forgives what drifts, the second tells values apart that differ by
    little. What they say is averaged as probabilities: where one is sure and the other is not, the sure one decides.

    The states are scaled features, the actions the 15 classes in the contract's order. Cuts are given, not learned.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(N_FEATURES, architecture)
        n_cuts = architecture.n_cuts
        self.width = architecture.width
        self.cuts = nn.Linear(N_FEATURES, n_cuts).requires_grad_(False) if n_cuts else None
        self.second = Trunk(N_FEATURES + n_cuts, architecture) if n_cuts else None

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return Q-values (n_flows, 15) of scaled features (n_flows, 78)."""
        return joined(self.each(states))

    def each(self, states: torch.Tensor, of_second: torch.Tensor | None = None) -> torch.Tensor:
        """Return the Q-values of each trunk (n_trunks, n_flows, 15); the second sees the same states unless given."""
        values = [self.q_values(states)]
        if self.second is not None:
            values.append(self.second.q_values(self.encoded(states if of_second is None else of_second)))
        return torch.stack(values)

    def encoded(self, states: torch.Tensor) -> torch.Tensor:
        """Return scaled features and, behind them, their cuts (n_flows, 78 + n_cuts)."""
        return states if self.cuts is None else torch.cat([states, self.cuts(states).clamp(0, 1)], dim=1)

    def put(self, cuts: Cuts) -> None:
        """Take ramps, as many as the architecture says."""
        if self.cuts is not None:
            self.cuts.weight.copy_(torch.from_numpy(cuts.weight))
            self.cuts.bias.copy_(torch.from_numpy(cuts.bias))


def joined(each: torch.Tensor) -> torch.Tensor:
    """Return what trunks say together (n_flows, 15): softmax of it is the mean of theirs; of one trunk, its own values.

    With τ the ``JOINING_TEMPERATURE`` it is τ · log(mean of softmax(Q / τ)) + mean of τ · log(sum of exp(Q / τ)), so
    that trunks that agree give what they agree on, in units of reward.

    Parameters
    ----------
    each : tensor (n_trunks, n_flows, 15)
    """
    if len(each) == 1:
        return each[0]
    cool = each / JOINING_TEMPERATURE
    level = cool.logsumexp(dim=2, keepdim=True)
    together = (cool - level).logsumexp(dim=0) - math.log(len(each))
    values: torch.Tensor = JOINING_TEMPERATURE * (together + level.mean(dim=0))
    return values


def _layer(n_in: int, n_out: int, dropout: float) -> list[nn.Module]:
    return [nn.Linear(n_in, n_out), nn.LayerNorm(n_out), nn.ReLU(), nn.Dropout(dropout)]
