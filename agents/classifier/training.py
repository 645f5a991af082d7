"""Deep Q-learning of verdicts: the agent names flows, is told what each name would have earned, and learns from it.

A verdict does not change the next flow, so the discount γ is 0 and the problem is a contextual bandit; see decision
0021 for what that leaves of a DQN.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from agents.classifier.dataset import OWN, PUBLISHED
from agents.classifier.network import Architecture, DuelingNetwork
from agents.classifier.replay import Lessons, ReplayBuffer
from schemas.classes import BENIGN, N_CLASSES
from schemas.flows import FEATURE_NAMES

_PORT = FEATURE_NAMES.index("Destination Port")


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that decides how an agent is trained; the same plan and rows give the same network on one machine.

    Parameters
    ----------
    epochs : int
        At most so many times as many flows as there are.
    patience : int
        Epochs without a validation loss near the least one after which selection stops; 0: it
        does not, and all epochs are taken.
    batch : int
        Transitions learned from at once.
    learning_rate, weight_decay : float
        Peak of the one-cycle schedule, and decay of AdamW.
    noise : float
        Standard deviation of what is added to scaled features, so that values alike to the digit are not learned by
        heart.
    own_noise : float
        ``noise`` for our own flows, of which there are more kinds: less, since requests differ in a few bytes.
    port_mixing : float
        Share of the transitions whose destination port is swapped for another flow's, since a service can listen
        elsewhere.
    class_power, most_weight, benign_weight : float
        A class is drawn (most frequent / its flows)^power times as often as it occurs, at most so many times; benign
        flows so many times more.
    own_share : float
        Of what is learned from, the share of our own flow meter's flows, where there are others beside them.
    own_benign_weight : float
        ``benign_weight`` among our own flows.
    false_alarm_reward : float
        For calling a benign flow an attack; any other wrong verdict earns -1, the right one 1.
    huber_delta : float
        Error of a Q-value from which the loss grows linearly.
    gamma : float
        Discount; 0 because verdicts do not change what comes.
    target_rate : float
        Share by which the target network follows at each step.
    last_epsilon : float
        Share of random verdicts in the second half; it falls from 1 in the first.
    learns_all_actions : bool
        Whether the label tells what every verdict would have earned; if not, only the verdict given is learned from.
    ignored : tuple of str
        Features that are held at their mean, to learn what a model owes to them.
    """

    epochs: int = 36
    patience: int = 8
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    noise: float = 0.08
    own_noise: float = 0.02
    port_mixing: float = 0.3
    class_power: float = 0.65
    most_weight: float = 200.0
    benign_weight: float = 12.0
    own_share: float = 0.3
    own_benign_weight: float = 8.0
    false_alarm_reward: float = -1.5
    huber_delta: float = 0.3
    gamma: float = 0.0
    target_rate: float = 0.01
    last_epsilon: float = 0.02
    learns_all_actions: bool = True
    ignored: tuple[str, ...] = ()
    seed: int = 0
    architecture: Architecture = field(default_factory=Architecture)


@dataclass(frozen=True)
class Epoch:
    """What one pass brought.

    Parameters
    ----------
    number : int
        From 1.
    loss : float
        Mean Huber loss of what was learned from.
    reward : float
        Mean reward of the verdicts given, random ones included.
    validation_loss, validation_f1 : float
        Loss with every class counting alike, and macro-F1, on rows set aside; NaN without.
    """

    number: int
    loss: float
    reward: float
    validation_loss: float = float("nan")
    validation_f1: float = float("nan")


def reward_table(plan: TrainingPlan) -> torch.Tensor:
    """Return the reward (15, 15) of a verdict (column) for flows of a class (row)."""
    rewards: torch.Tensor = torch.full((N_CLASSES, N_CLASSES), -1.0)
    rewards[BENIGN] = plan.false_alarm_reward
    rewards.fill_diagonal_(1.0)
    return rewards


def class_shares(
    labels: npt.NDArray[np.int64], plan: TrainingPlan, benign_weight: float | None = None
) -> npt.NDArray[np.float64]:
    """Return the share (15,) of each class in what is learned from; benign flows weigh as the plan says unless told."""
    counts = np.bincount(labels, minlength=N_CLASSES)
    weights = np.minimum((counts.max() / np.maximum(counts, 1)) ** plan.class_power, plan.most_weight)
    weights[BENIGN] *= plan.benign_weight if benign_weight is None else benign_weight
    shares: npt.NDArray[np.float64] = counts * weights / (counts * weights).sum()
    return shares


def stratum_shares(numbers: npt.NDArray[np.int64], plan: TrainingPlan) -> npt.NDArray[np.float64]:
    """Return the share (30,) of each class of each source in what is learned from; see ``strata``."""
    labels, sources = numbers % N_CLASSES, numbers // N_CLASSES
    parts = [(PUBLISHED, 1 - plan.own_share, plan.benign_weight), (OWN, plan.own_share, plan.own_benign_weight)]
    shares = np.zeros((len(parts), N_CLASSES))
    for source, weight, benign_weight in parts:
        if (sources == source).any():
            shares[source] = weight * class_shares(labels[sources == source], plan, benign_weight)
    normal: npt.NDArray[np.float64] = (shares / shares.sum()).ravel()
    return normal


def strata(labels: npt.NDArray[np.int64], sources: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the number (n_flows,) of class and source: classes of the published files first, then our own."""
    return sources * N_CLASSES + labels


def bellman_targets(
    rewards: torch.Tensor, next_states: torch.Tensor | None, gamma: float, online: nn.Module, target: nn.Module
) -> torch.Tensor:
    """Return what Q-values (n, 15) should have been, by double Q-learning (van Hasselt et al., AAAI 2016).

    reward + γ · Q_target(s', argmax Q_online(s', ·)): the online network chooses the next verdict, the target network
    values it. With γ = 0 that is the reward, and nothing of the next state is computed.

    Parameters
    ----------
    rewards : tensor (n, 15)
        Of every verdict.
    next_states : tensor (n, 78) or None
        None only with γ = 0.
    """
    if gamma == 0 or next_states is None:
        return rewards
    with torch.no_grad():
        best = online(next_states).argmax(dim=1, keepdim=True)
        later: torch.Tensor = target(next_states).gather(1, best)
        return rewards + gamma * later


class Agent:
    """A network in training.

    Parameters
    ----------
    states : array (n_flows, 78) of float32
        Scaled features.
    numbers : array (n_flows,) of int64
        Class and source of each; see ``strata``. Plain classes are those of published files.
    plan : TrainingPlan
    device : str
        Of PyTorch.
    """

    def __init__(
        self, states: npt.NDArray[np.float32], numbers: npt.NDArray[np.int64], plan: TrainingPlan, device: str = "cpu"
    ) -> None:
        torch.manual_seed(plan.seed)
        labels = numbers % N_CLASSES
        self._plan, self._strata, self._device = plan, numbers, device
        self._rng = np.random.default_rng(plan.seed)
        self._states = torch.from_numpy(without(states, plan.ignored)).to(device)
        self._rewards = reward_table(plan).to(device)[torch.from_numpy(labels)]
        self._online = DuelingNetwork(plan.architecture).to(device)
        self.network = copy.deepcopy(self._online).eval()
        """The target network: with γ = 0 its use is that it averages, over steps, what the online network is."""
        self._optimizer = torch.optim.AdamW(
            self._online.parameters(), plan.learning_rate, weight_decay=plan.weight_decay
        )
        self._steps_per_epoch = max(1, len(labels) // plan.batch)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, plan.learning_rate, total_steps=plan.epochs * self._steps_per_epoch
        )
        shares = stratum_shares(numbers, plan)
        self._buffer = ReplayBuffer(shares, int(np.bincount(self._strata).max()))
        self.epochs_done = 0
        self._steps_done = 0

    def epoch(self) -> Epoch:
        """Meet every flow once, in an order by chance, and learn as often from what is remembered."""
        rows = self._rng.permutation(len(self._strata))
        reward, losses = 0.0, []
        n_rounds = -(-self._steps_per_epoch // 16)
        for block in np.array_split(rows, n_rounds):
            reward += self._meet(block)
            for _ in range(self._steps_per_epoch // n_rounds or 1):
                losses.append(self._learn(self._buffer.sample(self._plan.batch, self._rng)))
        self.epochs_done += 1
        return Epoch(self.epochs_done, float(torch.stack(losses).mean()), reward / len(rows))

    def _meet(self, rows: npt.NDArray[np.int64]) -> float:
        """Give verdicts, some of them at random (ε-greedy), and remember them; return the sum of their rewards."""
        with torch.no_grad():
            self._online.eval()
            actions = self._online(self._states[rows]).argmax(dim=1).cpu().numpy()
            self._online.train()
        done = self.epochs_done / self._plan.epochs
        epsilon = max(self._plan.last_epsilon, 1 - 2 * done)
        is_random = self._rng.random(len(rows)) < epsilon
        actions[is_random] = self._rng.integers(0, N_CLASSES, int(is_random.sum()))
        self._buffer.push(self._strata[rows], rows, actions, np.roll(rows, -1))
        return float(self._rewards[rows, actions].sum())

    def _learn(self, lessons: Lessons) -> torch.Tensor:
        plan = self._plan
        q_values = self._online(self._disturbed(lessons.rows))
        next_states = self._states[lessons.next_rows] if plan.gamma else None
        targets = bellman_targets(self._rewards[lessons.rows], next_states, plan.gamma, self._online, self.network)
        if not plan.learns_all_actions:
            actions = torch.from_numpy(lessons.actions).to(self._device)[:, None]
            q_values, targets = q_values.gather(1, actions), targets.gather(1, actions)
        loss = nn.functional.smooth_l1_loss(q_values, targets, beta=plan.huber_delta)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        if self._schedule.last_epoch < self._schedule.total_steps:
            self._schedule.step()
        self._follow()
        return loss.detach()

    def _disturbed(self, rows: npt.NDArray[np.int64]) -> torch.Tensor:
        """Return states with noise, and some with the port of another flow."""
        states = self._states[rows]
        plan, is_own = self._plan, self._strata[rows] >= OWN * N_CLASSES
        noise = torch.from_numpy(np.where(is_own, plan.own_noise, plan.noise).astype(np.float32)).to(self._device)
        states = states + noise[:, None] * torch.randn_like(states)
        swapped = np.flatnonzero(self._rng.random(len(rows)) < plan.port_mixing)
        others = self._rng.integers(0, len(self._states), len(swapped))
        states[swapped, _PORT] = self._states[others, _PORT]
        return states

    def _follow(self) -> None:
        # At first it is the plain mean of all steps: what it began as counts for nothing.
        self._steps_done += 1
        share = max(self._plan.target_rate, 1 / self._steps_done)
        with torch.no_grad():
            pairs = zip(self.network.parameters(), self._online.parameters(), strict=True)
            for slow, fast in pairs:
                slow.lerp_(fast, share)


def without(states: npt.NDArray[np.float32], ignored: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """Return states (n_flows, 78) with some features at their mean, which is 0."""
    if ignored:
        states = states.copy()
        states[:, [FEATURE_NAMES.index(name) for name in ignored]] = 0
    return states


def q_values_of(network: nn.Module, states: npt.NDArray[np.float32], batch: int = 16_384) -> npt.NDArray[np.float32]:
    """Return Q-values (n_flows, 15) of scaled features (n_flows, 78), computed where the network is."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        parts = [network(part.to(device)).cpu() for part in torch.split(torch.from_numpy(states), batch)]
    values: npt.NDArray[np.float32] = torch.cat(parts).numpy()
    return values
