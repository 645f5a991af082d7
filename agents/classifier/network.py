"""The Q-network: what each verdict about a flow would earn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from schemas.classes import N_CLASSES
from schemas.flows import N_FEATURES


@dataclass(frozen=True)
class Architecture:
    """The size of a network.

    Parameters
    ----------
    width : int
        Units of each of the two hidden layers.
    dropout : float
        Share of them left out at random in training.
    """

    width: int = 256
    dropout: float = 0.1


class DuelingNetwork(nn.Module):
    """Q(s, a) = V(s) + A(s, a) − mean of A(s, ·), after Wang et al., ICML 2016.

    V says how well a flow can be named at all, A which name is best. The states are scaled features, the actions the
    15 classes in the contract's order.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.width
        self.body = nn.Sequential(
            *_layer(N_FEATURES, width, architecture.dropout), *_layer(width, width, architecture.dropout)
        )
        self.value = nn.Linear(width, 1)
        self.advantage = nn.Linear(width, N_CLASSES)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return Q-values (n_flows, 15) of scaled features (n_flows, 78)."""
        hidden = self.body(states)
        advantage = self.advantage(hidden)
        q_values: torch.Tensor = self.value(hidden) + advantage - advantage.mean(dim=1, keepdim=True)
        return q_values


def _layer(n_in: int, n_out: int, dropout: float) -> list[nn.Module]:
    return [nn.Linear(n_in, n_out), nn.LayerNorm(n_out), nn.ReLU(), nn.Dropout(dropout)]
